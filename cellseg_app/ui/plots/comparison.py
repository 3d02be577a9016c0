"""The plot that compares the images of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from PySide6.QtWidgets import QLabel

from cellseg_app.core.cell_columns import CellColumns
from cellseg_app.ui.cells import Cells, RangeFilter
from cellseg_app.ui.plots.kinds import Numbers, finite
from cellseg_app.ui.plots.plot import Plot
from cellseg_app.ui.plots.selecting import (
    add_range,
    range_filters,
)
from cellseg_app.ui.theme import Appearance


@dataclass(frozen=True, slots=True, eq=False)
class ImageCells:
    """The cells of one image of a batch."""

    name: str
    table: CellColumns


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
        name = self.boxes[0].currentText()
        images = [i for i in self._images if name in i.table.names and len(i.table)]
        if not images:
            self.figure.clear()
            return
        self._latest.ask(
            lambda: np.array([_quartiles(image.table, name) for image in images]),
            lambda quartiles: self._show(name, images, quartiles),
            at_once=all(image.table.in_memory for image in images),
        )

    def _show(self, name: str, images: list[ImageCells], quartiles: Numbers) -> None:
        self.figure.clear()
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
        # The ends of bars and of the range are seen apart from the frame.
        self.figure.autoRange(padding=0.08)

    def selection(self) -> tuple[RangeFilter, ...]:
        """The range along the compared column."""
        return range_filters(self.figure, self.region, self.boxes[0].currentText())


def _quartiles(table: CellColumns, name: str) -> Numbers:
    values = finite(np.asarray(table.column(name), np.float64))
    return np.asarray(np.quantile(values, (0.25, 0.5, 0.75)), np.float64)


def _short(name: str) -> str:
    return name if len(name) <= 16 else f"{name[:8]}…{name[-6:]}"
