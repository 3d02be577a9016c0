"""What all plots have in common: choice of columns, theme, saving."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyqtgraph as pg
from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from cellseg_app.core.errors import UserError
from cellseg_app.ui.cells import Cells, RangeFilter
from cellseg_app.ui.latest import Latest
from cellseg_app.ui.plots.export import PLOT_FILTER, save_plot
from cellseg_app.ui.theme import Appearance

BAR_WIDTH = 150
_KEEP = "Keep this range"
_HALF_LINE = 8


class Plot(QWidget):
    """A plot with its choice of columns and a button that saves it."""

    failed = Signal(object)

    def __init__(self, cells: Cells, appearance: Appearance, *, choices: int) -> None:
        super().__init__()
        self._cells = cells
        self._appearance = appearance
        self._latest = Latest()
        self._latest.failed.connect(self.failed)
        self.figure = pg.PlotWidget()
        self.figure.setMenuEnabled(False)
        self.figure.hideButtons()
        # Half the height of a number of the axis, which would be cut off at the top.
        self.figure.plotItem.setContentsMargins(0, _HALF_LINE, _HALF_LINE, 0)
        self.figure.setAccessibleName("Plot")
        self.figure.setToolTip("Wheel: zoom, drag: move; drag the handles of the shade to select")
        self.boxes = [_column_box(n) for n in range(choices)]
        # Beside the plot, for the panel is wide and low.
        self.bar = QVBoxLayout()
        for box in self.boxes:
            box.activated.connect(self.draw)
            self.bar.addWidget(box)
        self.keep = QPushButton(_KEEP)
        self.keep.setToolTip(
            "Filter table, viewer and exported labels by the shaded range; the table shows the "
            "filters and takes them away again"
        )
        self.keep.clicked.connect(self._on_q_keep)
        self.bar.addWidget(self.keep)
        self.bar.addStretch(1)
        save = QPushButton("Save plot…")
        save.setToolTip("Save this plot as PNG, SVG or PDF")
        save.clicked.connect(self._on_q_save)
        self.bar.addWidget(save)
        row = QHBoxLayout(self)
        row.setContentsMargins(6, 6, 6, 6)
        row.addLayout(self.bar)
        row.addWidget(self.figure, 1)
        appearance.changed.connect(self._on_theme_changed)
        self._on_theme_changed()

    def offer(self, columns: Sequence[str], preferred: Sequence[str]) -> None:
        """Offer columns; what was chosen stays if it is still there."""
        for box, favourite in zip(self.boxes, preferred, strict=True):
            wanted = box.currentText()
            with QSignalBlocker(box):
                box.clear()
                box.addItems(list(columns))
                row = box.findText(wanted) if wanted else -1
                row = row if row >= 0 else box.findText(favourite)
                box.setCurrentIndex(max(0, row))

    def draw(self) -> None:
        """Draw the cells that pass the filters."""
        raise NotImplementedError

    def selection(self) -> tuple[RangeFilter, ...]:
        """What the shaded range keeps; nothing where nothing is drawn."""
        raise NotImplementedError

    def _on_q_keep(self) -> None:
        for one in self.selection():
            self._cells.add_filter(one)

    def _on_theme_changed(self) -> None:
        colors = self._appearance.colors
        self.figure.setBackground(colors.base)
        for side in ("bottom", "left"):
            axis = self.figure.getAxis(side)
            axis.setPen(colors.line)
            axis.setTextPen(colors.text)
        if self._cells is not None and self.isVisible():
            self.draw()

    def _on_q_save(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Save plot", "plot.png", PLOT_FILTER)
        if not name:
            return
        try:
            save_plot(self.figure, Path(name))
        except UserError as error:
            self.failed.emit(error)


def _column_box(place: int) -> QComboBox:
    box = QComboBox()
    name = ("Column across", "Column up")[place]
    box.setAccessibleName(name)
    box.setToolTip(name)
    box.setFixedWidth(BAR_WIDTH)
    return box
