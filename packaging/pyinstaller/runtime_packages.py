"""Which installed packages the program needs when it runs: its requirements, and theirs.

The extra `installer` names what the frozen program brings beside the requirements.
"""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

import tomllib

from packaging.requirements import Requirement

_PROJECT: Final = Path(__file__).resolve().parents[2] / "pyproject.toml"
# What freezes the program, with what that needs.
_BUILD: Final = "pyinstaller"
# Required by others, but taken out of the frozen program.
_LEFT_OUT: Final = {"openvino-telemetry", "setuptools"}


def runtime_packages() -> list[str]:
    """Names, sorted, of every package that the frozen program brings."""
    found: set[str] = set()
    project = tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["installer"]]
    waiting = [name for name in _needed(wanted) if name != _BUILD]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            requirements = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        found.add(name)
        waiting += _needed(requirements)
    return sorted(found - _LEFT_OUT)


def _needed(requirements: list[str]) -> list[str]:
    return [
        _normal(wanted.name)
        for wanted in map(Requirement, requirements)
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""})
    ]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
