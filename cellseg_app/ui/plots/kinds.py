"""Plots of one image: histogram, scatter, depth profile."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyqtgraph as pg
from PySide6.QtWidgets import QLabel

from cellseg_app.ui.cells import Cells, KeptCells, RangeFilter
from cellseg_app.ui.latest import Latest
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
Bins = tuple[npt.NDArray[np.intp], Numbers]
_MAX_BINS = 60
_MAX_POINTS = 12_000
_MAX_MARKS = 2_000


class _Counts(Plot):
    """How many cells lie in each part of the range of a column."""

    def __init__(self, cells: Cells, appearance: Appearance) -> None:
        super().__init__(cells, appearance, choices=1)
        self.region = pg.LinearRegionItem()

    def _count(self, name: str) -> None:
        """Have the cells counted that pass the filters; without a column nothing is drawn."""
        kept = self._cells.kept_cells
        if not name:
            self.figure.clear()
            return
        self._latest.ask(
            lambda: _histogram(kept, name),
            lambda bins: self._show(name, bins),
            at_once=kept.table.in_memory,
        )

    def _show(self, name: str, bins: Bins | None) -> None:
        self.figure.clear()
        if bins is None:
            return
        heights, edges = bins
        self._draw_counts(name, heights, edges)
        self.region = add_range(self.figure, float(edges[0]), float(edges[-1]))
        self.figure.autoRange()

    def _draw_counts(self, name: str, heights: npt.NDArray[np.intp], edges: Numbers) -> None:
        raise NotImplementedError


class Histogram(_Counts):
    """How a column is distributed; a range drawn with the mouse becomes a filter."""

    def draw(self) -> None:
        """Draw the histogram of the chosen column."""
        self._count(self.boxes[0].currentText())

    def _draw_counts(self, name: str, heights: npt.NDArray[np.intp], edges: Numbers) -> None:
        colors = self._appearance.colors
        self.figure.addItem(
            pg.BarGraphItem(
                x0=edges[:-1], x1=edges[1:], height=heights, brush=colors.accent, pen=colors.base
            )
        )
        self.figure.setLabel("bottom", name)
        self.figure.setLabel("left", "cells")

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
        self._marking = Latest()
        self._marking.failed.connect(self.failed)
        cells.chosen_changed.connect(self._on_chosen_changed)
        self._mark = pg.ScatterPlotItem(size=14, pen=None, brush=None)

    def draw(self) -> None:
        """Draw a point per cell, of very many a regular sample."""
        across, up = (box.currentText() for box in self.boxes)
        kept = self._cells.kept_cells
        if not across or not up:
            self.figure.clear()
            return
        shown = kept.every(-(-len(kept) // _MAX_POINTS) or 1)
        is_thinned = len(shown) < len(kept)
        note = f"{len(shown):,} of {len(kept):,} cells are drawn" if is_thinned else ""
        self._latest.ask(
            lambda: (shown.values(across), shown.values(up), shown.labels),
            lambda found: self._show((across, up), *found, note=note),
            at_once=kept.table.in_memory,
        )

    def _show(
        self,
        names: tuple[str, str],
        x: Numbers,
        y: Numbers,
        labels: npt.NDArray[np.int64],
        *,
        note: str,
    ) -> None:
        self.figure.clear()
        self.note.setText(note)
        accent = pg.mkColor(self._appearance.colors.accent)
        accent.setAlpha(150)
        points = pg.ScatterPlotItem(
            x=x,
            y=y,
            data=labels,
            size=6,
            pen=None,
            brush=accent,
        )
        points.sigClicked.connect(self._on_q_clicked)
        self.figure.addItem(points)
        self.figure.addItem(self._mark)
        self.box = add_rectangle(self.figure, finite(x), finite(y))
        self.figure.setLabel("bottom", names[0])
        self.figure.setLabel("left", names[1])
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
        if not labels or not {across, up} <= set(table.names):
            self._marking.forget()
            self._mark.setData([])
            return
        marked = KeptCells(table, self._cells.rows_of(labels)[:_MAX_MARKS])
        pen = pg.mkPen(self._appearance.colors.text, width=2)
        self._marking.ask(
            lambda: (marked.values(across), marked.values(up)),
            lambda found: self._mark.setData(x=found[0], y=found[1], pen=pen, brush=None),
            at_once=table.in_memory,
        )


class DepthProfile(_Counts):
    """Cells along Z; a range of depths becomes a filter."""

    def __init__(self, cells: Cells, appearance: Appearance) -> None:
        super().__init__(cells, appearance)
        self.boxes[0].hide()
        self._column = ""

    def draw(self) -> None:
        """Draw how many cells lie at each depth."""
        names = self._cells.table.names
        name = "centroid_z_um" if "centroid_z_um" in names else "centroid_z_voxel"
        self._count(name if name in names else "")

    def _draw_counts(self, name: str, heights: npt.NDArray[np.intp], edges: Numbers) -> None:
        self._column = name
        colors = self._appearance.colors
        fill = pg.mkColor(colors.accent)
        fill.setAlpha(70)
        self.figure.plot(
            edges, heights, stepMode="center", fillLevel=0, brush=fill, pen=pg.mkPen(colors.accent)
        )
        self.figure.setLabel("bottom", f"depth ({name})")
        self.figure.setLabel("left", "cells per bin")

    def selection(self) -> tuple[RangeFilter, ...]:
        """The range of depths."""
        return range_filters(self.figure, self.region, self._column)


def counted(values: Numbers, n_bins: int) -> tuple[npt.NDArray[np.intp], Numbers]:
    """Counts and edges of bins of equal width, as `np.histogram`; a tenth of the time for many."""
    low, high = float(values.min()), float(values.max())
    if high <= low:
        low, high = low - 0.5, high + 0.5
    bins = ((values - low) * (n_bins / (high - low))).astype(np.intp)
    np.minimum(bins, n_bins - 1, out=bins)
    return np.bincount(bins, minlength=n_bins), np.linspace(low, high, n_bins + 1)


def _histogram(kept: KeptCells, name: str) -> Bins | None:
    values = finite(kept.values(name))
    return counted(values, _n_bins(values)) if len(values) else None


def finite(values: Numbers) -> Numbers:
    """The values that are numbers; the array itself if all are."""
    is_finite = np.isfinite(values)
    return values if is_finite.all() else values[is_finite]


def _n_bins(values: Numbers) -> int:
    return int(np.clip(np.sqrt(len(values)) * 1.5, 5, _MAX_BINS))
