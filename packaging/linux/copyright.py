"""Prints Debian's copyright file, with the text of LICENSE."""

from __future__ import annotations

from pathlib import Path

_HEAD = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: CellSeg
Comment: Python and the packages inside have licences of their own; their texts are in
 /usr/lib/cellseg/_internal/licences/THIRD_PARTY_LICENCES.txt.

Files: *
"""


def main() -> None:
    """Print it."""
    lines = Path("LICENSE").read_text(encoding="utf-8").strip().splitlines()
    owner = next(line for line in lines if line.startswith("Copyright"))
    body = "\n".join(f" {line}" if line.strip() else " ." for line in lines)
    print(f"{_HEAD}Copyright: {owner.removeprefix('Copyright (c) ')}")
    print(f"License: BSD-3-Clause\n{body}")


if __name__ == "__main__":
    main()
