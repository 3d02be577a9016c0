"""The measured cells of the result looked at: one table, the filters on it, the chosen cell.

Table, plots and viewer all look at this; cells are known by their label id, never by a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from PySide6.QtCore import QObject, Signal

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
    """The table of cells with filters and the chosen cell; lives on the GUI thread.

    Signals
    -------
    table_changed
        Another table; filters and choice are gone.
    filters_changed
        The filters, and with them `kept`.
    chosen_changed
        Label id of the chosen cell, or None.
    """

    table_changed = Signal()
    filters_changed = Signal()
    chosen_changed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._table = pd.DataFrame({"label": np.zeros(0, np.int64)})
        self._numeric: list[str] = []
        self._filters: tuple[RangeFilter, ...] = ()
        self._kept = np.ones(0, dtype=bool)
        self._chosen: int | None = None

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
    def chosen(self) -> int | None:
        """Label id of the chosen cell."""
        return self._chosen

    def set_table(self, table: pd.DataFrame | None, *, keep_filters: bool = False) -> None:
        """Take another table; filters on columns that it lacks are dropped."""
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
        kept = [f for f in self._filters if f.column in known] if keep_filters else []
        self._filters = tuple(kept)
        self._refilter()
        self._chosen = None
        self.table_changed.emit()
        self.chosen_changed.emit(None)

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
        """Choose a cell by its label id; 0 and unknown ids choose none."""
        known = label is not None and bool((self._table["label"] == label).any())
        chosen = label if known else None
        if chosen != self._chosen:
            self._chosen = chosen
            self.chosen_changed.emit(chosen)

    def rows_of(self, label: int) -> npt.NDArray[np.intp]:
        """The places in the table of a label id: one, or none."""
        return np.flatnonzero(self._table["label"].to_numpy() == label)

    def centroid_voxel(self, label: int) -> tuple[int, int, int] | None:
        """The voxel nearest to the middle of a cell."""
        names = [f"centroid_{axis}_voxel" for axis in "zyx"]
        rows = self.rows_of(label)
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
