"""What the stages hand to each other and to the user."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from cellseg_app.core.volume import ShapeZYX, SpacingZYX


@dataclass(frozen=True)
class CellTable:
    """Measurements of one volume, made when they are asked for.

    Attributes
    ----------
    parts
        Gives the rows in their order, at least one part, of which each may be dropped before the
        next: one row per cell, column `label` first, units in the column names.
    summary
        One value per image: size, volumes, number of cells, density.
    """

    parts: Callable[[], Iterator[pd.DataFrame]]
    summary: dict[str, Any]

    @cached_property
    def cells(self) -> pd.DataFrame:
        """All rows, in memory."""
        first, *others = self.parts()
        return pd.concat([first, *others], ignore_index=True) if others else first


@dataclass(frozen=True, slots=True)
class RunFiles:
    """Paths of what a run wrote; None for what was not asked for."""

    record: Path
    probability: Path | None = None
    labels: Path | None = None
    table: Path | None = None


@dataclass(frozen=True, slots=True)
class RunResult:
    """One volume, done.

    Attributes
    ----------
    input_fingerprint
        Tells whether the input is still as it was when a run began to read it; empty where no
        network ran.
    """

    name: str
    source: Path | None
    shape_zyx: ShapeZYX
    spacing_um_zyx: SpacingZYX | None
    n_cells: int
    files: RunFiles
    summary: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    input_fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class RunFailure:
    """One volume that could not be done, and why."""

    source: Path
    problem: str
    remedy: str
    bug: bool = False
