"""Histogram, scatter, depth profile, comparison of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyqtgraph as pg
from PySide6.QtWidgets import QLabel

from cellseg_app.ui.cells import Cells, RangeFilter
from cellseg_app.ui.plots.plot import BAR_WIDTH, Plot
from cellseg_app.ui.plots.selecting import (
    Rectangle,
    add_range,
    add_rectangle,
    range_filters,
    rectangle_filters,
)
from cellseg_app.ui.theme import Appearance

Numbers = npt.NDArray[np.float64]
_MAX_BINS = 60
_MAX_POINTS = 12_000
_MAX_MARKS = 2_000


@dataclass(frozen=True, slots=True, eq=False)
class ImageCells:
    """The cells of one image of a batch."""

    name: str
    table: pd.DataFrame


class Histogram(Plot):
    """How a column is distributed; a range drawn with the mouse becomes a filter."""

    def __init__(self, cells: Cells, appearance: Appearance) -> None:
        super().__init__(cells, appearance, choices=1)
        self.region = pg.LinearRegionItem()

    def draw(self) -> None:
        """Draw the histogram of the chosen column."""
        self.figure.clear()
        name = self.boxes[0].currentText()
        if not name:
            return
        values = _finite(self._cells.kept_values(name))
        if len(values) == 0:
            return
        heights, edges = counted(values, _n_bins(values))
        colors = self._appearance.colors
        self.figure.addItem(
            pg.BarGraphItem(
                x0=edges[:-1], x1=edges[1:], height=heights, brush=colors.accent, pen=colors.base
            )
        )
        self.region = add_range(self.figure, float(edges[0]), float(edges[-1]))
        self.figure.setLabel("bottom", name)
        self.figure.setLabel("left", "cells")
        self.figure.autoRange()

    def selection(self) -> tuple[RangeFilter, ...]:
        """The range along the chosen column."""
        return range_filters(self.figure, self.region, self.boxes[0].currentText())


class Scatter(Plot):
    """Two columns against each other; a click chooses the cell, a rectangle a range of both."""

    def __init__(self, cells: Cells, appearance: Appearance) -> None:
        super().__init__(cells, appearance, choices=2)
        self.note = QLabel()
        self.note.setProperty("role", "hint")
        self.note.setWordWrap(True)
        self.note.setFixedWidth(BAR_WIDTH)
        self.bar.insertWidget(3, self.note)
        self.keep.setText("Keep this rectangle")
        self.box = Rectangle((0, 0), (1, 1))
        cells.chosen_changed.connect(self._on_chosen_changed)
        self._mark = pg.ScatterPlotItem(size=14, pen=None, brush=None)

    def draw(self) -> None:
        """Draw a point per cell, of very many a regular sample."""
        self.figure.clear()
        across, up = (box.currentText() for box in self.boxes)
        if not across or not up:
            return
        rows = self._cells.kept_rows
        step = -(-len(rows) // _MAX_POINTS) or 1
        self.note.setText("" if step == 1 else f"every {step}th cell is drawn")
        shown = self._cells.table[[across, up, "label"]].iloc[rows[::step]]
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
        self.box = add_rectangle(
            self.figure, *(_finite(shown[name].to_numpy(float)) for name in (across, up))
        )
        self.figure.setLabel("bottom", across)
        self.figure.setLabel("left", up)
        self.figure.autoRange()
        self._on_chosen_changed(self._cells.chosen)

    def selection(self) -> tuple[RangeFilter, ...]:
        """The rectangle: a range of either column."""
        return rectangle_filters(self.figure, self.box, [box.currentText() for box in self.boxes])

    def _on_q_clicked(self, _item: object, points: Sequence[object]) -> None:
        if len(points):
            self._cells.choose(int(points[0].data()))  # type: ignore[attr-defined]

    def _on_chosen_changed(self, labels: tuple[int, ...]) -> None:
        table = self._cells.table
        across, up = (box.currentText() for box in self.boxes)
        if not labels or across not in table or up not in table:
            self._mark.setData([])
            return
        row = table[[across, up]].iloc[self._cells.rows_of(labels)[:_MAX_MARKS]]
        pen = pg.mkPen(self._appearance.colors.text, width=2)
        self._mark.setData(
            x=row[across].to_numpy(float), y=row[up].to_numpy(float), pen=pen, brush=None
        )


class DepthProfile(Plot):
    """Cells along Z; a range of depths becomes a filter."""

    def __init__(self, cells: Cells, appearance: Appearance) -> None:
        super().__init__(cells, appearance, choices=1)
        self.boxes[0].hide()
        self.region = pg.LinearRegionItem()
        self._column = ""

    def draw(self) -> None:
        """Draw how many cells lie at each depth."""
        self.figure.clear()
        table = self._cells.table
        name = "centroid_z_um" if "centroid_z_um" in table else "centroid_z_voxel"
        if name not in table:
            return
        self._column = name
        values = _finite(self._cells.kept_values(name))
        if len(values) == 0:
            return
        heights, edges = counted(values, min(_MAX_BINS, _n_bins(values)))
        colors = self._appearance.colors
        fill = pg.mkColor(colors.accent)
        fill.setAlpha(70)
        self.figure.plot(
            edges, heights, stepMode="center", fillLevel=0, brush=fill, pen=pg.mkPen(colors.accent)
        )
        self.region = add_range(self.figure, float(edges[0]), float(edges[-1]))
        self.figure.setLabel("bottom", f"depth ({name})")
        self.figure.setLabel("left", "cells per bin")
        self.figure.autoRange()

    def selection(self) -> tuple[RangeFilter, ...]:
        """The range of depths."""
        return range_filters(self.figure, self.region, self._column)


class Comparison(Plot):
    """One column, image by image: median and quartiles, and how many cells there are.

    A range of the column becomes a filter on the cells of the image that is looked at.
    """

    def __init__(self, cells: Cells, appearance: Appearance) -> None:
        super().__init__(cells, appearance, choices=1)
        self._images: list[ImageCells] = []
        self.figure.getAxis("bottom").setHeight(38)
        legend = QLabel("Dot: median, bar: quartiles")
        legend.setProperty("role", "hint")
        legend.setWordWrap(True)
        self.bar.insertWidget(2, legend)
        self.region = pg.LinearRegionItem(orientation="horizontal")

    def set_images(self, images: Sequence[ImageCells]) -> None:
        """Take the images of a batch."""
        self._images = list(images)
        if self.isVisible():
            self.draw()

    def draw(self) -> None:
        """Draw a bar of quartiles per image."""
        self.figure.clear()
        name = self.boxes[0].currentText()
        images = [i for i in self._images if name in i.table and len(i.table)]
        if not images:
            return
        quartiles = np.array(
            [np.quantile(_finite(i.table[name].to_numpy(float)), (0.25, 0.5, 0.75)) for i in images]
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
        low, high = float(quartiles.min()), float(quartiles.max())
        self.region = add_range(self.figure, low, high, across=False)
        self.figure.setLabel("left", name)
        self.figure.autoRange()

    def selection(self) -> tuple[RangeFilter, ...]:
        """The range along the compared column."""
        return range_filters(self.figure, self.region, self.boxes[0].currentText())


def counted(values: Numbers, n_bins: int) -> tuple[npt.NDArray[np.intp], Numbers]:
    """Counts and edges of bins of equal width, as `np.histogram`; a tenth of the time for many."""
    low, high = float(values.min()), float(values.max())
    if high <= low:
        low, high = low - 0.5, high + 0.5
    bins = ((values - low) * (n_bins / (high - low))).astype(np.intp)
    np.minimum(bins, n_bins - 1, out=bins)
    return np.bincount(bins, minlength=n_bins), np.linspace(low, high, n_bins + 1)


def _finite(values: Numbers) -> Numbers:
    is_finite = np.isfinite(values)
    return values if is_finite.all() else values[is_finite]


def _n_bins(values: Numbers) -> int:
    return int(np.clip(np.sqrt(len(values)) * 1.5, 5, _MAX_BINS))


def _short(name: str) -> str:
    return name if len(name) <= 16 else f"{name[:8]}…{name[-6:]}"
