"""Where the network's windows lie and how their answers are blended.

The grid is fixed for the whole volume, and windows are summed in one order, so every part of a
volume gets the same values whatever part is asked for. Along each axis the blending weights of the
windows that cover a voxel add up to one: no second volume of weights is needed.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from cellseg_app.core.blocks import Region
from cellseg_app.core.volume import LazyArray, ShapeZYX

_WEIGHT_FLOOR: Final = 1e-3


@dataclass(frozen=True, slots=True)
class AxisWindows:
    """The windows along one axis.

    Attributes
    ----------
    size
        Voxels of the volume.
    window
        Voxels of a window.
    starts
        First voxel of each window, ascending; below 0 where the volume is continued by reflection.
    weights
        (n_windows, window) float32; for every voxel of the volume they sum to one.
    """

    size: int
    window: int
    starts: tuple[int, ...]
    weights: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class WindowGrid:
    """The windows of a volume, or of a block of it: every combination of the three axes' windows.

    Attributes
    ----------
    axes
        Sizes and starts are those of the block, counted from its first voxel.
    origin_zyx
        First voxel of the block in the volume.
    at_once
        The network is given no more windows at a time: as many as one layer of the whole volume
        has, so that what runs together does not depend on blocks.
    """

    axes: tuple[AxisWindows, AxisWindows, AxisWindows]
    origin_zyx: ShapeZYX = (0, 0, 0)
    at_once: int = 0

    @property
    def shape_zyx(self) -> ShapeZYX:
        """Number of voxels of the volume."""
        z, y, x = (axis.size for axis in self.axes)
        return z, y, x

    @property
    def window_zyx(self) -> ShapeZYX:
        """Number of voxels of a window."""
        z, y, x = (axis.window for axis in self.axes)
        return z, y, x

    @property
    def n_windows(self) -> int:
        """How often the network runs."""
        z, y, x = (len(axis.starts) for axis in self.axes)
        return z * y * x


def window_grid(
    shape_zyx: ShapeZYX,
    window: int | Literal["whole"],
    overlap: float,
    *,
    divisor: int = 1,
    minimum: int = 1,
    margin: int = 0,
    blend_sigma: float | None = 0.125,
) -> WindowGrid:
    """Lay windows over a volume.

    Parameters
    ----------
    shape_zyx
        Number of voxels of the volume.
    window
        Edge in voxels, or `whole` for one window over everything.
    overlap
        Share of a window that the next one repeats.
    divisor
        The network takes only multiples of it; window edges are rounded up.
    minimum
        The network takes nothing smaller; smaller volumes are continued by reflection.
    margin
        Voxels by which the windows reach beyond the border at most, so that border voxels too
        are seen with surroundings (reflected); less where it would take more windows.
    blend_sigma
        Width of the Gaussian by which the middle of a window is trusted more than its rim, as a
        share of the window; None for a plain mean.
    """
    z, y, x = (
        _axis_windows(size, window, overlap, (divisor, minimum), margin, blend_sigma)
        for size in shape_zyx
    )
    return WindowGrid((z, y, x), at_once=len(y.starts) * len(x.starts))


def _axis_windows(
    size: int,
    window: int | Literal["whole"],
    overlap: float,
    divisor_and_minimum: tuple[int, int],
    margin: int,
    blend_sigma: float | None,
) -> AxisWindows:
    divisor, minimum = divisor_and_minimum
    edge = max(size + 2 * margin if window == "whole" else window, minimum)
    edge = -(-edge // divisor) * divisor
    if edge >= size:
        starts: tuple[int, ...] = (-((edge - size) // 2),)
    else:
        step = max(1, int(edge * (1 - overlap)))
        n_windows = -(-(size - edge) // step) + 1
        spare = edge + (n_windows - 1) * step - size
        margin = min(margin, spare // 2)
        last = size + 2 * margin - edge
        starts = tuple(min(i * step, last) - margin for i in range(n_windows))
    return AxisWindows(size, edge, starts, _partition_of_unity(size, edge, starts, blend_sigma))


def _partition_of_unity(
    size: int, window: int, starts: tuple[int, ...], blend_sigma: float | None
) -> npt.NDArray[np.float32]:
    profile = np.ones(window)
    if blend_sigma is not None:
        offset = np.arange(window) - (window - 1) / 2
        profile = np.exp(-0.5 * (offset / (blend_sigma * window)) ** 2)
        profile = np.maximum(profile, _WEIGHT_FLOOR)
    first, last = starts[0], max(starts[-1] + window, size)
    total = np.zeros(last - first)
    for start in starts:
        total[start - first : start - first + window] += profile
    return np.stack(
        [profile / total[start - first : start - first + window] for start in starts]
    ).astype(np.float32)


def read_reflected(array: LazyArray, starts_zyx: ShapeZYX, shape: ShapeZYX) -> npt.NDArray[Any]:
    """Read a box that may reach beyond the volume; outside, the volume is mirrored at its border.

    Works for volumes of any size, one voxel per axis included.
    """
    picks, boxes = [], []
    for start, length, size in zip(starts_zyx, shape, array.shape, strict=True):
        index = np.arange(start, start + length) % (2 * size)
        index = np.where(index < size, index, 2 * size - 1 - index)
        low, high = int(index.min()), int(index.max()) + 1
        boxes.append(slice(low, high))
        inside = high - low == length and bool((np.diff(index) == 1).all())
        picks.append(None if inside else index - low)
    block = np.asarray(array[tuple(boxes)])
    for axis, pick in enumerate(picks):
        if pick is not None:
            block = np.take(block, pick, axis=axis)
    return block


def sample_starts(grid: WindowGrid, count: int) -> list[tuple[int, int, int]]:
    """First voxels of up to `count` windows spread evenly over the grid."""
    z, y, x = (axis.starts for axis in grid.axes)
    picked = np.unique(np.linspace(0, grid.n_windows - 1, count).round().astype(int))
    numbers = zip(*np.unravel_index(picked, (len(z), len(y), len(x))), strict=True)
    return [(z[i], y[j], x[k]) for i, j, k in numbers]


def read_windows(
    array: LazyArray, grid: WindowGrid, starts: Sequence[tuple[int, int, int]]
) -> npt.NDArray[Any]:
    """Read windows (N, Z, Y, X) that begin at these voxels."""
    return np.stack([read_reflected(array, start, grid.window_zyx) for start in starts])


def brightest_first(windows: npt.NDArray[Any]) -> list[int]:
    """Places of windows (N, Z, Y, X) in the order of their means, the brightest first."""
    means = [-float(np.mean(window, dtype=np.float64)) for window in windows]
    return [int(place) for place in np.argsort(means)]


def layer_starts(grid: WindowGrid, z_index: int) -> list[tuple[ShapeZYX, tuple[int, int, int]]]:
    """The windows of one layer along Z, in Y, X order.

    Returns
    -------
    list of (index, start)
        The window's number per axis, and its first voxel in the volume, which may lie before it.
    """
    z_axis, y_axis, x_axis = grid.axes
    z, y, x = grid.origin_zyx
    return [
        ((z_index, row, column), (z + z_axis.starts[z_index], y + y_start, x + x_start))
        for (row, y_start), (column, x_start) in itertools.product(
            enumerate(y_axis.starts), enumerate(x_axis.starts)
        )
    ]


def window_region(grid: WindowGrid, start_zyx: tuple[int, int, int]) -> Region:
    """The voxels of a window, from the border of the volume on; it may reach beyond its end."""
    z, y, x = (
        slice(max(0, start), start + axis.window)
        for start, axis in zip(start_zyx, grid.axes, strict=True)
    )
    return z, y, x


def slab_bounds(grid: WindowGrid) -> list[tuple[int, int]]:
    """Z ranges that are final once the layer of the same number has been added.

    They tile 0…size; a range may be empty.
    """
    axis = grid.axes[0]
    ends = [*(max(0, start) for start in axis.starts[1:]), axis.size]
    ends = [min(end, axis.size) for end in ends]
    return list(zip([0, *ends[:-1]], ends, strict=True))


def first_layer_of_slab(grid: WindowGrid, slab: int) -> int:
    """The first layer that reaches into a slab: where an interrupted run must begin again."""
    axis = grid.axes[0]
    begin = slab_bounds(grid)[slab][0]
    return next(i for i, start in enumerate(axis.starts) if start + axis.window > begin)
