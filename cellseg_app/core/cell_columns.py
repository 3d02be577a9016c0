"""A table of cells looked at column by column, whether it lies in memory or in a file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

Rows: TypeAlias = "npt.NDArray[np.intp] | slice"
ALL_ROWS = slice(None)


class LabelIndex:
    """Finds the rows of label ids without going through all of them.

    Parameters
    ----------
    labels
        The id of every row; no two are the same. They are sorted, unless they ascend already.
    """

    def __init__(self, labels: npt.NDArray[np.int64]) -> None:
        ascend = bool((labels[1:] > labels[:-1]).all())
        self._rows = None if ascend else np.argsort(labels, kind="stable")
        self._sorted = labels if self._rows is None else labels[self._rows]

    def has(self, labels: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Whether each label id is there."""
        if not len(self._sorted):
            return np.zeros(len(labels), np.bool_)
        places = np.minimum(np.searchsorted(self._sorted, labels), len(self._sorted) - 1)
        return np.asarray(self._sorted[places] == labels, np.bool_)

    def rows(self, labels: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
        """The rows of label ids, ascending; those that are not there have none."""
        there = np.unique(labels[self.has(labels)])
        places = np.searchsorted(self._sorted, there)
        return np.asarray(places if self._rows is None else np.sort(self._rows[places]), np.intp)


class CellColumns(Protocol):
    """One row per cell, column `label` among others; rows are known by their place.

    Columns may be read in any thread.
    """

    @property
    def in_memory(self) -> bool:
        """Whether columns are at hand; else they are read from a file, which takes a moment."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns."""

    @property
    def numeric(self) -> tuple[str, ...]:
        """The columns that hold numbers, the label ids among them."""

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """The label id of every row; always in memory."""

    @property
    def index(self) -> LabelIndex:
        """Finds the rows of label ids."""

    def __len__(self) -> int: ...

    def column(self, name: str, rows: Rows = ALL_ROWS) -> npt.NDArray[Any]:
        """The values of a column, of some rows in their order.

        Raises
        ------
        InputError
            They cannot be read.
        """


class FrameColumns:
    """The columns of a table in memory."""

    in_memory = True

    def __init__(self, table: pd.DataFrame) -> None:
        self._table = table
        self.names = tuple(str(name) for name in table.columns.tolist())
        # Taking columns out one by one to ask for their types takes a hundred times as long.
        types = zip(self.names, table.dtypes.tolist(), strict=True)
        self.numeric = tuple(n for n, dtype in types if pd.api.types.is_numeric_dtype(dtype))
        # Taken out of the table when they are first looked at: it has dozens.
        self._columns: dict[str, npt.NDArray[Any]] = {}

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """The label id of every row."""
        return np.asarray(self.column("label"), np.int64)

    @cached_property
    def index(self) -> LabelIndex:
        """Finds the rows of label ids."""
        return LabelIndex(self.labels)

    def __len__(self) -> int:
        return len(self._table)

    def column(self, name: str, rows: Rows = ALL_ROWS) -> npt.NDArray[Any]:
        """The values of a column, of some rows in their order."""
        if name not in self._columns:
            self._columns[name] = self._table.iloc[:, self.names.index(name)].to_numpy()
        return self._columns[name][rows]


def frame_of(
    table: CellColumns, rows: Rows = ALL_ROWS, names: Sequence[str] | None = None
) -> pd.DataFrame:
    """Some rows and columns of a table, read into memory."""
    wanted = table.names if names is None else names
    # One by one, so that the table is never there twice.
    return pd.DataFrame({name: table.column(name, rows) for name in wanted}, copy=False)
