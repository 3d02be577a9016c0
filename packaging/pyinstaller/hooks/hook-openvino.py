"""OpenVINO with what computes on the processor, and what reads ONNX and PyTorch networks.

It finds its plugins as files beside its library, so nothing in the code points to them.
"""

from pathlib import Path

from PyInstaller.utils.hooks import collect_submodules, get_package_paths

_home = Path(get_package_paths("openvino")[1])
# Left out: the plugins of Intel's graphics and neural processors, and what reads TensorFlow's,
# JAX's and Paddle's networks.
_WANTED = (
    "openvino.",
    "_cpu_plugin",
    "ir_frontend",
    "onnx_frontend",
    "pytorch_frontend",
    "tbb",
    "hwloc",
)
# macOS has plugins in .so, the libraries that they use in .dylib.
_SUFFIXES = {".so", ".dylib", ".dll"}

hiddenimports = [
    "openvino.frontend.onnx",
    *collect_submodules("openvino.frontend.pytorch"),
    *collect_submodules("openvino.tools.ovc"),
    *collect_submodules("openvino.op"),
]
excludedimports = [
    "openvino.frontend.tensorflow",
    "openvino.frontend.jax",
    "openvino.frontend.paddle",
    "openvino.tools.benchmark",
]
binaries = [
    (str(file), "openvino/libs")
    for file in sorted((_home / "libs").iterdir())
    if _SUFFIXES.intersection(file.suffixes)
    and "debug" not in file.name
    and any(word in file.name for word in _WANTED)
]
