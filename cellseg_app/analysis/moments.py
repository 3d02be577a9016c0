"""Sums over the voxels of every object: counts, coordinates and their products, intensities.

All are additive over blocks. Objects are looked at as runs of equal labels along X: the sums of x
and x² over a run are known in closed form, which leaves several times less to add up than voxels
(run-length encoding as in Lehmann and Legland 2012). Coordinate sums are exact integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_app.analysis.blockwise import Ids, Labels
from cellseg_app.core.blocks import Region, region_origin

Integers = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]

# n, Σz, Σy, Σx, Σzz, Σyy, Σxx, Σzy, Σzx, Σyx
_N_SUMS = 10
_PRODUCTS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums per object; row k belongs to `ids[k]`.

    Attributes
    ----------
    ids
        Labels, ascending.
    sums
        (N, 10) n, Σz, Σy, Σx, Σzz, Σyy, Σxx, Σzy, Σzx, Σyx in voxels.
    low, high
        (N, 3) bounding box: first voxel, and one past the last.
    """

    ids: Integers
    sums: Integers
    low: Integers
    high: Integers

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """For keeping on disk."""
        return {"ids": self.ids, "sums": self.sums, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class Values:
    """Sums of the values of an image per object; row k belongs to the k-th id.

    Attributes
    ----------
    total, squares
        Σv and Σv².
    least, most
        Minimum and maximum.
    """

    total: Doubles
    squares: Doubles
    least: Doubles
    most: Doubles

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """For keeping on disk."""
        return {
            "total": self.total,
            "squares": self.squares,
            "least": self.least,
            "most": self.most,
        }


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs of one label along X within a block.

    Attributes
    ----------
    ids
        Labels of the block, ascending.
    place
        For every run, which of `ids` it belongs to.
    z, y, x
        First voxel in the block.
    length
        Number of voxels.
    voxels
        Flat indices of all labelled voxels, run after run.
    starts
        Where each run begins in `voxels`.
    """

    ids: Integers
    place: Ids
    z: Integers
    y: Integers
    x: Integers
    length: Integers
    voxels: Ids
    starts: Ids


def find_runs(labels: Labels) -> Runs | None:
    """Runs of a block of labels; None if it is empty."""
    flat = labels.ravel()
    voxels = np.flatnonzero(flat)
    if not len(voxels):
        return None
    value = flat[voxels]
    begins = np.empty(len(voxels), np.bool_)
    begins[0] = True
    np.not_equal(value[1:], value[:-1], out=begins[1:])
    begins[1:] |= np.diff(voxels) != 1
    begins |= voxels % labels.shape[2] == 0
    starts = np.flatnonzero(begins)
    length = np.diff(starts, append=len(voxels))
    ids, place = np.unique(value[starts], return_inverse=True)
    z, y, x = (axis.astype(np.int64) for axis in np.unravel_index(voxels[starts], labels.shape))
    return Runs(ids.astype(np.int64), place, z, y, x, length.astype(np.int64), voxels, starts)


def sum_moments(runs: Runs, core: Region) -> Moments:
    """Moments of the objects of a block, in coordinates of the volume."""
    n = len(runs.ids)
    length, z, y, first = runs.length, runs.z, runs.y, runs.x
    last = first + length - 1
    x = length * (first + last) // 2
    xx = _squares_up_to(last) - _squares_up_to(first - 1)
    terms = (
        *(length, length * z, length * y, x),
        *(length * z * z, length * y * y, xx, length * z * y, z * x, y * x),
    )
    # The coordinates of one block are small: double precision adds them exactly.
    sums = np.stack([np.bincount(runs.place, t, minlength=n) for t in terms], axis=1)
    low, high = np.full((n, 3), np.iinfo(np.int64).max), np.full((n, 3), -1, np.int64)
    for axis, (begin, end) in enumerate(((z, z), (y, y), (first, last))):
        np.minimum.at(low[:, axis], runs.place, begin)
        np.maximum.at(high[:, axis], runs.place, end)
    origin = np.asarray(region_origin(core), np.int64)
    return Moments(
        runs.ids, move_origin(sums.astype(np.int64), origin), low + origin, high + origin + 1
    )


def move_origin(sums: Integers, origin: Integers) -> Integers:
    """The same sums after every coordinate grew by `origin`, one for all or (N, 3)."""
    o = np.broadcast_to(origin, (len(sums), 3))
    n, first = sums[:, 0], sums[:, 1:4]
    moved = sums.copy()
    moved[:, 1:4] += n[:, None] * o
    for column, (i, j) in enumerate(_PRODUCTS, start=4):
        moved[:, column] += o[:, i] * first[:, j] + o[:, j] * first[:, i] + n * o[:, i] * o[:, j]
    return moved


def sum_values(runs: Runs, image: npt.NDArray[np.generic]) -> Values:
    """Sums of an image's values over the objects of a block of the same shape."""
    n = len(runs.ids)
    value = image.ravel()[runs.voxels].astype(np.float64)
    total = np.bincount(runs.place, np.add.reduceat(value, runs.starts), minlength=n)
    least, most = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(least, runs.place, np.minimum.reduceat(value, runs.starts))
    np.maximum.at(most, runs.place, np.maximum.reduceat(value, runs.starts))
    value *= value
    squares = np.bincount(runs.place, np.add.reduceat(value, runs.starts), minlength=n)
    return Values(*(a.astype(np.float64, copy=False) for a in (total, squares, least, most)))


def join_moments(parts: Sequence[Moments]) -> tuple[Moments, Ids]:
    """Moments of whole objects, and for every row of the parts the row it went to."""
    if not parts:
        none = np.zeros((0, 3), np.int64)
        sums = np.zeros((0, _N_SUMS), np.int64)
        return Moments(np.zeros(0, np.int64), sums, none, none), np.zeros(0, np.intp)
    ids, place = np.unique(np.concatenate([p.ids for p in parts]), return_inverse=True)
    sums = np.zeros((len(ids), _N_SUMS), np.int64)
    low, high = np.full((len(ids), 3), np.iinfo(np.int64).max), np.zeros((len(ids), 3), np.int64)
    np.add.at(sums, place, np.concatenate([p.sums for p in parts]))
    np.minimum.at(low, place, np.concatenate([p.low for p in parts]))
    np.maximum.at(high, place, np.concatenate([p.high for p in parts]))
    return Moments(ids, sums, low, high), place


def join_values(parts: Sequence[Values], place: Ids, n: int) -> Values:
    """Sums of values over whole objects; `place` as `join_moments` gave it."""
    none = np.zeros(0)
    total = np.bincount(place, np.concatenate([none, *(p.total for p in parts)]), minlength=n)
    squares = np.bincount(place, np.concatenate([none, *(p.squares for p in parts)]), minlength=n)
    least, most = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(least, place, np.concatenate([none, *(p.least for p in parts)]))
    np.maximum.at(most, place, np.concatenate([none, *(p.most for p in parts)]))
    return Values(*(a.astype(np.float64, copy=False) for a in (total, squares, least, most)))


def covariance(moments: Moments) -> Doubles:
    """(N, 3, 3) covariance of the voxel centres, in voxels², axes Z, Y, X."""
    # From the bounding box, the sums are small enough that subtracting them loses no digits.
    near = move_origin(moments.sums, -moments.low).astype(np.float64)
    n = near[:, 0]
    mean = near[:, 1:4] / n[:, None]
    result = np.empty((len(near), 3, 3))
    for column, (i, j) in enumerate(_PRODUCTS, start=4):
        result[:, i, j] = result[:, j, i] = near[:, column] / n - mean[:, i] * mean[:, j]
    return result


def _squares_up_to(last: Integers) -> Integers:
    """0² + 1² + … + last²."""
    result: Integers = last * (last + 1) * (2 * last + 1) // 6
    return result
