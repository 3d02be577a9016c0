"""Where things lie: files that ship with the program, and the user's own folders."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import platformdirs


def resource_path(*parts: str) -> Path:
    """Path of a shipped file, in a checkout, an installed wheel or a frozen application."""
    package = Path(__file__).resolve().parent
    frozen = getattr(sys, "_MEIPASS", None)
    candidates = [
        *([Path(frozen) / "resources"] if frozen else []),
        package / "_resources",
        package.parent / "resources",
    ]
    root = next((folder for folder in candidates if folder.is_dir()), candidates[-1])
    return root.joinpath(*parts)


def user_data_path() -> Path:
    """Folder for imported weights and presets; `CELLSEG_DATA` overrides it."""
    override = os.environ.get("CELLSEG_DATA")
    return Path(override) if override else platformdirs.user_data_path("CellSeg", appauthor=False)


def user_cache_path() -> Path:
    """Folder for what can be made again; `CELLSEG_CACHE` overrides it."""
    override = os.environ.get("CELLSEG_CACHE")
    return Path(override) if override else platformdirs.user_cache_path("CellSeg", appauthor=False)


def user_log_path() -> Path:
    """Folder for logs and crash dumps; inside `CELLSEG_DATA` where that is set."""
    override = os.environ.get("CELLSEG_DATA")
    return (
        Path(override) / "logs"
        if override
        else platformdirs.user_log_path("CellSeg", appauthor=False)
    )
