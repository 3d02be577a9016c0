"""Optional parts of the program, which pip installs and the installers do without."""

from __future__ import annotations

import sys


def how_to_install(extra: str) -> str:
    """Return the sentence that says how an extra of `pyproject.toml` is had."""
    command = f'pip install "cellseg-app[{extra}]"'
    if hasattr(sys, "frozen"):
        return f"The installers come without it; it needs CellSeg for Python: {command}."
    return f"Install it with {command}."
