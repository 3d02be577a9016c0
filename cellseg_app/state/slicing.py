"""From what is wanted to what is read: which voxels of a layer a pane needs. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from cellseg_app.core.blocks import Region
from cellseg_app.core.volume import SpacingZYX
from cellseg_app.state.display import Layer, LayerLook, ViewState

Plane = Literal["xy", "yz", "xz"]

# Read beyond the borders of a pane, as a part of its size, so that panning finds voxels there.
MARGIN = 0.15

MAX_ENLARGED = 16


class PlaneAxes(NamedTuple):
    """The axes (0 = Z, 1 = Y, 2 = X) that lie across, down and along a pane."""

    normal: int
    vertical: int
    horizontal: int


PLANES: dict[Plane, PlaneAxes] = {
    "xy": PlaneAxes(0, 1, 2),
    "yz": PlaneAxes(2, 1, 0),
    "xz": PlaneAxes(1, 0, 2),
}


class Span(NamedTuple):
    """Voxels start..stop along one axis, every `step`-th pixel of the result one of them."""

    start: int
    stop: int
    step: int

    @property
    def n(self) -> int:
        """Number of pixels."""
        return (self.stop - self.start) // self.step


@dataclass(frozen=True, slots=True)
class Viewport:
    """The part of the world a pane shows, and its resolution.

    Attributes
    ----------
    low_um, high_um
        Corners along (vertical, horizontal).
    px_um
        Size of a physical pixel of the screen.
    """

    low_um: tuple[float, float]
    high_um: tuple[float, float]
    px_um: float


@dataclass(frozen=True, slots=True)
class SliceRequest:
    """Everything that one layer's picture in one pane depends on, but the label colours.

    Its look is without the opacity: that is applied to the finished picture.

    Attributes
    ----------
    planes
        Range of voxels across the pane; its maximum is shown where it is longer than one.
    rows, columns
        Voxels down and along the pane.
    class_index
        Channel read, for layers of several classes; otherwise 0.
    highlighted
        Label ids that stand out; none in layers that are no labels.
    enlarged
        Pixels per voxel down and along, for labels, whose borders are as thin as the screen allows.
    """

    plane: Plane
    layer: Layer
    planes: tuple[int, int]
    rows: Span
    columns: Span
    look: LayerLook
    class_index: int = 0
    highlighted: tuple[int, ...] = ()
    enlarged: tuple[int, int] = (1, 1)

    @property
    def voxels(self) -> tuple[Hashable, ...]:
        """What is read, without how it is coloured."""
        return (self.layer, self.class_index, self.plane, self.planes, self.rows, self.columns)

    @property
    def region(self) -> Region:
        """The voxels of the layer that are read."""
        axes = PLANES[self.plane]
        by_axis = {
            axes.normal: slice(*self.planes),
            axes.vertical: slice(self.rows.start, self.rows.stop),
            axes.horizontal: slice(self.columns.start, self.columns.stop),
        }
        return by_axis[0], by_axis[1], by_axis[2]

    @property
    def rect_um(self) -> tuple[float, float, float, float]:
        """Top, left, height and width in the world."""
        axes, scale = PLANES[self.plane], self.layer.scale_zyx
        v, h = axes.vertical, axes.horizontal
        return (
            (self.rows.start + self.layer.origin_zyx[v]) * scale[v],
            (self.columns.start + self.layer.origin_zyx[h]) * scale[h],
            self.rows.n * self.rows.step * scale[v],
            self.columns.n * self.columns.step * scale[h],
        )


def cursor_um(state: ViewState, scale_zyx: SpacingZYX) -> SpacingZYX:
    """Centre of the voxel under the crosshair; `scale_zyx` is that of the first layer."""
    z, y, x = ((i + 0.5) * s for i, s in zip(state.cursor_zyx, scale_zyx, strict=True))
    return z, y, x


def voxel_at(layer: Layer, point_um: SpacingZYX) -> tuple[int, int, int] | None:
    """The layer's voxel at a point of the world, or None outside."""
    z, y, x = (
        math.floor(p / s) - o
        for p, s, o in zip(point_um, layer.scale_zyx, layer.origin_zyx, strict=True)
    )
    inside = all(0 <= i < n for i, n in zip((z, y, x), layer.shape_zyx, strict=True))
    return (z, y, x) if inside else None


