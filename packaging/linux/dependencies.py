"""What a frozen program needs of a Debian system, read from its libraries.

    python dependencies.py dist/CellSeg        prints the value of the package's `Depends`

Every library that something inside links to must be inside too, or be one of those below; anything
else is an error, so that nothing is forgotten when a package inside changes.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Final

# Library to Debian package; two names where a newer system calls it differently.
_PACKAGES: Final = {
    "libstdc++.so.6": "libstdc++6",
    "libgcc_s.so.1": "libgcc-s1",
    "libz.so.1": "zlib1g",
    "libzstd.so.1": "libzstd1",
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libOpenGL.so.0": "libopengl0",
    "libfontconfig.so.1": "libfontconfig1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libglib-2.0.so.0": "libglib2.0-0 | libglib2.0-0t64",
    "libgthread-2.0.so.0": "libglib2.0-0 | libglib2.0-0t64",
    "libX11.so.6": "libx11-6",
    "libX11-xcb.so.1": "libx11-xcb1",
    "libxcb.so.1": "libxcb1",
    "libXext.so.6": "libxext6",
    "libXau.so.6": "libxau6",
    "libXdmcp.so.6": "libxdmcp6",
    "libXrender.so.1": "libxrender1",
    "libbsd.so.0": "libbsd0",
    "libmd.so.0": "libmd0",
    "libtinfo.so.6": "libtinfo6",
    "libexpat.so.1": "libexpat1",
    "libwayland-client.so.0": "libwayland-client0",
    "libwayland-cursor.so.0": "libwayland-cursor0",
    "libwayland-egl.so.1": "libwayland-egl1",
}  # fmt: skip
# Loaded at run time by name, so no file links to them.
_LOADED: Final = ("libGL.so.1", "libEGL.so.1", "libOpenGL.so.0")
_OF_LIBC: Final = re.compile(r"^(?:ld-linux.*|lib(?:c|m|dl|pthread|rt|resolv|util)\.so\.\d)$")
_OTHERS: Final = ("shared-mime-info", "hicolor-icon-theme")


def needs(bundle: Path) -> tuple[dict[str, set[str]], tuple[int, ...]]:
    """Libraries that are not inside, by who needs them, and the version of libc asked for."""
    files = [file for file in bundle.rglob("*") if file.is_file() and _is_elf(file)]
    inside = {file.name for file in files} | {p.name for p in bundle.rglob("*") if p.is_symlink()}
    missing: dict[str, set[str]] = defaultdict(set)
    libc = (0,)
    for file in files:
        said = subprocess.run(
            ["objdump", "-p", str(file)], capture_output=True, text=True, check=True
        )
        for name in re.findall(r"NEEDED\s+(\S+)", said.stdout):
            if name not in inside and not _OF_LIBC.match(name):
                missing[name].add(str(file.relative_to(bundle)))
        for number in re.findall(r"\bGLIBC_([0-9.]+)", said.stdout):
            libc = max(libc, tuple(int(part) for part in number.split(".")))
    return missing, libc


def _is_elf(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(4) == b"\x7fELF"


def main() -> None:
    """Print the dependencies, or say what is unknown."""
    missing, libc = needs(Path(sys.argv[1]))
    unknown = {name: users for name, users in missing.items() if name not in _PACKAGES}
    for name, users in sorted(unknown.items()):
        print(f"{name} is neither inside nor a known dependency; {sorted(users)[0]} needs it.",
              file=sys.stderr)  # fmt: skip
    if unknown:
        sys.exit(1)
    packages = {_PACKAGES[name] for name in (*missing, *_LOADED)}
    floor = ".".join(map(str, libc))
    print(", ".join([f"libc6 (>= {floor})", *sorted(packages), *_OTHERS]))


if __name__ == "__main__":
    main()
