"""vispy chooses its backend by name, reads its shaders as files, and needs PyOpenGL for volumes."""

from PyInstaller.utils.hooks import collect_data_files

datas = collect_data_files("vispy", includes=["glsl/**/*", "util/fonts/data/*", "io/_data/*"])
hiddenimports = [
    "vispy.app.backends._pyside6",
    "vispy.app.backends._qt",
    "vispy.glsl",
    "vispy.gloo.gl.gl2",
    "vispy.gloo.gl.glplus",
    "vispy.util.fonts._freetype",
    "vispy.util.fonts._quartz",
    "vispy.util.fonts._win32",
    "OpenGL.GL",
    "OpenGL.GL.framebufferobjects",
]
