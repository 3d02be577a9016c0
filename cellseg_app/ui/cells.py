"""The measured cells of the result looked at: one table, the filters on it, the chosen cells.

Table, plots and viewer all look at this; cells are known by their label id, never by a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from PySide6.QtCore import QObject, Signal

from cellseg_app.core.cell_columns import ALL_ROWS, CellColumns, FrameColumns, Rows
from cellseg_app.core.edits import MOST_CELLS
from cellseg_app.ui.latest import Latest
from cellseg_app.viewers.colors import LabelValues


@dataclass(frozen=True, slots=True)
class RangeFilter:
    """Keeps the cells whose value in a column lies between two bounds, both included."""

    column: str
    low: float
    high: float

    def sentence(self) -> str:
        """The filter in words."""
        if self.low == -np.inf:
            return f"{self.column} ≤ {self.high:.5g}"
        if self.high == np.inf:
            return f"{self.column} ≥ {self.low:.5g}"
        return f"{self.low:.5g} ≤ {self.column} ≤ {self.high:.5g}"

    def keeps(self, table: CellColumns) -> npt.NDArray[np.bool_]:
        """Which rows pass; values that are no numbers do not."""
        values = np.asarray(table.column(self.column), np.float64)
        with np.errstate(invalid="ignore"):
            kept: npt.NDArray[np.bool_] = (values >= self.low) & (values <= self.high)
        return kept


@dataclass(frozen=True, slots=True, eq=False)
class KeptCells:
    """The rows of a table that passed the filters at one moment; may be read in any thread."""

    table: CellColumns
    rows: Rows

    def __len__(self) -> int:
        return len(self.table) if isinstance(self.rows, slice) else len(self.rows)

    def every(self, step: int) -> KeptCells:
        """A regular sample."""
        rows = np.arange(len(self.table)) if isinstance(self.rows, slice) else self.rows
        return KeptCells(self.table, rows[::step])

    def values(self, column: str) -> npt.NDArray[np.float64]:
        """The numbers of a column; the table itself is not copied."""
        return np.asarray(self.table.column(column, self.rows), np.float64)

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """The label ids."""
        return self.table.labels[self.rows]


class Cells(QObject):
    """The table of cells with filters and the chosen cells; lives on the GUI thread.

    Signals
    -------
    table_changed
        Another table; filters and choice are gone.
    filters_changed
        The filters, and with them `kept`.
    chosen_changed
        Label ids of the chosen cells, the newest last.
    looked_at
        Label id of a cell that was chosen alone, to be seen.
    failed
        The `UserError` over a file that cannot be read any more.
    """

    table_changed = Signal()
    filters_changed = Signal()
    chosen_changed = Signal(object)
    looked_at = Signal(int)
    failed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._table: CellColumns = _no_cells()
        self._numeric: list[str] = []
        self._wanted: tuple[RangeFilter, ...] = ()
        self._latest = Latest()
        self._latest.failed.connect(self._on_failed)
        self._filters: tuple[RangeFilter, ...] = ()
        self._kept = np.ones(0, dtype=bool)
        self._chosen: tuple[int, ...] = ()
        self._is_same_image = False

    @property
    def table(self) -> CellColumns:
        """One row per cell, column `label` among others."""
        return self._table

    @property
    def numeric_columns(self) -> list[str]:
        """The columns that can be plotted and filtered, without the label id."""
        return self._numeric

    @property
    def filters(self) -> tuple[RangeFilter, ...]:
        """The filters; a cell must pass all of them."""
        return self._filters

    @property
    def kept(self) -> npt.NDArray[np.bool_]:
        """For each row of the table whether it passes the filters."""
        return self._kept

    @property
    def kept_cells(self) -> KeptCells:
        """The rows that pass the filters."""
        return KeptCells(self._table, np.flatnonzero(self._kept) if self._filters else ALL_ROWS)

    @property
    def kept_labels(self) -> npt.NDArray[np.int64]:
        """The label ids that pass."""
        return self._table.labels[self._kept]

    @property
    def chosen(self) -> tuple[int, ...]:
        """Label ids of the chosen cells, the newest last."""
        return self._chosen

    @property
    def is_same_image(self) -> bool:
        """Whether the table before was of other cells of the same image."""
        return self._is_same_image

    def set_table(
        self, table: CellColumns | pd.DataFrame | None, *, is_same_image: bool = False
    ) -> None:
        """Take another table; of the same image, filters stay on columns that it has."""
        if table is None:
            if len(self._table) == 0:
                return
            table = _no_cells()
        self._table = FrameColumns(table) if isinstance(table, pd.DataFrame) else table
        self._numeric = [name for name in self._table.numeric if name != "label"]
        known = set(self._numeric)
        kept = [f for f in self._filters if f.column in known] if is_same_image else []
        in_memory = self._table.in_memory
        self._latest.forget()
        self._wanted = tuple(kept)
        self._filters = self._wanted if in_memory else ()
        self._kept = _kept(self._table, self._filters)
        self._is_same_image = is_same_image
        self._chosen = ()
        self.table_changed.emit()
        self.chosen_changed.emit(())
        if self._wanted and not in_memory:
            self.set_filters(self._wanted)

    def set_filters(self, filters: tuple[RangeFilter, ...]) -> None:
        """Take other filters; where their columns are read from a file, they hold soon."""
        self._wanted, table = filters, self._table

        def take(kept: npt.NDArray[np.bool_]) -> None:
            self._filters, self._kept = filters, kept
            self.filters_changed.emit()

        at_once = table.in_memory or not filters
        self._latest.ask(lambda: _kept(table, filters), take, at_once=at_once)

    def add_filter(self, new: RangeFilter) -> None:
        """Add a filter; one on the same column is replaced."""
        others = tuple(f for f in self._wanted if f.column != new.column)
        self.set_filters((*others, new))

    def choose(self, label: int | None) -> None:
        """Choose a cell alone by its label id; 0 and unknown ids choose none."""
        before = self._chosen
        self.choose_all(() if label is None else (label,))
        if self._chosen and self._chosen != before:
            self.looked_at.emit(self._chosen[0])

    def choose_all(self, labels: Sequence[int] | npt.NDArray[np.int64]) -> None:
        """Choose cells by their label ids, of which unknown ones are left out.

        Of more than can be corrected at once, the first.
        """
        ids = np.asarray(labels[:MOST_CELLS], np.int64)
        # Cells that were not measured can be chosen too.
        known = self._table.index.has(ids) if len(self._table) else ids > 0
        chosen = tuple(dict.fromkeys(ids[known].tolist()))
        if chosen != self._chosen:
            self._chosen = chosen
            self.chosen_changed.emit(chosen)

    def toggle(self, label: int) -> None:
        """Add a cell to the chosen ones, or take it away from them."""
        others = tuple(one for one in self._chosen if one != label)
        self.choose_all(others if len(others) < len(self._chosen) else (*others, label))

    def rows_of(self, labels: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
        """The places in the table of label ids; those that it lacks have none."""
        return self._table.index.rows(np.asarray(labels, np.int64))

    def centroid_voxel(self, label: int) -> tuple[int, int, int] | None:
        """The voxel nearest to the middle of a cell."""
        return centroid_voxel(self._table, label)

    def _on_failed(self, problem: object) -> None:
        self._wanted = self._filters
        self.failed.emit(problem)


def centroid_voxel(table: CellColumns, label: int) -> tuple[int, int, int] | None:
    """The voxel nearest to the middle of a cell; None if it was not measured."""
    names = [f"centroid_{axis}_voxel" for axis in "zyx"]
    rows = table.index.rows(np.array([label], np.int64))
    if len(rows) == 0 or not set(names) <= set(table.names):
        return None
    z, y, x = (round(float(table.column(name, rows)[0])) for name in names)
    return z, y, x


def values_of(table: CellColumns, column: str) -> LabelValues:
    """The values of a column by label id."""
    return LabelValues(table.labels, np.asarray(table.column(column), np.float64))


def _no_cells() -> CellColumns:
    return FrameColumns(pd.DataFrame({"label": np.zeros(0, np.int64)}))


def _kept(table: CellColumns, filters: tuple[RangeFilter, ...]) -> npt.NDArray[np.bool_]:
    kept = np.ones(len(table), dtype=bool)
    for one in filters:
        kept &= one.keeps(table)
    return kept
