"""A Qt model over the measured cells: sorted and filtered by index arrays, never copied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import (
    QAbstractTableModel,
    QItemSelectionRange,
    QModelIndex,
    QPersistentModelIndex,
    Qt,
)

from cellseg_app.ui.cells import Cells
from cellseg_app.ui.latest import MANY_ROWS, Latest
from cellseg_app.ui.panels.table_pages import TablePages
from cellseg_app.ui.panels.table_rows import SeenRows, seen_rows

_Index = QModelIndex | QPersistentModelIndex
_NOT_READ: Final = "…"
_RIGHT: Final = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


class CellTableModel(QAbstractTableModel):
    """Shows the cells that pass the filters; a row is known by its label id.

    Many rows are sorted and filtered in a thread, and stay as they are until then.
    """

    def __init__(self, cells: Cells) -> None:
        super().__init__()
        self._cells = cells
        self._columns: list[str] = []
        self._pages = TablePages(cells.table)
        self._pages.arrived.connect(self._on_arrived)
        self._pages.failed.connect(cells.failed)
        self._sorted_by: tuple[int, Qt.SortOrder] = (0, Qt.SortOrder.AscendingOrder)
        self._latest = Latest()
        self._latest.failed.connect(cells.failed)
        cells.table_changed.connect(self._on_table_changed)
        cells.filters_changed.connect(self._arrange)
        self._take_columns()

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return self._columns

    def label_at(self, row: int) -> int:
        """Label id of a row."""
        return int(self._cells.table.labels[self._seen.order[row]])

    def labels_of(self, rows: slice) -> npt.NDArray[np.int64]:
        """Label ids of some rows."""
        return self._cells.table.labels[self._seen.order[rows]]

    def row_of(self, label: int) -> int:
        """Row of a label id, or -1 if it is not there or filtered out."""
        found = self.rows_of((label,))
        return int(found[0]) if len(found) else -1

    def rows_of(self, labels: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
        """Rows of label ids, ascending; those that are not there or filtered out have none."""
        return self._seen.places_of(self._cells.rows_of(labels))

    def whole_rows(self, first: int, last: int) -> QItemSelectionRange:
        """A range of rows, both included, with all of their columns; they must be there."""
        # `index` would ask for the number of rows and columns each time.
        ends = self.createIndex(first, 0), self.createIndex(last, len(self._columns) - 1)
        return QItemSelectionRange(*ends)

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        """Number of cells that pass the filters."""
        return 0 if parent.isValid() else len(self._seen.order)

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
        self._arrange()

    def _on_table_changed(self) -> None:
        self._latest.forget()
        self.beginResetModel()
        self._take_columns()
        self.endResetModel()
        self._arrange()

    def _take_columns(self) -> None:
        table = self._cells.table
        self._columns = list(table.names)
        self._show(seen_rows(table, self._cells.kept, None))

    def _show(self, seen: SeenRows) -> None:
        self._seen = seen
        self._pages.show(self._cells.table, seen.order)

    def _arrange(self) -> None:
        """Sort and filter."""
        column, order = self._sorted_by
        is_sorted = 0 <= column < len(self._columns)
        sorted_by = (self._columns[column], order) if is_sorted else None
        table, kept, before = self._cells.table, self._cells.kept, self._seen
        is_at_hand = table.in_memory or before.sorted_by == sorted_by

        def work() -> SeenRows:
            # Made here, and so at hand when a cell is chosen.
            _ = table.index
            # NumPy lets go of the interpreter lock while it sorts.
            return seen_rows(table, kept, sorted_by, before)

        at_once = is_at_hand and len(table) <= MANY_ROWS
        self._latest.ask(work, self._on_arranged, at_once=at_once)

    def _on_arrived(self, first: int, last: int) -> None:
        self.dataChanged.emit(self.index(first, 0), self.index(last, len(self._columns) - 1))

    def _on_arranged(self, seen: SeenRows) -> None:
        before = self._seen
        if seen.places is None and before.places is None:
            # The same rows, in the order of the table.
            self._seen = seen
        elif len(seen.order) == len(before.order):
            self.layoutAboutToBeChanged.emit()
            self._show(seen)
            self.layoutChanged.emit()
        else:
            self.beginResetModel()
            self._show(seen)
            self.endResetModel()


def _shown(value: object) -> str:
    if value is None:
        return _NOT_READ
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        return "" if np.isnan(value) else f"{value:.5g}"
    return str(value)
