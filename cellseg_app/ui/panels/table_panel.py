"""The table of cells: sort, filter, colour by a column, export."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QModelIndex, QSignalBlocker, Qt, Signal
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


class TablePanel(Panel):
    """The table and the bar above it.

    Signals
    -------
    color_by_asked
        Column to colour the labels by, or "" for their own colours.
    """

    color_by_asked = Signal(str)

    def __init__(self, cells: Cells, exports: tuple[QAction, ...]) -> None:
        content = QWidget()
        super().__init__(
            EmptyState(
                "No cells measured yet",
                "Run a volume: every cell gets a row here. Click one to see it in the viewer.",
            ),
            content,
        )
        self._cells = cells
        self.model = CellTableModel(cells)
        self.view = QTableView()
        self._set_up_view()
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
        # Rows move when they are sorted or filtered; the chosen cell stays the same.
        for moved in (self.model.layoutChanged, self.model.modelReset):
            moved.connect(lambda *_: self._on_chosen_changed(cells.chosen))
        self._on_table_changed()

    def _set_up_view(self) -> None:
        view = self.view
        view.setModel(self.model)
        view.setSortingEnabled(True)
        view.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        view.setAlternatingRowColors(True)
        view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        view.verticalHeader().hide()
        view.horizontalHeader().setHighlightSections(False)
        view.verticalHeader().setDefaultSectionSize(view.fontMetrics().height() + 6)
        view.setWordWrap(False)
        # Arrows move within the table; Tab must get out of it.
        view.setTabKeyNavigation(False)
        view.setAccessibleName("Cells")
        view.setToolTip("One row per cell; click one to see it, a heading to sort")
        view.selectionModel().currentRowChanged.connect(self._on_q_row)

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
        total, shown = len(self._cells.table), int(np.count_nonzero(self._cells.kept))
        noun = "cell" if total == 1 else "cells"
        self.count_label.setText(
            f"{total:,} {noun}" if shown == total else f"{shown:,} of {total:,} {noun}"
        )

    def _remove(self, gone: RangeFilter) -> None:
        self._cells.set_filters(tuple(f for f in self._cells.filters if f != gone))

    def _on_q_filter(self) -> None:
        low = _number(self.low.text(), -np.inf)
        high = _number(self.high.text(), np.inf)
        if self.column.currentText() and (low, high) != (-np.inf, np.inf):
            self._cells.add_filter(RangeFilter(self.column.currentText(), low, high))

    def _on_q_color(self, index: int) -> None:
        self.color_by_asked.emit("" if index == 0 else self.color.currentText())

    def _on_q_row(self, current: QModelIndex) -> None:
        if current.isValid():
            self._cells.choose(self.model.label_at(current.row()))

    def _on_chosen_changed(self, label: int | None) -> None:
        row = -1 if label is None else self.model.row_of(label)
        if row < 0:
            self.view.clearSelection()
        elif self.view.currentIndex().row() != row or not self.view.selectedIndexes():
            selection = self.view.selectionModel()
            with QSignalBlocker(selection):
                self.view.selectRow(row)
            self.view.viewport().update()
            self.view.scrollTo(self.model.index(row, 0))


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
