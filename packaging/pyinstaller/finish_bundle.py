"""Finishes what PyInstaller made: compiles the sources inside, strips libraries, counts sizes.

    python finish_bundle.py dist/CellSeg

torch reads its own sources at run time, so they are inside; without compiled modules beside them
Python would compile them anew at every start, for where the program lies is not writable.
"""

from __future__ import annotations

import compileall
import importlib.util
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Final

# Libraries with debugging symbols. Others stay as they came: repaired wheels break when stripped.
_TO_STRIP: Final = (
    *("torch", "openvino", "libpython3", "python3", "cc3d", "edt", "fastremap", "kiwisolver"),
    *("numcodecs", "vispy", "yaml"),
)
_MIB: Final = 1024**2


def compile_sources(folder: Path) -> int:
    """Compile every source file; what is beside it compiled goes. Returns how many."""
    sources = list(folder.rglob("*.py"))
    for source in sources:
        source.with_suffix(".pyc").unlink(missing_ok=True)
    compileall.compile_dir(
        folder,
        quiet=2,
        force=True,
        workers=2,
        stripdir=str(folder),
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )
    return sum(Path(importlib.util.cache_from_source(str(source))).exists() for source in sources)


def strip_libraries(folder: Path) -> int:
    """Take debugging symbols out (Linux); returns the bytes saved."""
    if not sys.platform.startswith("linux") or shutil.which("strip") is None:
        return 0
    before = after = 0
    for library in _libraries(folder):
        before += library.stat().st_size
        subprocess.run(["strip", "--strip-unneeded", str(library)], check=True)
        after += library.stat().st_size
    return before - after


def _libraries(folder: Path) -> Iterator[Path]:
    for library in folder.rglob("*.so*"):
        first = library.relative_to(folder).parts[0].split(".")[0]
        if first in _TO_STRIP and library.is_file() and not library.is_symlink():
            yield library


def sizes(folder: Path) -> list[tuple[str, int]]:
    """Bytes by package, the largest first."""
    found: Counter[str] = Counter()
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink():
            first = file.relative_to(folder).parts[0]
            found[first.removesuffix(".libs").split(".so")[0]] += file.stat().st_size
    return found.most_common()


def main() -> None:
    """Finish one folder."""
    bundle = Path(sys.argv[1])
    inside = bundle / "_internal"
    print(f"compiled: {compile_sources(inside)} modules")
    print(f"stripped: {strip_libraries(inside) / _MIB:.0f} MiB less")
    all_sizes = sizes(inside)
    total = sum(size for _, size in all_sizes)
    print(f"size: {total / _MIB:.0f} MiB in {sum(1 for _ in bundle.rglob('*'))} files")
    for name, size in all_sizes[:14]:
        print(f"  {size / _MIB:6.1f} MiB  {name}")


if __name__ == "__main__":
    main()
