"""OpenVINO with what computes on the processor, and what reads ONNX and PyTorch networks.

It finds its plugins as files beside its library, so nothing in the code points to them.
"""

import sys
from pathlib import Path

from PyInstaller.utils.hooks import collect_submodules, get_package_paths

_home = Path(get_package_paths("openvino")[1])
_WANTED = (
    "openvino.",
    "intel_cpu_plugin",
    "ir_frontend",
    "onnx_frontend",
    "pytorch_frontend",
    "tbb",
    "hwloc",
)
_SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")

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
    if (_SUFFIX in file.name or _SUFFIX + "." in file.name)
    and "debug" not in file.name
    and any(word in file.name for word in _WANTED)
]
