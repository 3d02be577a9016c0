"""The list of volumes: what each holds, how its run went, and why it failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QAction, QColor, QFontMetrics, QPainter
from PySide6.QtWidgets import (
    QListView,
    QMenu,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from cellseg_app.core.sources import shown
from cellseg_app.state.session import ItemState, QueueItem
from cellseg_app.ui.panels.empty_state import EmptyState, Panel
from cellseg_app.ui.theme import Appearance, Colors

_Index = QModelIndex | QPersistentModelIndex
_ITEM: Final = Qt.ItemDataRole.UserRole
_STATES: Final[dict[ItemState, str]] = {
    "reading": "reading",
    "ready": "ready",
    "refused": "cannot be used",
    "waiting": "waiting",
    "running": "running",
    "done": "done",
    "failed": "failed",
    "cancelled": "cancelled",
}


class QueueModel(QAbstractListModel):
    """The session's items for a list view."""

    def __init__(self) -> None:
        super().__init__()
        self._items: tuple[QueueItem, ...] = ()

    def set_items(self, items: tuple[QueueItem, ...]) -> None:
        """Show other items; rows that stay keep their selection."""
        old = [item.path for item in self._items]
        if old == [item.path for item in items]:
            self._items = items
            if items:
                self.dataChanged.emit(self.index(0), self.index(len(items) - 1))
            return
        self.beginResetModel()
        self._items = items
        self.endResetModel()

    def row_of(self, path: Path | None) -> int:
        """The row of a volume, or -1."""
        return next((row for row, item in enumerate(self._items) if item.path == path), -1)

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        """Number of volumes."""
        return 0 if parent.isValid() else len(self._items)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: ANN401
        """Name, tooltip, and the item itself."""
        if not index.isValid():
            return None
        item = self._items[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return item.path.name
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            return f"{shown(item.path)}\n{_STATES[item.state]}: {item.text}"
        return item if role == _ITEM else None


class _QueueDelegate(QStyledItemDelegate):
    """Two lines and a dot in the colour of the state."""

    def __init__(self, appearance: Appearance) -> None:
        super().__init__()
        self._appearance = appearance

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        return QSize(120, 2 * QFontMetrics(option.font).height() + 12)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        item: QueueItem = index.data(_ITEM)
        colors = self._appearance.colors
        painter.save()
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        if selected:
            painter.fillRect(option.rect, QColor(colors.raised))
            painter.fillRect(
                QRect(option.rect.topLeft(), QSize(3, option.rect.height())), QColor(colors.accent)
            )
        self._dot(painter, option.rect, item, colors)
        text = option.rect.adjusted(26, 5, -6, -5)
        height = QFontMetrics(option.font).height()
        painter.setPen(QColor(colors.text))
        _line(painter, text, item.path.name, 0)
        is_error = item.state in ("failed", "refused")
        painter.setPen(QColor(colors.error if is_error else colors.faint))
        _line(painter, text, item.text, height + 2)
        if item.progress is not None:
            _bar(painter, option.rect, item.progress, colors)
        painter.restore()

    def _dot(self, painter: QPainter, rect: QRect, item: QueueItem, colors: Colors) -> None:
        shades = {
            "done": colors.good,
            "failed": colors.error,
            "refused": colors.error,
            "running": colors.accent,
            "cancelled": colors.warning,
        }
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        color = QColor(shades.get(item.state, colors.faint))
        painter.setPen(color)
        hollow = item.state in ("reading", "ready", "waiting")
        painter.setBrush(Qt.BrushStyle.NoBrush if hollow else color)
        painter.drawEllipse(QPoint(rect.left() + 14, rect.top() + 14), 4, 4)


def _bar(painter: QPainter, rect: QRect, fraction: float, colors: Colors) -> None:
    bar = QRect(rect.left() + 26, rect.bottom() - 4, rect.width() - 32, 3)
    painter.fillRect(bar, QColor(colors.line))
    bar.setWidth(round(bar.width() * fraction))
    painter.fillRect(bar, QColor(colors.accent))


def _line(painter: QPainter, rect: QRect, text: str, offset: int) -> None:
    metrics = QFontMetrics(painter.font())
    elided = metrics.elidedText(text, Qt.TextElideMode.ElideRight, rect.width())
    painter.drawText(rect.left(), rect.top() + offset + metrics.ascent(), elided)


class QueuePanel(Panel):
    """The list at the left.

    Signals
    -------
    chosen
        Path of the volume to look at.
    remove_asked, retry_asked, folder_asked
        Paths of the selected volumes.
    """

    chosen = Signal(object)
    remove_asked = Signal(object)
    retry_asked = Signal(object)
    folder_asked = Signal(object)

    def __init__(self, appearance: Appearance, actions: tuple[QAction, ...]) -> None:
        self.view = QListView()
        content = QWidget()
        super().__init__(
            EmptyState(
                "No volume yet",
                "Drop TIFF files, folders or OME-Zarr here, or",
                actions,
            ),
            content,
        )
        self.model = QueueModel()
        self.view.setModel(self.model)
        self.view.setItemDelegate(_QueueDelegate(appearance))
        self.view.setUniformItemSizes(True)
        self.view.setSelectionMode(QListView.SelectionMode.ExtendedSelection)
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.view.setAccessibleName("Volumes")
        self.view.setToolTip("The volumes of the batch; the selected one is in the viewer")
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.view)
        self.view.selectionModel().currentChanged.connect(self._on_q_current_changed)
        self.view.customContextMenuRequested.connect(self._on_q_menu)
        self._delete = QAction("Remove from the list", self)
        self._delete.setShortcut("Del")
        self._delete.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        self._delete.triggered.connect(lambda: self.remove_asked.emit(self.selected()))
        self.addAction(self._delete)

    def show_items(self, items: tuple[QueueItem, ...], current: Path | None) -> None:
        """Show the session's volumes."""
        self.model.set_items(items)
        row = self.model.row_of(current)
        if row >= 0 and self.view.currentIndex().row() != row:
            self.view.setCurrentIndex(self.model.index(row))
        self.set_filled(bool(items))

    def selected(self) -> list[Path]:
        """Paths of the selected volumes."""
        return [index.data(_ITEM).path for index in self.view.selectedIndexes()]

    def _on_q_current_changed(self, index: QModelIndex) -> None:
        if index.isValid():
            self.chosen.emit(index.data(_ITEM).path)

    def _on_q_menu(self, position: QPoint) -> None:
        items = [index.data(_ITEM) for index in self.view.selectedIndexes()]
        if not items:
            return
        paths = [item.path for item in items]
        menu = QMenu(self)
        retry = menu.addAction("Run again")
        retry.setEnabled(any(item.state in ("failed", "cancelled", "done") for item in items))
        retry.triggered.connect(lambda: self.retry_asked.emit(paths))
        folder = menu.addAction("Show results in the file browser")
        folder.setEnabled(items[0].record is not None)
        folder.triggered.connect(lambda: self.folder_asked.emit(paths[0]))
        menu.addAction(self._delete)
        menu.exec(self.view.viewport().mapToGlobal(position))
