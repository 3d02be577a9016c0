"""Blocks for several processes that take about equally long: cut by where the work is.

Recursive coordinate bisection (Berger and Bokhari 1987): the volume is cut in two along its
longest axis so that the work on both sides is as the numbers of blocks to come, and each side
again. Every cut makes windows along it run twice, so blocks are no more than are needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from cellseg_app.core.blocks import Region, region_shape, whole
from cellseg_app.core.volume import ShapeZYX
from cellseg_app.inference.feed import WindowFeed
from cellseg_app.inference.windows import AxisWindows, WindowGrid

# Windows looked at along each axis.
_LOOKED_AT: Final = 12
# What a window that needs no network costs, of one that does.
_LOOK_COST: Final = 0.01
# Thinner blocks would run most of their windows twice.
_THINNEST_WINDOWS: Final = 2
_FLOAT_BYTES: Final = 4
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class WorkMap:
    """How much work lies where in a volume.

    Attributes
    ----------
    work
        (nz, ny, nx) about how many windows of each cell need the network.
    edges
        For each axis, the voxels at which cells begin and end.
    """

    work: Doubles
    edges: tuple[Doubles, Doubles, Doubles]

    @property
    def total(self) -> float:
        """Windows that need the network, about."""
        return float(self.work.sum())

    def within(self, region: Region) -> float:
        """Of a part of the volume."""
        z, y, x = (_shares(e, part) for e, part in zip(self.edges, region, strict=True))
        return float(np.einsum("zyx,z,y,x", self.work, z, y, x))


def find_work(feed: WindowFeed) -> WorkMap:
    """Look at up to 12×12×12 windows spread over a volume: which need the network?"""
    numbers, edges = zip(*(_spread(axis) for axis in feed.grid.axes), strict=True)
    counts = [
        np.diff(np.searchsorted(_middles(axis), e))
        for axis, e in zip(feed.grid.axes, edges, strict=True)
    ]
    z_axis, y_axis, x_axis = feed.grid.axes
    work = np.zeros([len(n) for n in numbers])
    for cell in np.ndindex(work.shape):
        z, y, x = (int(n[k]) for n, k in zip(numbers, cell, strict=True))
        start = z_axis.starts[z], y_axis.starts[y], x_axis.starts[x]
        if feed.needs(start):
            work[cell] = 1.0 if feed.holds_something(start) else _LOOK_COST
    work *= counts[0][:, None, None] * counts[1][:, None] * counts[2]
    return WorkMap(work, edges)


def balanced_blocks(
    grid: WindowGrid,
    chunk_zyx: ShapeZYX,
    work: WorkMap,
    n: int,
    *,
    classes: int,
    layer_bytes: int,
) -> list[Region]:
    """Cut a volume into about `n` blocks of equal work, those with the most work first.

    Parameters
    ----------
    grid
        The windows of the whole volume.
    chunk_zyx
        Blocks begin and end with chunks, so that they can be written beside each other.
    work
        Of the volume.
    n
        How many blocks; fewer where they would become too thin, more where memory asks for it.
    classes, layer_bytes
        What stitching one layer of windows of a block may take.
    """
    most_voxels = layer_bytes // (grid.window_zyx[0] * classes * _FLOAT_BYTES)
    cuts = _Cuts(grid.window_zyx, chunk_zyx, work, most_voxels)
    blocks = cuts.bisected(whole(grid.shape_zyx), n)
    return sorted(blocks, key=lambda block: -work.within(block))


@dataclass(frozen=True)
class _Cuts:
    """Where blocks may be cut.

    Attributes
    ----------
    most_voxels
        Of one plane of a block.
    """

    window_zyx: ShapeZYX
    chunk_zyx: ShapeZYX
    work: WorkMap
    most_voxels: int

    def bisected(self, region: Region, n: int) -> Iterator[Region]:
        halves = self._halves(region, n)
        if halves is None:
            yield region
            return
        first, second = halves
        yield from self.bisected(first, n // 2)
        yield from self.bisected(second, n - n // 2)

    def _halves(self, region: Region, n: int) -> tuple[Region, Region] | None:
        _, height, width = region_shape(region)
        too_wide = height * width > self.most_voxels
        if n < 2 and not too_wide:
            return None
        windows = [size / w for size, w in zip(region_shape(region), self.window_zyx, strict=True)]
        for axis in sorted(range(3), key=lambda axis: -windows[axis]):
            # Along Z, no cut makes a layer smaller.
            if n < 2 and axis == 0:
                continue
            place = self._place(region, axis, n)
            if place is not None:
                return _cut_at(region, axis, place)
        return None

    def _place(self, region: Region, axis: int, n: int) -> int | None:
        """Where an axis is best cut, if it is long enough."""
        part, chunk = region[axis], self.chunk_zyx[axis]
        thinnest = _THINNEST_WINDOWS * self.window_zyx[axis] if n > 1 else 1
        places = [
            place
            for place in range(part.start + chunk, part.stop, chunk)
            if min(place - part.start, part.stop - place) >= thinnest
        ]
        if not places:
            return None
        wanted = (n // 2) / n if n > 1 else 0.5
        total = self.work.within(region)

        def unevenness(place: int) -> tuple[float, float]:
            first, _ = _cut_at(region, axis, place)
            length = (place - part.start) / (part.stop - part.start)
            share = self.work.within(first) / total if total > 0 else length
            return abs(share - wanted), abs(length - wanted)

        return min(places, key=unevenness)


def _cut_at(region: Region, axis: int, place: int) -> tuple[Region, Region]:
    first, second = list(region), list(region)
    first[axis] = slice(region[axis].start, place)
    second[axis] = slice(place, region[axis].stop)
    return (first[0], first[1], first[2]), (second[0], second[1], second[2])


def _shares(edges: Doubles, part: slice) -> Doubles:
    """How much of each cell along an axis lies in a part of it."""
    low, high = np.maximum(edges[:-1], part.start), np.minimum(edges[1:], part.stop)
    shares: Doubles = np.clip(high - low, 0, None) / np.diff(edges)
    return shares


def _middles(axis: AxisWindows) -> Doubles:
    """Middles of windows, in voxels of the volume."""
    middles: Doubles = np.asarray(axis.starts, np.float64) + axis.window / 2
    return middles


def _spread(axis: AxisWindows) -> tuple[npt.NDArray[np.intp], Doubles]:
    """A few windows along an axis, evenly spread, and the edges of the cells they stand for."""
    n = len(axis.starts)
    numbers = np.unique(np.linspace(0, n - 1, min(n, _LOOKED_AT)).round().astype(np.intp))
    middles = _middles(axis)[numbers]
    edges = np.concatenate([[0.0], (middles[1:] + middles[:-1]) / 2, [float(axis.size)]])
    return numbers, edges
