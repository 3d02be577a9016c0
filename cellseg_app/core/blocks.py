"""Boxes of voxels: the unit in which volumes larger than memory are read, worked on and written."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_app.core.volume import LazyArray, ShapeZYX

Region = tuple[slice, slice, slice]


def whole(shape_zyx: ShapeZYX) -> Region:
    """The region covering a whole volume."""
    z, y, x = shape_zyx
    return slice(0, z), slice(0, y), slice(0, x)


def region_shape(region: Region) -> ShapeZYX:
    """Number of voxels of a region along Z, Y, X."""
    z, y, x = (int(s.stop) - int(s.start) for s in region)
    return z, y, x


def region_origin(region: Region) -> ShapeZYX:
    """First voxel of a region."""
    z, y, x = (int(s.start) for s in region)
    return z, y, x


def block_regions(shape_zyx: ShapeZYX, block_zyx: ShapeZYX) -> list[Region]:
    """Regions that tile a volume without overlap, in Z, Y, X order; the last may be smaller."""
    axes = [
        [slice(start, min(start + step, size)) for start in range(0, size, step)]
        for size, step in zip(shape_zyx, block_zyx, strict=True)
    ]
    return [(z, y, x) for z, y, x in itertools.product(*axes)]


def grow(region: Region, halo_zyx: ShapeZYX, shape_zyx: ShapeZYX) -> Region:
    """The region with a halo on every side, cut at the borders of the volume."""
    z, y, x = (
        slice(max(0, s.start - halo), min(size, s.stop + halo))
        for s, halo, size in zip(region, halo_zyx, shape_zyx, strict=True)
    )
    return z, y, x


def relative_to(inner: Region, outer: Region) -> Region:
    """`inner` in the coordinates of an array that holds `outer`."""
    z, y, x = (
        slice(i.start - o.start, i.stop - o.start) for i, o in zip(inner, outer, strict=True)
    )
    return z, y, x


def box_of(mask: npt.NDArray[np.bool_]) -> Region | None:
    """The smallest region of an array (Z, Y, X) that holds all of a mask; None if it is empty."""
    ends = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        where = np.flatnonzero(mask.any(axis=others))
        if not len(where):
            return None
        ends.append(slice(int(where[0]), int(where[-1]) + 1))
    return ends[0], ends[1], ends[2]


def intersect(a: Region, b: Region) -> Region | None:
    """The common part of two regions, or None."""
    z, y, x = (slice(max(p.start, q.start), min(p.stop, q.stop)) for p, q in zip(a, b, strict=True))
    common = (z, y, x)
    return common if all(s.stop > s.start for s in common) else None


def at_most(array: LazyArray, region: tuple[slice, ...]) -> float:
    """A value that nothing in a region exceeds, if the array can tell without reading; else ∞."""
    tell: Callable[[tuple[slice, ...]], float] | None = getattr(array, "at_most", None)
    return math.inf if tell is None else tell(region)


def holds_nothing(array: LazyArray, region: tuple[slice, ...]) -> bool:
    """Whether an array can tell without reading that a region is 0."""
    tell: Callable[[tuple[slice, ...]], bool] | None = getattr(array, "holds_nothing", None)
    return False if tell is None else tell(region)


class CroppedArray:
    """A lazy array (…, Z, Y, X) seen through a region of its last three axes."""

    def __init__(self, source: LazyArray, region: Region) -> None:
        self._source, self._region = source, region
        shape = tuple(s.stop - s.start for s in region)
        self.shape: tuple[int, ...] = (*source.shape[:-3], *shape)
        self.dtype: np.dtype[Any] = source.dtype
        self.ndim = len(self.shape)

    def __getitem__(self, key: tuple[slice, ...], /) -> npt.NDArray[Any]:
        shifted = []
        for part, outer, size in zip(key[-3:], self._region, self.shape[-3:], strict=True):
            start, stop, step = part.indices(size)
            shifted.append(slice(start + outer.start, stop + outer.start, step))
        return self._source[(*key[:-3], *shifted)]

    def at_most(self, key: tuple[slice, ...]) -> float:
        """A value that nothing in a region exceeds, if the source can tell; else infinity."""
        parts = zip(key[-3:], self._region, self.shape[-3:], strict=True)
        ranges = ((part.indices(size), outer.start) for part, outer, size in parts)
        moved = (slice(start + first, stop + first) for (start, stop, _), first in ranges)
        return at_most(self._source, (*key[:-3], *moved))


class PlacedArray:
    """A lazy array (…, Z, Y, X) that fills a region of a larger lattice; 0 elsewhere."""

    def __init__(self, part: LazyArray, region: Region, shape_zyx: ShapeZYX) -> None:
        self._part, self._region = part, region
        self.shape: tuple[int, ...] = (*part.shape[:-3], *shape_zyx)
        self.dtype: np.dtype[Any] = part.dtype
        self.ndim = len(self.shape)

    def __getitem__(self, key: tuple[slice, ...], /) -> npt.NDArray[Any]:
        target, origin = overlap(key[-3:], self._region, self.shape[-3:])
        lengths = [len(range(*k.indices(n))) for k, n in zip(key, self.shape, strict=True)]
        result = np.zeros(lengths, self.dtype)
        if all(part.stop > part.start for part in target):
            leading = tuple(slice(0, n) for n in lengths[:-3])
            result[(*leading, *target)] = self._part[(*key[:-3], *origin)]
        return result

    def at_most(self, key: tuple[slice, ...]) -> float:
        """A value that nothing in a region exceeds, if the part can tell; else infinity."""
        target, origin = overlap(key[-3:], self._region, self.shape[-3:])
        if any(part.stop <= part.start for part in target):
            return 0.0
        return max(0.0, at_most(self._part, (*key[:-3], *origin)))

    def holds_nothing(self, key: tuple[slice, ...]) -> bool:
        """Whether a region is known to be 0 without reading it."""
        target, origin = overlap(key[-3:], self._region, self.shape[-3:])
        if any(part.stop <= part.start for part in target):
            return True
        return holds_nothing(self._part, (*key[:-3], *origin))


def overlap(
    key: tuple[slice, ...], region: Region, shape: tuple[int, ...]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where what is read by slices of a lattice meets a region of it.

    Returns
    -------
    target, origin
        The common voxels in the array that is read and in the array of the region; where there are
        none, a slice of `target` is empty.
    """
    target, origin = [], []
    for asked, outer, size in zip(key, region, shape, strict=True):
        read = range(*asked.indices(size))
        first, last = (_n_below(read, end) for end in (outer.start, outer.stop))
        begin = read.start + first * read.step - outer.start
        target.append(slice(first, last))
        origin.append(slice(begin, begin + (last - first) * read.step, read.step))
    return tuple(target), tuple(origin)


def _n_below(read: range, end: int) -> int:
    """How many of ascending numbers are smaller than `end`."""
    return min(len(read), max(0, -(-(end - read.start) // read.step)))
