"""A Qt model over the measured cells: sorted and filtered by index arrays, never copied."""

from __future__ import annotations

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

_Index = QModelIndex | QPersistentModelIndex
_RIGHT: Final = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


class CellTableModel(QAbstractTableModel):
    """Shows the cells that pass the filters; a row is known by its label id."""

    def __init__(self, cells: Cells) -> None:
        super().__init__()
        self._cells = cells
        self._columns: list[str] = []
        self._values: list[npt.NDArray[Any]] = []
        self._order = np.zeros(0, dtype=np.intp)
        self._sorted_by: tuple[int, Qt.SortOrder] = (0, Qt.SortOrder.AscendingOrder)
        cells.table_changed.connect(self._on_table_changed)
        cells.filters_changed.connect(self._on_filters_changed)
        self._take_columns()

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return self._columns

    def label_at(self, row: int) -> int:
        """Label id of a row."""
        return int(self._values[self._columns.index("label")][self._order[row]])

    def row_of(self, label: int) -> int:
        """Row of a label id, or -1 if it is not there or filtered out."""
        labels = self._values[self._columns.index("label")][self._order]
        found = np.flatnonzero(labels == label)
        return int(found[0]) if len(found) else -1

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        """Number of cells that pass the filters."""
        return 0 if parent.isValid() else len(self._order)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        """Number of columns."""
        return 0 if parent.isValid() else len(self._columns)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: ANN401
        """Text and alignment of a cell of the table."""
        if role == Qt.ItemDataRole.DisplayRole:
            return _shown(self._values[index.column()][self._order[index.row()]])
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
        self.layoutAboutToBeChanged.emit()
        self._reorder()
        self.layoutChanged.emit()

    def _on_table_changed(self) -> None:
        self.beginResetModel()
        self._take_columns()
        self.endResetModel()

    def _on_filters_changed(self) -> None:
        self.beginResetModel()
        self._reorder()
        self.endResetModel()

    def _take_columns(self) -> None:
        table = self._cells.table
        self._columns = [str(name) for name in table.columns]
        self._values = [table[name].to_numpy() for name in table.columns]
        self._reorder()

    def _reorder(self) -> None:
        kept = np.flatnonzero(self._cells.kept)
        column, order = self._sorted_by
        if 0 <= column < len(self._values):
            keys = self._values[column][kept]
            if order == Qt.SortOrder.DescendingOrder:
                # Reversed twice, so that equal values keep their order.
                kept = kept[::-1][np.argsort(keys[::-1], kind="stable")[::-1]]
            else:
                kept = kept[np.argsort(keys, kind="stable")]
        self._order = kept


def _shown(value: object) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        return "" if np.isnan(value) else f"{value:.5g}"
    return str(value)
