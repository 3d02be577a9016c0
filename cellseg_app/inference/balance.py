"""Blocks for several processes that take about equally long: cut by where the work is.

Recursive coordinate bisection (Berger and Bokhari 1987): the volume is cut in two, and each side
again, so that the work on both sides is as the numbers of blocks to come. Windows that reach over
a cut run twice, so they count on both sides, and a cut is made where that costs least.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

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
# How many blocks for each worker are tried.
BLOCKS_PER_WORKER: Final = (1, 2, 3, 4)
# By this share of a block workers end apart, for none is as fast as the others all the time.
LATENESS: Final = 0.15
_FLOAT_BYTES: Final = 4
Doubles = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.intp]
# Of a cut: how late the later side ends, the work of both, how far from the middle it is.
_Cost = tuple[float, float, float]
_DIGITS: Final = 6


@dataclass(frozen=True)
class WorkMap:
    """How much work lies where in a volume.

    Attributes
    ----------
    share
        (nz, ny, nx) about which share of the windows of each cell needs the network.
    cells
        For each axis, the cell in which each of its windows lies, ascending.
    axes
        The windows.
    """

    share: Doubles
    cells: tuple[Numbers, Numbers, Numbers]
    axes: tuple[AxisWindows, AxisWindows, AxisWindows]

    @property
    def total(self) -> float:
        """Windows that need the network, about."""
        return self.within(whole((self.axes[0].size, self.axes[1].size, self.axes[2].size)))

    def within(self, region: Region) -> float:
        """Windows that need the network for a part of the volume: all that reach into it."""
        z, y, x = (self._numbers(axis, region[axis]) for axis in range(3))
        return float(z @ (self.share @ x) @ y)

    def beside(self, region: Region, axis: int, places: Numbers) -> tuple[Doubles, Doubles]:
        """The same before and behind each of some places where a part of the volume is cut."""
        others = [self._numbers(other, region[other]) for other in range(3) if other != axis]
        shares = np.moveaxis(self.share, axis, 0) @ others[1] @ others[0]
        summed = np.concatenate([[0.0], np.cumsum(shares[self.cells[axis]])])
        first, end = self._first(axis, region[axis].start), self._end(axis, region[axis].stop)
        before = summed[self._end(axis, places)] - summed[first]
        behind = summed[end] - summed[self._first(axis, places)]
        return before, behind

    def _numbers(self, axis: int, part: slice) -> Doubles:
        """How many windows of each cell along an axis reach into a part of it."""
        reaching = self.cells[axis][self._first(axis, part.start) : self._end(axis, part.stop)]
        return np.bincount(reaching, minlength=self.share.shape[axis]).astype(np.float64)

    def _first(self, axis: int, place: npt.ArrayLike) -> Any:  # noqa: ANN401 - as the place is
        """The first window that reaches beyond a place."""
        windows = self.axes[axis]
        return np.searchsorted(windows.starts, np.subtract(place, windows.window), side="right")

    def _end(self, axis: int, place: npt.ArrayLike) -> Any:  # noqa: ANN401
        """The first window that begins behind it."""
        return np.searchsorted(self.axes[axis].starts, place)


def find_work(feed: WindowFeed) -> WorkMap:
    """Look at up to 12×12×12 windows spread over a volume: which need the network?"""
    looked_at = [_spread(len(axis.starts)) for axis in feed.grid.axes]
    z, y, x = (
        _nearest(len(axis.starts), n) for axis, n in zip(feed.grid.axes, looked_at, strict=True)
    )
    share = np.zeros([len(numbers) for numbers in looked_at])
    for cell in np.ndindex(share.shape):
        start = _start(feed.grid, [int(n[k]) for n, k in zip(looked_at, cell, strict=True)])
        if feed.needs(start):
            share[cell] = 1.0 if feed.holds_something(start) else _LOOK_COST
    return WorkMap(share, (z, y, x), feed.grid.axes)


def shared_blocks(
    grid: WindowGrid,
    chunk_zyx: ShapeZYX,
    work: WorkMap,
    workers: int,
    *,
    classes: int,
    layer_bytes: int,
) -> list[Region]:
    """Cut a volume for a number of workers, so that the last of them ends as early as possible.

    More blocks end more evenly, and compute more windows twice. Parameters as of
    `balanced_blocks`.
    """
    plans = (
        balanced_blocks(
            grid, chunk_zyx, work, n * workers, classes=classes, layer_bytes=layer_bytes
        )
        for n in BLOCKS_PER_WORKER
    )
    return min(plans, key=lambda blocks: _expected_end([work.within(b) for b in blocks], workers))


def busiest(works: Sequence[float], workers: int) -> float:
    """The work of the worker with the most of it, if blocks go in order to whoever is free."""
    ends = [0.0] * workers
    for one in works:
        heapq.heapreplace(ends, ends[0] + one)
    return max(ends)


def _expected_end(works: Sequence[float], workers: int) -> float:
    return busiest(works, workers) + LATENESS * max(works)


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
        # Along Z, no cut makes a layer smaller.
        axes = (0, 1, 2) if n > 1 else (1, 2)
        found = [cut for axis in axes if (cut := self._best(region, axis, n)) is not None]
        if not found:
            return None
        _, axis, place = min(found)
        return _cut_at(region, axis, place)

    def _best(self, region: Region, axis: int, n: int) -> tuple[_Cost, int, int] | None:
        """Where an axis is best cut, if it is long enough: what it costs, the axis, the place."""
        part, chunk = region[axis], self.chunk_zyx[axis]
        thinnest = _THINNEST_WINDOWS * self.window_zyx[axis] if n > 1 else 1
        places = np.arange(part.start + chunk, part.stop, chunk)
        places = places[np.minimum(places - part.start, part.stop - places) >= thinnest]
        if not len(places):
            return None
        n_first = max(1, n // 2)
        n_second = max(1, n - n_first)
        before, behind = self.work.beside(region, axis, places)
        late = np.maximum(before / n_first, behind / n_second)
        off = (places - part.start) / (part.stop - part.start) - n_first / (n_first + n_second)
        costs = zip(late.round(_DIGITS), before + behind, np.abs(off), strict=True)
        return min((cost, axis, int(place)) for cost, place in zip(costs, places, strict=True))


def _cut_at(region: Region, axis: int, place: int) -> tuple[Region, Region]:
    first, second = list(region), list(region)
    first[axis] = slice(region[axis].start, place)
    second[axis] = slice(place, region[axis].stop)
    return (first[0], first[1], first[2]), (second[0], second[1], second[2])


def _spread(n: int) -> Numbers:
    """A few of `n` windows along an axis, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, _LOOKED_AT)).round().astype(np.intp))


def _nearest(n: int, looked_at: Numbers) -> Numbers:
    """Which of the windows looked at stands for each of `n` windows."""
    return np.searchsorted((looked_at[1:] + looked_at[:-1]) / 2, np.arange(n))


def _start(grid: WindowGrid, numbers: Sequence[int]) -> tuple[int, int, int]:
    z, y, x = (axis.starts[n] for axis, n in zip(grid.axes, numbers, strict=True))
    return z, y, x
