"""torch: its libraries, all modules, and the sources that it reads of itself at run time.

Replaces the hook of pyinstaller-hooks-contrib, which also takes test programs, headers and the
libraries for graphics cards.
"""

from pathlib import Path

from PyInstaller.utils.hooks import (
    PY_DYLIB_PATTERNS,
    collect_dynamic_libs,
    collect_submodules,
    get_package_paths,
)

module_collection_mode = "pyz+py"
warn_on_missing_hiddenimports = False
# Where these stand twice, torch looks for its other libraries in the wrong folder.
bindepend_symlink_suppression = ["**/torch/lib/*.so*"]

hiddenimports = [
    "torch._C",
    "torch._VF",
    "torch._dynamo.eval_frame",
    *collect_submodules("torch._higher_order_ops"),
    "torch.fx.experimental.symbolic_shapes",
    "torch.utils._sympy.interp",
    "torch.ao.quantization",
]

_home = Path(get_package_paths("torch")[1])
binaries = [
    (source, target)
    for source, target in collect_dynamic_libs(
        "torch", search_patterns=[*PY_DYLIB_PATTERNS, "*.so.*"]
    )
    if not {"test", "bin"} & set(Path(source).relative_to(_home).parts)
]
# Without this little program torch refuses to be imported (Linux and macOS).
_shared_memory = _home / "bin" / "torch_shm_manager"
if _shared_memory.exists():
    binaries.append((str(_shared_memory), "torch/bin"))
