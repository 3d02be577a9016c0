"""Prints what pyproject.toml requires, one requirement a line, without the program itself.

python requirements.py installer      the program's requirements and PyInstaller
python requirements.py licences       the tools that collect licences
"""

from __future__ import annotations

import sys
from pathlib import Path

import tomllib


def requirements(extra: str) -> list[str]:
    """What an extra asks for; what freezes the program needs the program's requirements too."""
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    own = project["dependencies"] if extra == "installer" else []
    return [*own, *project["optional-dependencies"][extra]]


if __name__ == "__main__":
    print("\n".join(requirements(sys.argv[1])))
