"""A Qt model over the measured cells: sorted and filtered by index arrays, never copied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QPersistentModelIndex,
    Qt,
)

from cellseg_app.ui.cells import Cells
from cellseg_app.ui.latest import Latest
from cellseg_app.ui.panels.table_pages import TablePages

_Index = QModelIndex | QPersistentModelIndex
# Sorted within a few milliseconds.
_SORTED_AT_ONCE: Final = 100_000
_NOT_READ: Final = "…"
_RIGHT: Final = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


class CellTableModel(QAbstractTableModel):
    """Shows the cells that pass the filters; a row is known by its label id.

    The order of all rows is kept, and filtered; many rows are put in order in a thread, and stay
    as they are until then.
    """

    def __init__(self, cells: Cells) -> None:
        super().__init__()
        self._cells = cells
        self._columns: list[str] = []
        self._pages = TablePages(cells.table)
        self._pages.arrived.connect(self._on_arrived)
        self._pages.failed.connect(cells.failed)
        self._order = np.zeros(0, dtype=np.intp)
        self._all = np.zeros(0, dtype=np.intp)
        self._sorted_by: tuple[int, Qt.SortOrder] = (0, Qt.SortOrder.AscendingOrder)
        self._latest = Latest()
        self._latest.failed.connect(cells.failed)
        cells.table_changed.connect(self._on_table_changed)
        cells.filters_changed.connect(self._on_filters_changed)
        self._take_columns()

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return self._columns

    def label_at(self, row: int) -> int:
        """Label id of a row."""
        return int(self._cells.table.labels[self._order[row]])

    def labels_of(self, rows: slice) -> npt.NDArray[np.int64]:
        """Label ids of some rows."""
        return self._cells.table.labels[self._order[rows]]

    def row_of(self, label: int) -> int:
        """Row of a label id, or -1 if it is not there or filtered out."""
        found = self.rows_of((label,))
        return int(found[0]) if len(found) else -1

    def rows_of(self, labels: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
        """Rows of label ids, ascending; those that are not there or filtered out have none."""
        own = self._cells.table.labels[self._order]
        return np.flatnonzero(np.isin(own, np.asarray(labels, np.int64)))

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        """Number of cells that pass the filters."""
        return 0 if parent.isValid() else len(self._order)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        """Number of columns."""
        return 0 if parent.isValid() else len(self._columns)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: ANN401
        """Text and alignment of a cell of the table."""
        if role == Qt.ItemDataRole.DisplayRole:
            return _shown(self._pages.value(index.row(), index.column()))
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _RIGHT
        return None

    def headerData(
        self,
        section: int,
        orientation: Qt.Orientation,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> Any:  # noqa: ANN401
        """Name of a column."""
        across = orientation == Qt.Orientation.Horizontal
        if across and role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return self._columns[section]
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; cells of equal value stay in the order of their ids."""
        self._sorted_by = (column, order)
        self._order_all()

    def _on_table_changed(self) -> None:
        self.beginResetModel()
        self._take_columns()
        self.endResetModel()
        self._order_all()

    def _on_filters_changed(self) -> None:
        self.beginResetModel()
        self._filter()
        self.endResetModel()

    def _take_columns(self) -> None:
        table = self._cells.table
        self._columns = list(table.names)
        self._all = np.arange(len(table))
        self._filter()

    def _filter(self) -> None:
        kept = self._cells.kept
        self._order = self._all if kept.all() else self._all[kept[self._all]]
        self._pages.show(self._cells.table, self._order)

    def _order_all(self) -> None:
        self._latest.forget()
        column, order = self._sorted_by
        if not 0 <= column < len(self._columns):
            return
        table, name = self._cells.table, self._columns[column]
        self._latest.ask(
            # NumPy lets go of the interpreter lock while it sorts.
            lambda: order_of(table.column(name), order),
            self._on_ordered,
            at_once=table.in_memory and len(table) <= _SORTED_AT_ONCE,
        )

    def _on_arrived(self, first: int, last: int) -> None:
        self.dataChanged.emit(self.index(first, 0), self.index(last, len(self._columns) - 1))

    def _on_ordered(self, rows: npt.NDArray[np.intp]) -> None:
        if np.array_equal(rows, self._all):
            return
        self.layoutAboutToBeChanged.emit()
        self._all = rows
        self._filter()
        self.layoutChanged.emit()


def order_of(keys: npt.NDArray[Any], order: Qt.SortOrder) -> npt.NDArray[np.intp]:
    """The places of sorted keys; equal ones keep their order, whichever way is asked for."""
    if order == Qt.SortOrder.DescendingOrder:
        # Reversed twice, so that equal values keep their order.
        backwards = np.argsort(keys[::-1], kind="stable")[::-1]
        return np.asarray(len(keys) - 1 - backwards, np.intp)
    return np.asarray(np.argsort(keys, kind="stable"), np.intp)


def _shown(value: object) -> str:
    if value is None:
        return _NOT_READ
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        return "" if np.isnan(value) else f"{value:.5g}"
    return str(value)
