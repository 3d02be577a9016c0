"""Plots of the measured cells: histogram, scatter, depth profile, comparison of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyqtgraph as pg
from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from cellseg_app.core.errors import UserError
from cellseg_app.ui.cells import Cells, RangeFilter, numeric_columns
from cellseg_app.ui.panels.empty_state import EmptyState, Panel
from cellseg_app.ui.plots.export import PLOT_FILTER, save_plot
from cellseg_app.ui.theme import Appearance

Numbers = npt.NDArray[np.float64]
_MAX_BINS = 60
_MAX_POINTS = 20_000
_BAR_WIDTH = 150


@dataclass(frozen=True, slots=True, eq=False)
class ImageCells:
    """The cells of one image of a batch."""

    name: str
    table: pd.DataFrame


class Plot(QWidget):
    """A plot with its choice of columns and a button that saves it."""

    failed = Signal(object)

    def __init__(self, cells: Cells, appearance: Appearance, *, choices: int) -> None:
        super().__init__()
        self._cells = cells
        self._appearance = appearance
        self.figure = pg.PlotWidget()
        self.figure.setMenuEnabled(False)
        self.figure.hideButtons()
        self.boxes = [_column_box(n) for n in range(choices)]
        # Beside the plot, for the panel is wide and low.
        self.bar = QVBoxLayout()
        for box in self.boxes:
            box.activated.connect(self.draw)
            self.bar.addWidget(box)
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


class Histogram(Plot):
    """How a column is distributed; a range drawn with the mouse becomes a filter."""

    def __init__(self, cells: Cells, appearance: Appearance) -> None:
        super().__init__(cells, appearance, choices=1)
        self.region = pg.LinearRegionItem()
        keep = QPushButton("Keep this range")
        keep.setToolTip("Filter the table and the exported labels by the shaded range")
        keep.clicked.connect(self._on_q_keep)
        self.bar.insertWidget(1, keep)

    def draw(self) -> None:
        """Draw the histogram of the chosen column."""
        self.figure.clear()
        name = self.boxes[0].currentText()
        if not name:
            return
        values = _finite(self._cells.kept_table[name])
        if len(values) == 0:
            return
        heights, edges = np.histogram(values, bins=_n_bins(values))
        colors = self._appearance.colors
        self.figure.addItem(
            pg.BarGraphItem(
                x0=edges[:-1], x1=edges[1:], height=heights, brush=colors.accent, pen=colors.base
            )
        )
        self.region = pg.LinearRegionItem(
            values=(float(edges[0]), float(edges[-1])), brush=(128, 128, 128, 40)
        )
        self.region.setZValue(10)
        self.figure.addItem(self.region)
        self.figure.setLabel("bottom", name)
        self.figure.setLabel("left", "cells")
        self.figure.autoRange()

    def _on_q_keep(self) -> None:
        low, high = self.region.getRegion()
        self._cells.add_filter(RangeFilter(self.boxes[0].currentText(), float(low), float(high)))


class Scatter(Plot):
    """Two columns against each other; a click chooses the cell."""

    def __init__(self, cells: Cells, appearance: Appearance) -> None:
        super().__init__(cells, appearance, choices=2)
        self.note = QLabel()
        self.note.setProperty("role", "hint")
        self.note.setWordWrap(True)
        self.note.setFixedWidth(_BAR_WIDTH)
        self.bar.insertWidget(2, self.note)
        cells.chosen_changed.connect(self._on_chosen_changed)
        self._mark = pg.ScatterPlotItem(size=14, pen=None, brush=None)

    def draw(self) -> None:
        """Draw a point per cell, of very many a regular sample."""
        self.figure.clear()
        across, up = (box.currentText() for box in self.boxes)
        if not across or not up:
            return
        table = self._cells.kept_table
        step = -(-len(table) // _MAX_POINTS) or 1
        self.note.setText("" if step == 1 else f"every {step}th cell is drawn")
        shown = table.iloc[::step]
        accent = pg.mkColor(self._appearance.colors.accent)
        accent.setAlpha(150)
        points = pg.ScatterPlotItem(
            x=shown[across].to_numpy(float),
            y=shown[up].to_numpy(float),
            data=shown["label"].to_numpy(),
            size=6,
            pen=None,
            brush=accent,
        )
        points.sigClicked.connect(self._on_q_clicked)
        self.figure.addItem(points)
        self.figure.addItem(self._mark)
        self.figure.setLabel("bottom", across)
        self.figure.setLabel("left", up)
        self.figure.autoRange()
        self._on_chosen_changed(self._cells.chosen)

    def _on_q_clicked(self, _item: object, points: Sequence[object]) -> None:
        if len(points):
            self._cells.choose(int(points[0].data()))  # type: ignore[attr-defined]

    def _on_chosen_changed(self, label: int | None) -> None:
        table = self._cells.table
        across, up = (box.currentText() for box in self.boxes)
        row = table[table["label"] == label]
        if label is None or row.empty or across not in table or up not in table:
            self._mark.setData([])
            return
        pen = pg.mkPen(self._appearance.colors.text, width=2)
        self._mark.setData(
            x=row[across].to_numpy(float), y=row[up].to_numpy(float), pen=pen, brush=None
        )


class DepthProfile(Plot):
    """Cells along Z."""

    def __init__(self, cells: Cells, appearance: Appearance) -> None:
        super().__init__(cells, appearance, choices=1)
        self.boxes[0].hide()

    def draw(self) -> None:
        """Draw how many cells lie at each depth."""
        self.figure.clear()
        table = self._cells.kept_table
        name = "centroid_z_um" if "centroid_z_um" in table else "centroid_z_voxel"
        if name not in table or table.empty:
            return
        values = _finite(table[name])
        heights, edges = np.histogram(values, bins=min(_MAX_BINS, _n_bins(values)))
        colors = self._appearance.colors
        fill = pg.mkColor(colors.accent)
        fill.setAlpha(70)
        self.figure.plot(
            edges, heights, stepMode="center", fillLevel=0, brush=fill, pen=pg.mkPen(colors.accent)
        )
        self.figure.setLabel("bottom", f"depth ({name})")
        self.figure.setLabel("left", "cells per bin")
        self.figure.autoRange()


class Comparison(Plot):
    """One column, image by image: median and quartiles, and how many cells there are."""

    def __init__(self, cells: Cells, appearance: Appearance) -> None:
        super().__init__(cells, appearance, choices=1)
        self._images: list[ImageCells] = []
        self.figure.getAxis("bottom").setHeight(38)
        legend = QLabel("Dot: median, bar: quartiles")
        legend.setProperty("role", "hint")
        legend.setWordWrap(True)
        self.bar.insertWidget(1, legend)

    def set_images(self, images: Sequence[ImageCells]) -> None:
        """Take the images of a batch."""
        self._images = list(images)
        self.draw()

    def draw(self) -> None:
        """Draw a bar of quartiles per image."""
        self.figure.clear()
        name = self.boxes[0].currentText()
        images = [i for i in self._images if name in i.table and len(i.table)]
        if not images:
            return
        quartiles = np.array(
            [np.quantile(_finite(i.table[name]), (0.25, 0.5, 0.75)) for i in images]
        )
        places = np.arange(len(images))
        colors = self._appearance.colors
        fill = pg.mkColor(colors.accent)
        fill.setAlpha(110)
        self.figure.addItem(
            pg.BarGraphItem(
                x=places,
                y0=quartiles[:, 0],
                height=quartiles[:, 2] - quartiles[:, 0],
                width=0.6,
                brush=fill,
                pen=colors.accent,
            )
        )
        self.figure.plot(
            places, quartiles[:, 1], pen=None, symbol="o", symbolSize=8, symbolBrush=colors.text
        )
        names = [(n, f"{_short(i.name)}\n{len(i.table):,} cells") for n, i in enumerate(images)]
        self.figure.getAxis("bottom").setTicks([names])
        self.figure.setLabel("left", name)
        self.figure.autoRange()


class PlotPanel(Panel):
    """The plots as tabs; only the visible one is drawn."""

    failed = Signal(object)

    def __init__(self, cells: Cells, appearance: Appearance) -> None:
        self.tabs = QTabWidget()
        super().__init__(
            EmptyState(
                "Nothing to plot yet", "Run a volume: its measurements can be plotted here."
            ),
            self.tabs,
        )
        self._cells = cells
        self.histogram = Histogram(cells, appearance)
        self.scatter = Scatter(cells, appearance)
        self.profile = DepthProfile(cells, appearance)
        self.comparison = Comparison(cells, appearance)
        for title, plot in (
            ("Histogram", self.histogram),
            ("Scatter", self.scatter),
            ("Depth profile", self.profile),
            ("Images compared", self.comparison),
        ):
            self.tabs.addTab(plot, title)
            plot.failed.connect(self.failed)
        self.tabs.currentChanged.connect(self._draw)
        cells.table_changed.connect(self._on_table_changed)
        cells.filters_changed.connect(self._draw)

    def _on_table_changed(self) -> None:
        columns = numeric_columns(self._cells.table)
        size = "volume_um3" if "volume_um3" in columns else "n_voxels"
        self.histogram.offer(columns, [size])
        self.scatter.offer(columns, [size, "intensity_mean"])
        self.profile.offer(columns, [size])
        self.comparison.offer(columns, [size])
        self.set_filled(len(self._cells.table) > 0)
        self._draw()

    def _draw(self) -> None:
        current = self.tabs.currentWidget()
        if isinstance(current, Plot) and len(self._cells.table):
            current.draw()


def _column_box(place: int) -> QComboBox:
    box = QComboBox()
    name = ("Column across", "Column up")[place]
    box.setAccessibleName(name)
    box.setToolTip(name)
    box.setFixedWidth(_BAR_WIDTH)
    return box


def _finite(values: pd.Series[Any]) -> Numbers:
    numbers = values.to_numpy(dtype=np.float64)
    finite: Numbers = numbers[np.isfinite(numbers)]
    return finite


def _n_bins(values: Numbers) -> int:
    return int(np.clip(np.sqrt(len(values)) * 1.5, 5, _MAX_BINS))


def _short(name: str) -> str:
    return name if len(name) <= 16 else f"{name[:8]}…{name[-6:]}"
