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

from cellseg_app.core.edits import MOST_CELLS
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

    def keeps(self, table: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Which rows pass; values that are no numbers do not."""
        values = table[self.column].to_numpy(dtype=np.float64)
        with np.errstate(invalid="ignore"):
            kept: npt.NDArray[np.bool_] = (values >= self.low) & (values <= self.high)
        return kept


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
    """

    table_changed = Signal()
    filters_changed = Signal()
    chosen_changed = Signal(object)
    looked_at = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._table = pd.DataFrame({"label": np.zeros(0, np.int64)})
        self._numeric: list[str] = []
        self._filters: tuple[RangeFilter, ...] = ()
        self._kept = np.ones(0, dtype=bool)
        self._chosen: tuple[int, ...] = ()
        self._is_same_image = False

    @property
    def table(self) -> pd.DataFrame:
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
    def kept_table(self) -> pd.DataFrame:
        """The rows that pass the filters."""
        return self._table[self._kept]

    @property
    def kept_rows(self) -> npt.NDArray[np.intp]:
        """The places in the table of the rows that pass the filters."""
        return np.flatnonzero(self._kept)

    def kept_values(self, column: str) -> npt.NDArray[np.float64]:
        """The numbers of a column in the rows that pass; the table itself is not copied."""
        values = self._table[column].to_numpy(dtype=np.float64)
        return values[self._kept] if self._filters else values

    @property
    def kept_labels(self) -> npt.NDArray[np.int64]:
        """The label ids that pass."""
        return self._table["label"].to_numpy(np.int64)[self._kept]

    @property
    def chosen(self) -> tuple[int, ...]:
        """Label ids of the chosen cells, the newest last."""
        return self._chosen

    @property
    def is_same_image(self) -> bool:
        """Whether the table before was of other cells of the same image."""
        return self._is_same_image

    def set_table(self, table: pd.DataFrame | None, *, is_same_image: bool = False) -> None:
        """Take another table; of the same image, filters stay on columns that it has."""
        if table is None:
            if len(self._table) == 0:
                return
            table = pd.DataFrame({"label": np.zeros(0, np.int64)})
        # Anew only where it must be: that copies the table.
        is_counted = isinstance(table.index, pd.RangeIndex) and table.index.equals(
            pd.RangeIndex(len(table))
        )
        self._table = table if is_counted else table.reset_index(drop=True)
        self._numeric = numeric_columns(self._table)
        known = set(self._numeric)
        kept = [f for f in self._filters if f.column in known] if is_same_image else []
        self._filters = tuple(kept)
        self._refilter()
        self._is_same_image = is_same_image
        self._chosen = ()
        self.table_changed.emit()
        self.chosen_changed.emit(())

    def set_filters(self, filters: tuple[RangeFilter, ...]) -> None:
        """Take other filters."""
        self._filters = filters
        self._refilter()
        self.filters_changed.emit()

    def add_filter(self, new: RangeFilter) -> None:
        """Add a filter; one on the same column is replaced."""
        others = tuple(f for f in self._filters if f.column != new.column)
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
        known = np.isin(ids, self._table["label"]) if len(self._table) else ids > 0
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
        return np.flatnonzero(
            np.isin(self._table["label"].to_numpy(), np.asarray(labels, np.int64))
        )

    def centroid_voxel(self, label: int) -> tuple[int, int, int] | None:
        """The voxel nearest to the middle of a cell."""
        names = [f"centroid_{axis}_voxel" for axis in "zyx"]
        rows = self.rows_of((label,))
        if len(rows) == 0 or not set(names) <= set(self._table.columns):
            return None
        middle = self._table.loc[rows[0], names].to_numpy(dtype=np.float64)
        z, y, x = (int(v) for v in np.rint(middle))
        return z, y, x

    def values(self, column: str) -> LabelValues:
        """The values of a column by label id."""
        numbers = self._table[column].to_numpy(dtype=np.float64)
        return LabelValues(self._table["label"].to_numpy(np.int64), numbers)

    def _refilter(self) -> None:
        kept = np.ones(len(self._table), dtype=bool)
        for one in self._filters:
            kept &= one.keeps(self._table)
        self._kept = kept


def numeric_columns(table: pd.DataFrame) -> list[str]:
    """The columns that can be plotted and filtered, without the label id."""
    # Taking columns out one by one to ask for their types takes a hundred times as long.
    types = zip(table.columns.tolist(), table.dtypes.tolist(), strict=True)
    return [
        str(name)
        for name, dtype in types
        if name != "label" and pd.api.types.is_numeric_dtype(dtype)
    ]
