"""Cells of a map told apart on half its voxel size, where its voxels are coarse for them.

A map on a lattice coarser than the one its network worked on still holds what parts small cells,
but in few voxels: a blur of a voxel, and pointers from voxel to voxel, lose it. Between voxels it
is interpolated by cubic convolution (Keys 1981), which overshoots a little and so keeps summits
and valleys; linear interpolation flattens both.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_app.analysis.blockwise import (
    BlockPlan,
    Floats,
    Labels,
    WritableArray,
    read_probability,
)
from cellseg_app.analysis.numbering import count_labels, raster_numbers, relabel
from cellseg_app.core.blocks import Region, at_most, grow
from cellseg_app.core.volume import LazyArray, ShapeZYX

NOT_REFINED: ShapeZYX = (1, 1, 1)
# Keys' kernel a quarter of a voxel beside a voxel's centre; in 1/128, so that sums are exact.
_TAPS = tuple(np.float32(n / 128) for n in (-3, 29, 111, -9))
_REACH = 2
_MOST_OVERSHOOT = (29 + 111) / 128


def refined_shape(shape_zyx: ShapeZYX, refine_zyx: ShapeZYX) -> ShapeZYX:
    """Voxels along each axis after every voxel was divided."""
    z, y, x = (n * factor for n, factor in zip(shape_zyx, refine_zyx, strict=True))
    return z, y, x


class RefinedMap:
    """A map (Z, Y, X) with its voxels halved along some axes, region by region.

    Parameters
    ----------
    source
        The map.
    refine_zyx
        1 or 2 for each axis.

    Notes
    -----
    A value never depends on which region was asked for. Some lie a little below 0 or above 1.
    """

    def __init__(self, source: LazyArray, refine_zyx: ShapeZYX) -> None:
        self._source, self._refine = source, refine_zyx
        z, y, x = source.shape
        self._shape = (z, y, x)
        self.shape: tuple[int, ...] = refined_shape(self._shape, refine_zyx)
        self.dtype: np.dtype[Any] = np.dtype(np.float32)
        self.ndim = 3

    def __getitem__(self, key: tuple[slice, ...], /) -> Floats:
        wanted, own, read = self._regions(key)
        values = np.asarray(self._source[read]).astype(np.float32, copy=False)
        for axis, factor in reversed(list(enumerate(self._refine))):
            if factor > 1:
                first = own[axis].start - read[axis].start
                part = slice(first, own[axis].stop - read[axis].start)
                values = _halved(values, axis, part)
        inner = tuple(
            slice(w.start - factor * o.start, w.stop - factor * o.start)
            for w, o, factor in zip(wanted, own, self._refine, strict=True)
        )
        return np.ascontiguousarray(values[inner])

    def at_most(self, key: tuple[slice, ...]) -> float:
        """A value that nothing in a region exceeds, if the source can tell; else infinity."""
        overshoot = _MOST_OVERSHOOT ** sum(factor > 1 for factor in self._refine)
        return at_most(self._source, self._regions(key)[2]) * overshoot

    def _regions(self, key: tuple[slice, ...]) -> tuple[Region, Region, Region]:
        """What is asked for; the source's voxels it lies in; those that its values depend on."""
        axes = zip(key, self.shape, self._refine, strict=True)
        ranges = [(part.indices(size), factor) for part, size, factor in axes]
        wz, wy, wx = (slice(start, stop) for (start, stop, _), _ in ranges)
        z, y, x = (
            slice(start // factor, -(-stop // factor)) for (start, stop, _), factor in ranges
        )
        hz, hy, hx = (_REACH * (factor - 1) for factor in self._refine)
        return (wz, wy, wx), (z, y, x), grow((z, y, x), (hz, hy, hx), self._shape)


def _halved(values: Floats, axis: int, part: slice) -> Floats:
    """Two values for each voxel of a part of an axis; beyond the array its edge repeats."""
    before = max(0, _REACH - part.start)
    after = max(0, part.stop + _REACH - values.shape[axis])
    width = [(0, 0)] * 3
    width[axis] = (before, after)
    padded = np.pad(values, width, mode="edge")
    first, size = part.start + before, part.stop - part.start
    shape = list(padded.shape)
    shape[axis] = 2 * size
    result = np.empty(shape, np.float32)

    def along(start: int, stop: int, step: int = 1) -> tuple[slice, ...]:
        return tuple(slice(start, stop, step) if a == axis else slice(None) for a in range(3))

    for half, direction in ((0, 1), (1, -1)):
        offsets = (-2 * direction, -direction, 0, direction)
        starts = [first + offset for offset in offsets]
        total = padded[along(starts[0], starts[0] + size)] * _TAPS[0]
        for tap, start in zip(_TAPS[1:], starts[1:], strict=True):
            total += padded[along(start, start + size)] * tap
        result[along(half, 2 * size, 2)] = total
    return result


class CoarsenedLabels:
    """Takes labels of the refined lattice and writes them to the map's own.

    A voxel above the threshold gets the label that is most common in it, of equally common ones
    the smallest; where its parts have none, it has none.

    Parameters
    ----------
    labels
        (Z, Y, X), what is written to.
    probability
        The map on the same lattice.
    threshold
        Above which a voxel belongs to a cell.
    refine_zyx
        1 or 2 for each axis; regions must begin and end with voxels of `labels`.
    """

    def __init__(
        self,
        labels: WritableArray,
        probability: LazyArray,
        threshold: float,
        refine_zyx: ShapeZYX,
    ) -> None:
        self._labels, self._probability = labels, probability
        self._threshold, self._refine = threshold, refine_zyx
        z, y, x = labels.shape
        self.shape: tuple[int, ...] = refined_shape((z, y, x), refine_zyx)
        self.ndim = 3

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the labels."""
        return self._labels.dtype

    def become(self, dtype: npt.DTypeLike) -> None:
        """Hold another type from now on, if what is written to can."""
        self._labels.become(dtype)  # type: ignore[attr-defined]

    def __getitem__(self, key: tuple[slice, ...], /) -> npt.NDArray[Any]:
        read = np.asarray(self._labels[self._own(key)])
        for axis, factor in enumerate(self._refine):
            read = np.repeat(read, factor, axis)
        return read

    def __setitem__(self, key: tuple[slice, ...], value: npt.NDArray[Any], /) -> None:
        own = self._own(key)
        coarse = most_common(value, self._refine)
        if coarse.any():
            coarse[read_probability(self._probability, own) <= self._threshold] = 0
        self._labels[own] = coarse

    def _own(self, key: tuple[slice, ...]) -> Region:
        z, y, x = (
            slice(part.start // factor, part.stop // factor)
            for part, factor in zip(key, self._refine, strict=True)
        )
        return z, y, x


def most_common(labels: Labels, factor_zyx: ShapeZYX) -> Labels:
    """The most common label other than 0 of every box of so many voxels, the smallest of equals."""
    starts = itertools.product(*(range(factor) for factor in factor_zyx))
    fz, fy, fx = factor_zyx
    views = [labels[z::fz, y::fy, x::fx] for z, y, x in starts]
    result = views[0].copy()
    mixed = np.zeros(result.shape, np.bool_)
    for view in views[1:]:
        mixed |= view != result
    where = np.nonzero(mixed)
    result[where] = _most_common_of_rows(np.sort([view[where] for view in views], axis=0))
    return result


def _most_common_of_rows(ascending: Labels) -> Labels:
    """The most common number other than 0 down each column; they ascend."""
    best: Labels = np.zeros_like(ascending[0])
    most, run = (np.zeros(best.shape, np.uint8) for _ in range(2))
    before = np.zeros_like(best)
    for row in ascending:
        run = np.where(row == before, run + np.uint8(1), np.uint8(1))
        before = row
        better = (run > most) & (row > 0)
        best[better], most[better] = row[better], run[better]
    return best


def numbered_anew(labels_out: WritableArray, n: int, plan: BlockPlan) -> int:
    """Number labels 1…n by their first voxels; those without any are left out. How many are left.

    Parameters
    ----------
    labels_out
        Changed in place.
    n
        Largest label.
    plan
        How the volume is cut.
    """
    statistics = count_labels(labels_out, n, plan=plan)
    keep = statistics.count > 0
    keep[0] = False
    left, numbers = raster_numbers(statistics, keep)
    if left < n or not np.array_equal(numbers, np.arange(n + 1)):
        relabel(labels_out, numbers, plan=plan)
    return left
