"""The table of cells: sort, filter, colour by a column, export."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QItemSelection, QItemSelectionModel, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QAction, QDoubleValidator
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from cellseg_app.ui.cells import Cells, RangeFilter
from cellseg_app.ui.panels.empty_state import EmptyState, Panel
from cellseg_app.ui.panels.table_model import CellTableModel

_OWN_COLORS = "Own colours"
# Qt selects rows piece by piece.
_MOST_PIECES = 2_000


class TablePanel(Panel):
    """The table and the bar above it.

    Signals
    -------
    color_by_asked
        Column to colour the labels by, or "" for their own colours.
    """

    color_by_asked = Signal(str)

    def __init__(
        self, cells: Cells, exports: tuple[QAction, ...], of_cells: tuple[QAction, ...] = ()
    ) -> None:
        content = QWidget()
        super().__init__(
            EmptyState(
                "No cells measured yet",
                "Run a volume: every cell gets a row here. Click one to see it in the viewer.",
            ),
            content,
        )
        self._cells = cells
        self._is_selecting, self._place = False, 0
        self.model = CellTableModel(cells)
        self.view = QTableView()
        self._set_up_view()
        self.view.addActions(of_cells)
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        self._chips = QHBoxLayout()
        self._chips.setSpacing(4)
        column = QVBoxLayout(content)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(4)
        column.addLayout(self._build_bar(exports))
        column.addLayout(self._chips)
        column.addWidget(self.view, 1)
        cells.table_changed.connect(self._on_table_changed)
        cells.filters_changed.connect(self._show_filters)
        cells.chosen_changed.connect(self._on_chosen_changed)
        # Rows move when they are sorted or filtered; the chosen cells stay the same.
        for moved in (self.model.layoutChanged, self.model.modelReset):
            moved.connect(self._on_rows_moved)
        self._on_table_changed()

    def _set_up_view(self) -> None:
        view = self.view
        # Before the selection hears of it: Qt would follow every selected field by itself.
        self.model.layoutAboutToBeChanged.connect(self._select_none)
        self.model.modelAboutToBeReset.connect(self._keep_place)
        view.setModel(self.model)
        # Headings that share the selection ask every row of it whether all of a column is chosen.
        for header in (view.horizontalHeader(), view.verticalHeader()):
            header.setSelectionModel(QItemSelectionModel(self.model, view))
        view.setSortingEnabled(True)
        view.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        view.setAlternatingRowColors(True)
        view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        view.verticalHeader().hide()
        view.horizontalHeader().setHighlightSections(False)
        view.verticalHeader().setDefaultSectionSize(view.fontMetrics().height() + 6)
        view.setWordWrap(False)
        # Arrows move within the table; Tab must get out of it.
        view.setTabKeyNavigation(False)
        view.setAccessibleName("Cells")
        view.setToolTip(
            "One row per cell; click one to see it, with Ctrl or Shift several, a heading to sort"
        )
        view.selectionModel().selectionChanged.connect(self._on_q_selection)

    def _build_bar(self, exports: tuple[QAction, ...]) -> QHBoxLayout:
        bar = QHBoxLayout()
        self.count_label = QLabel()
        self.column = _narrow_box()
        self.column.setAccessibleName("Column to filter by")
        self.column.setToolTip("Column to filter by")
        self.low = _bound("from", "Smallest value that is kept; empty for no limit")
        self.high = _bound("to", "Largest value that is kept; empty for no limit")
        add = QPushButton("Filter")
        add.setToolTip("Keep only the cells in this range")
        add.clicked.connect(self._on_q_filter)
        self.high.returnPressed.connect(self._on_q_filter)
        self.low.returnPressed.connect(self._on_q_filter)
        self.color = _narrow_box()
        self.color.setAccessibleName("Colour labels by")
        self.color.setToolTip("Colour the labels in the viewer by a column")
        self.color.activated.connect(self._on_q_color)
        color_title = QLabel("Colour by")
        color_title.setBuddy(self.color)
        parts = (self.count_label, self.column, self.low, self.high, add, color_title, self.color)
        for widget in parts:
            bar.addWidget(widget)
        bar.insertStretch(1, 1)
        if exports:
            bar.addWidget(_export_button(exports))
        return bar

    def _on_table_changed(self) -> None:
        columns = self._cells.numeric_columns
        with QSignalBlocker(self.column):
            self.column.clear()
            self.column.addItems(columns)
        with QSignalBlocker(self.color):
            wanted = self.color.currentText()
            self.color.clear()
            self.color.addItem(_OWN_COLORS)
            self.color.addItems(columns)
            self.color.setCurrentIndex(max(0, self.color.findText(wanted)))
        # The colours belong to the ids of the table before.
        self._on_q_color(self.color.currentIndex())
        self.set_filled(len(self._cells.table) > 0)
        self._fit_columns()
        if self._cells.is_same_image:
            self.view.verticalScrollBar().setValue(self._place)
        self._show_filters()

    def _fit_columns(self) -> None:
        # Measuring 50,000 rows would block; the heading decides.
        metrics = self.view.fontMetrics()
        for place, name in enumerate(self.model.columns):
            self.view.setColumnWidth(place, max(64, metrics.horizontalAdvance(name) + 28))

    def _show_filters(self) -> None:
        while (item := self._chips.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        for one in self._cells.filters:
            chip = QToolButton()
            chip.setText(f"{one.sentence()}  ✕")
            chip.setToolTip("Remove this filter")
            chip.clicked.connect(lambda _=False, gone=one: self._remove(gone))
            self._chips.addWidget(chip)
        self._chips.addStretch(1)
        self._show_count()

    def _show_count(self) -> None:
        total, shown = len(self._cells.table), int(np.count_nonzero(self._cells.kept))
        noun = "cell" if total == 1 else "cells"
        said = f"{total:,} {noun}" if shown == total else f"{shown:,} of {total:,} {noun}"
        n_chosen = len(self._cells.chosen)
        self.count_label.setText(f"{said}, {n_chosen:,} chosen" if n_chosen > 1 else said)

    def _remove(self, gone: RangeFilter) -> None:
        self._cells.set_filters(tuple(f for f in self._cells.filters if f != gone))

    def _on_q_filter(self) -> None:
        low = _number(self.low.text(), -np.inf)
        high = _number(self.high.text(), np.inf)
        if self.column.currentText() and (low, high) != (-np.inf, np.inf):
            self._cells.add_filter(RangeFilter(self.column.currentText(), low, high))

    def _on_q_color(self, index: int) -> None:
        self.color_by_asked.emit("" if index == 0 else self.color.currentText())

    def _on_q_selection(self) -> None:
        if self._is_selecting:
            return
        labels = self._selected_labels()
        if len(labels) == 1:
            self._cells.choose(int(labels[0]))
        else:
            self._cells.choose_all(labels)

    def _selected_labels(self) -> npt.NDArray[np.int64]:
        selection = self.view.selectionModel().selection()
        parts = [selection.at(place) for place in range(selection.count())]
        found = [self.model.labels_of(slice(part.top(), part.bottom() + 1)) for part in parts]
        return np.concatenate([np.zeros(0, np.int64), *found])

    def _on_rows_moved(self) -> None:
        self._on_chosen_changed(self._cells.chosen)

    def _select_none(self) -> None:
        self._is_selecting = True
        self.view.clearSelection()
        self._is_selecting = False

    def _on_chosen_changed(self, labels: tuple[int, ...]) -> None:
        self._show_count()
        chosen = np.asarray(labels, np.int64)
        if np.array_equal(np.sort(chosen), np.sort(self._selected_labels())):
            return
        self._is_selecting = True
        rows, mode = self.model.rows_of(chosen), QItemSelectionModel.SelectionFlag
        self.view.selectionModel().select(self._rows_selected(rows), mode.ClearAndSelect)
        if len(rows):
            newest = self.model.index(max(self.model.row_of(labels[-1]), int(rows[0])), 0)
            self.view.selectionModel().setCurrentIndex(newest, mode.NoUpdate)
            self.view.scrollTo(newest)
        self._is_selecting = False

    def _rows_selected(self, rows: npt.NDArray[np.intp]) -> QItemSelection:
        """Rows, neighbours together; of very many scattered ones the first."""
        is_first = np.diff(rows, prepend=-2) > 1
        first = rows[is_first][:_MOST_PIECES].tolist()
        last = rows[np.roll(is_first, -1)][:_MOST_PIECES].tolist()
        selection = QItemSelection()
        for piece in zip(first, last, strict=True):
            selection.append(self.model.whole_rows(*piece))
        return selection

    def _keep_place(self) -> None:
        self._place = self.view.verticalScrollBar().value()


def _narrow_box() -> QComboBox:
    box = QComboBox()
    # Long column names must not make the window wider.
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(7)
    return box


def _export_button(exports: tuple[QAction, ...]) -> QToolButton:
    """One button for all ways to export, for the bar has to fit a small window."""
    button = QToolButton()
    button.setText("Export ▾")
    button.setProperty("role", "menu")
    button.setToolTip("Export the cells shown: CSV, Excel, or their labels")
    button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
    menu = QMenu(button)
    menu.setToolTipsVisible(True)
    menu.addActions(list(exports))
    button.setMenu(menu)
    return button


def _bound(placeholder: str, tip: str) -> QLineEdit:
    line = QLineEdit()
    line.setPlaceholderText(placeholder)
    line.setFixedWidth(52)
    line.setValidator(QDoubleValidator())
    line.setAccessibleName(tip)
    line.setToolTip(tip)
    return line


def _number(text: str, fallback: float) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return fallback
