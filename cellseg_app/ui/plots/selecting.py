"""Ranges and rectangles drawn on plots, and the filters they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyqtgraph as pg
from PySide6.QtCore import Qt

from cellseg_app.ui.cells import RangeFilter

_SHADE: Final = (128, 128, 128, 40)
_EDGE: Final = (128, 128, 128, 220)
_GRASPED: Final = (232, 119, 34)
_ABOVE: Final = 10


class Rectangle(pg.RectROI):  # type: ignore[misc]  # pyqtgraph has no types
    """A rectangle with handles at its corners; what lies under it can still be clicked."""

    def __init__(self, corner: Sequence[float], size: Sequence[float]) -> None:
        super().__init__(
            corner,
            size,
            pen=pg.mkPen(_EDGE, width=1.5),
            handlePen=pg.mkPen(_EDGE, width=2),
            handleHoverPen=pg.mkPen(_GRASPED, width=2),
            sideScalers=True,
        )
        self.addScaleHandle((0, 0), (1, 1))
        self.setAcceptedMouseButtons(Qt.MouseButton.NoButton)
        self.setZValue(_ABOVE)


def add_range(figure: Any, low: float, high: float, *, across: bool = True) -> Any:  # noqa: ANN401
    """Shade a range of a plot, to be drawn narrower; along the bottom axis, or the left one."""
    region = pg.LinearRegionItem(
        values=(low, high),
        brush=_SHADE,
        pen=pg.mkPen(_EDGE, width=1.5),
        hoverPen=pg.mkPen(_GRASPED, width=2),
        orientation="vertical" if across else "horizontal",
    )
    region.setZValue(_ABOVE)
    figure.addItem(region)
    return region


def add_rectangle(
    figure: Any,  # noqa: ANN401
    across: npt.NDArray[np.float64],
    up: npt.NDArray[np.float64],
) -> Rectangle:
    """Frame all points of a plot by a rectangle, to be drawn smaller."""
    spans = [(float(v.min()), float(v.max())) if len(v) else (0.0, 1.0) for v in (across, up)]
    # Room beyond the outermost points, that they lie inside.
    margins = [0.02 * (high - low) or 0.5 for low, high in spans]
    corner = [low - m for (low, _), m in zip(spans, margins, strict=True)]
    size = [high - low + 2 * m for (low, high), m in zip(spans, margins, strict=True)]
    box = Rectangle(corner, size)
    figure.addItem(box)
    return box


def range_filters(figure: Any, region: Any, column: str) -> tuple[RangeFilter, ...]:  # noqa: ANN401
    """The filter that a shaded range stands for; none if it is not in the plot."""
    if not column or region not in figure.plotItem.items:
        return ()
    low, high = region.getRegion()
    return (RangeFilter(column, float(low), float(high)),)


def rectangle_filters(
    figure: Any,  # noqa: ANN401
    box: Rectangle,
    columns: Sequence[str],
) -> tuple[RangeFilter, ...]:
    """The two filters that a rectangle stands for; none if it is not in the plot."""
    if not all(columns) or box not in figure.plotItem.items:
        return ()
    corner, size = box.pos(), box.size()
    found = {}
    for axis, column in enumerate(columns):
        ends = sorted((float(corner[axis]), float(corner[axis] + size[axis])))
        found[column] = RangeFilter(column, ends[0], ends[1])
    return tuple(found.values())
