"""Catchment basins of a landscape: one per local maximum, and how high the passes between are.

Every voxel points to the highest of itself and its six face neighbours (ties: the later voxel in
raster order); following the pointers leads to a local maximum, and the voxels that reach the same
one are a basin. For a landscape without ties this is the flooding watershed started from all
local maxima (Meyer, "Topographic distance and watershed lines", 1994). Unlike flooding it looks at
neighbours only, so the basins of a volume are the same whether it is cut into blocks or not.

What flooding from fewer seeds, or h-maxima, would give follows from the basins, the heights of
their peaks and the heights of the passes alone: see `basin_graph`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_app.analysis.blockwise import Floats, Ids, Labels
from cellseg_app.analysis.pair_keys import pair_keys, pairs_of
from cellseg_app.core.volume import ShapeZYX

# Voxels looked at together, few enough for the processor's cache.
_CACHED_VOXELS = 2**14


@dataclass(frozen=True, slots=True)
class Passes:
    """Highest passes between pairs of basins: `first` < `second`, and the height between them."""

    first: Labels
    second: Labels
    height: Floats

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """For keeping on disk."""
        return {"first": self.first, "second": self.second, "height": self.height}


@dataclass(frozen=True, slots=True)
class Basins:
    """Basins of one reach.

    Attributes
    ----------
    labels
        0 where the landscape is 0, else 1…n.
    n
        Number of basins, including the parts of basins whose peak lies outside the reach.
    peak
        Height of the peak of basin 1…n, index 0 unused; −inf where it lies outside the reach.
    passes
        Between basins of this reach.
    """

    labels: Labels
    n: int
    peak: Floats
    passes: Passes


def find_basins(landscape: Floats) -> Basins | None:
    """Basins of the landscape without its outermost layer of voxels.

    Parameters
    ----------
    landscape
        C-contiguous, the reach and one more voxel on every side (0 beyond the volume); positive
        where there is something, 0 elsewhere.

    Returns
    -------
    Basins, or None if there is nothing.
    """
    shape = (landscape.shape[0], landscape.shape[1], landscape.shape[2])
    steps = (shape[1] * shape[2], shape[2], 1)
    flat = landscape.ravel()
    inside = np.zeros(shape, np.bool_)
    inside[1:-1, 1:-1, 1:-1] = landscape[1:-1, 1:-1, 1:-1] > 0
    where = np.flatnonzero(inside)
    if not len(where):
        return None
    ends = _follow(_uphill(flat, where, steps), where, flat.size)
    is_end = ends == np.arange(len(ends))
    number = np.cumsum(is_end)
    ids = number[ends]
    n = int(number[-1])
    labels = np.zeros(flat.size, np.uint32)
    labels[where] = ids
    peak = np.full(n + 1, -np.inf, np.float32)
    peak[1:] = _peaks(flat, where[is_end], steps)
    passes = _find_passes(labels, flat, where, steps)
    return Basins(labels.reshape(shape)[1:-1, 1:-1, 1:-1], n, peak, passes)


def _uphill(flat: Floats, where: Ids, steps: ShapeZYX) -> Ids:
    """The highest of each voxel and its neighbours; of equals the last in raster order."""
    plane, row, voxel = steps
    offsets = np.asarray((-plane, -row, -voxel, 0, voxel, row, plane))
    # Seen from one plane earlier, no neighbour has a negative index.
    views = [flat[plane + offset :] for offset in offsets.tolist()]
    result = np.empty(len(where), np.intp)
    for start in range(0, len(where), _CACHED_VOXELS):
        part = where[start : start + _CACHED_VOXELS]
        seen_from = part - plane
        best = views[0][seen_from]
        value = np.empty_like(best)
        choice = np.zeros(len(part), np.uint8)
        for k, view in enumerate(views[1:], start=1):
            # All indices are valid: "clip" only spares the copy that "raise" needs.
            np.take(view, seen_from, out=value, mode="clip")
            np.copyto(choice, k, where=value >= best)
            np.maximum(best, value, out=best)
        np.add(part, offsets[choice], out=result[start : start + _CACHED_VOXELS])
    return result


def _follow(target: Ids, where: Ids, size: int) -> Ids:
    """End of every uphill path, as an index into `where`; paths that leave the reach end there."""
    compact = np.full(size, -1, np.int32)
    compact[where] = np.arange(len(where), dtype=np.int32)
    pointer = compact[target].astype(np.intp)
    leaves = pointer < 0
    pointer[leaves] = np.flatnonzero(leaves)
    open_parts = list(range(0, len(pointer), _CACHED_VOXELS))
    while open_parts:
        # In place: what one part has learned shortens the paths of the next.
        open_parts = [start for start in open_parts if _shorten(pointer, start)]
    return pointer


def _shorten(pointer: Ids, start: int) -> bool:
    """Let some pointers skip a step; whether any of them had not arrived."""
    part = pointer[start : start + _CACHED_VOXELS]
    further = pointer[part]
    if np.array_equal(further, part):
        return False
    part[:] = further
    return True


def _peaks(flat: Floats, ends: Ids, steps: ShapeZYX) -> Floats:
    """Heights of the path ends that are maxima; −inf for those where a path left the reach."""
    height = flat[ends]
    return np.where(_uphill(flat, ends, steps) == ends, height, np.float32(-np.inf))


def _find_passes(labels: Labels, flat: Floats, where: Ids, steps: ShapeZYX) -> Passes:
    keys: list[npt.NDArray[np.uint64]] = []
    heights: list[Floats] = []
    for start in range(0, len(where), _CACHED_VOXELS):
        part = where[start : start + _CACHED_VOXELS]
        own = labels[part]
        other = np.empty_like(own)
        for step in steps:
            np.take(labels[step:], part, out=other, mode="clip")
            at = np.flatnonzero((other != own) & (other > 0))
            a, b = own[at], other[at]
            keys.append(pair_keys(np.minimum(a, b), np.maximum(a, b)))
            heights.append(np.minimum(flat[part[at]], flat[part[at] + step]))
    return highest_passes(np.concatenate(keys), np.concatenate(heights))


def highest_passes(keys: npt.NDArray[np.uint64], heights: Floats) -> Passes:
    """One pass per pair of basins, the highest; keys are those of the pairs of ids."""
    if not len(keys):
        none = np.zeros(0, np.uint32)
        return Passes(none, none, np.zeros(0, np.float32))
    order = np.argsort(keys, kind="stable")
    keys, heights = keys[order], heights[order]
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
    first, second = (ids.astype(np.uint32) for ids in pairs_of(keys[starts]))
    return Passes(first, second, np.maximum.reduceat(heights, starts))
