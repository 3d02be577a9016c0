"""What this machine can show in 3D, found out without opening a window."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from PySide6.QtGui import QGuiApplication, QOffscreenSurface, QOpenGLContext

# Platforms of Qt that draw no OpenGL widgets.
_FLAT_PLATFORMS: Final = ("offscreen", "minimal", "vnc", "linuxfb")
_SOFTWARE: Final = ("llvmpipe", "softpipe", "swiftshader", "gdi generic", "microsoft basic", "swr")
_MIB: Final = 1024**2
_HARDWARE_BYTES: Final = 256 * _MIB
# Drawn by the processor: what is shown must also be quick to turn.
_SOFTWARE_BYTES: Final = 4 * _MIB
_GL_RENDERER, _GL_VERSION, _GL_MAX_3D_TEXTURE_SIZE = 0x1F01, 0x1F02, 0x8073
_GL_NVIDIA_AVAILABLE_KIB: Final = 0x9049

# Set to 1 to do without 3D, where a driver is broken.
NO_OPENGL_VARIABLE: Final = "CELLSEG_NO_OPENGL"


@dataclass(frozen=True, slots=True)
class OpenGLReport:
    """What the graphics driver said.

    Attributes
    ----------
    problem
        Why there is no 3D, as a sentence for the user; empty if there is.
    renderer, version
        Names for the log and the bug report.
    max_size
        Longest axis of a 3D texture.
    n_bytes
        What one layer may take of the graphics memory.
    is_software
        Whether the processor draws.
    """

    problem: str = ""
    renderer: str = ""
    version: str = ""
    max_size: int = 2048
    n_bytes: int = _HARDWARE_BYTES
    is_software: bool = False


@lru_cache(maxsize=1)
def probe_opengl() -> OpenGLReport:
    """Ask the driver, once."""
    if os.environ.get(NO_OPENGL_VARIABLE) == "1":
        return _without("3D was switched off by the environment variable CELLSEG_NO_OPENGL.")
    if QGuiApplication.platformName() in _FLAT_PLATFORMS:
        return _without("This session draws no OpenGL.")
    surface, context = QOffscreenSurface(), QOpenGLContext()
    surface.create()
    if not context.create() or not context.makeCurrent(surface):
        return _without("The graphics driver offers no OpenGL.")
    try:
        return _ask(context)
    finally:
        context.doneCurrent()


def _ask(context: QOpenGLContext) -> OpenGLReport:
    if context.isOpenGLES():
        return _without("The graphics driver offers OpenGL ES only.")
    text = _function(context, "glGetString", ctypes.c_char_p, ctypes.c_uint)
    read = _function(context, "glGetIntegerv", None, ctypes.c_uint, ctypes.POINTER(ctypes.c_int))
    values = (ctypes.c_int * 4)()
    read(_GL_MAX_3D_TEXTURE_SIZE, values)
    max_size = values[0]
    renderer, version = (
        (text(name) or b"").decode("latin-1") for name in (_GL_RENDERER, _GL_VERSION)
    )
    if max_size < 64 or not version or int(version.split(".")[0]) < 2:
        return _without(f"The graphics driver is too old ({renderer}, OpenGL {version}).")
    is_software = any(name in renderer.lower() for name in _SOFTWARE)
    n_bytes = _SOFTWARE_BYTES if is_software else _HARDWARE_BYTES
    if context.hasExtension(b"GL_NVX_gpu_memory_info"):
        read(_GL_NVIDIA_AVAILABLE_KIB, values)
        # The network shares the card: a quarter of what is free, for each of a few layers.
        n_bytes = min(n_bytes, max(_SOFTWARE_BYTES, values[0] * 1024 // 4))
    return OpenGLReport("", renderer, version, max_size, n_bytes, is_software)


def _function(
    context: QOpenGLContext, name: str, result: type | None, *arguments: type
) -> Callable[..., bytes | None]:
    # PySide has no binding that returns what these two write.
    address = int(context.getProcAddress(name.encode()))
    kind = getattr(ctypes, "WINFUNCTYPE", ctypes.CFUNCTYPE)
    found: Callable[..., bytes | None] = kind(result, *arguments)(address)
    return found


def _without(reason: str) -> OpenGLReport:
    return OpenGLReport(problem=f"No 3D view: {reason} Slices and everything else work as usual.")