def resolve_slice(
    layer: Layer,
    state: ViewState,
    *,
    look: LayerLook | None,
    plane: Plane,
    viewport: Viewport,
    point_um: SpacingZYX,
) -> SliceRequest | None:
    """What to read for a layer in a pane, or None where it shows nothing.

    Parameters
    ----------
    layer, look, state
        What is shown, and how.
    plane, viewport
        The pane, and the part of the world it shows.
    point_um
        Point of the world the pane cuts through.
    """
    if look is None or not look.visible or look.opacity <= 0:
        return None
    axes = PLANES[plane]
    if state.slab_planes == 1:
        layer = level_for(layer, axes, viewport.px_um)
    planes = _planes(layer, axes.normal, point_um=point_um, n_planes=state.slab_planes)
    rows = _span(layer, axes.vertical, viewport=viewport, side=0)
    columns = _span(layer, axes.horizontal, viewport=viewport, side=1)
    if planes is None or rows is None or columns is None:
        return None
    is_labels = layer.kind == "labels"
    return SliceRequest(
        plane=plane,
        layer=layer,
        planes=planes,
        rows=rows,
        columns=columns,
        look=replace(look, opacity=1.0),
        class_index=min(state.class_index, layer.n_classes - 1),
        highlighted=state.highlighted if is_labels else (),
        enlarged=_enlarged(layer, axes, viewport.px_um) if is_labels else (1, 1),
    )


def level_for(layer: Layer, axes: PlaneAxes, px_um: float) -> Layer:
    """The coarsest level of a layer that is as fine as the pixels of a pane.

    Across the pane its planes are no thicker than a pixel either, unless those of the layer are.
    """
    finest_um = px_um * (1 + 1e-6)
    best = layer
    for coarse in layer.coarser:
        scale = coarse.scale_zyx
        in_plane = max(scale[axes.vertical], scale[axes.horizontal]) <= finest_um
        if in_plane and scale[axes.normal] <= max(layer.scale_zyx[axes.normal], finest_um):
            best = coarse
    return best


def _enlarged(layer: Layer, axes: PlaneAxes, px_um: float) -> tuple[int, int]:
    down, along = (
        max(1, min(MAX_ENLARGED, math.ceil(layer.scale_zyx[axis] / px_um)))
        for axis in (axes.vertical, axes.horizontal)
    )
    return down, along


def _planes(
    layer: Layer, axis: int, *, point_um: SpacingZYX, n_planes: int
) -> tuple[int, int] | None:
    index = math.floor(point_um[axis] / layer.scale_zyx[axis]) - layer.origin_zyx[axis]
    size = layer.shape_zyx[axis]
    before = (n_planes - 1) // 2
    # Labels have no maximum that means anything: a slab shows them where the crosshair is.
    if layer.kind == "labels":
        before, n_planes = 0, 1
    start, stop = max(0, index - before), min(size, index - before + n_planes)
    return (start, stop) if start < stop else None


def _span(layer: Layer, axis: int, *, viewport: Viewport, side: int) -> Span | None:
    """The voxels in view along an axis, several to a pixel where the screen cannot show each."""
    scale, size = layer.scale_zyx[axis], layer.shape_zyx[axis]
    low, high = viewport.low_um[side], viewport.high_um[side]
    margin = MARGIN * (high - low)
    step = max(1, min(size, math.floor(viewport.px_um / scale + 1e-6)))
    origin = layer.origin_zyx[axis]
    start = math.floor((low - margin) / scale) - origin
    stop = math.ceil((high + margin) / scale) - origin
    # On the grid of the step, so that pixels keep their voxels while the pane is moved.
    start = max(0, start // step * step)
    stop = min(size, -(-stop // step) * step)
    stop = start + (stop - start) // step * step
    return Span(start, stop, step) if stop > start else None
