"""Dividing one cell into several: where the parts begin, and where they meet."""

from __future__ import annotations

from typing import Final

import edt
import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.morphology import reconstruction
from skimage.segmentation import watershed

from cellseg_app.analysis.blockwise import Bools, Floats
from cellseg_app.core.volume import ShapeZYX, SpacingZYX

Parts = npt.NDArray[np.uint8]
_Points = npt.NDArray[np.intp]

# How much lower than the lower of two peaks the neck between them is, as a part of the greatest
# depth; tried one after the other.
_NECKS: Final = (0.5, 0.25, 0.12, 0.06)
# Below this part of a voxel, a dip comes from the voxels themselves.
_LEAST_DIP_VOXELS: Final = 0.35
# Peaks that cut off less than this part of the cell are none.
_LEAST_SHARE: Final = 0.05
_CONNECTED: Final = np.ones((3, 3, 3), bool)


def find_seeds(cell: Bools, spacing_um_zyx: SpacingZYX, n: int = 2) -> list[ShapeZYX] | None:
    """Choose where the parts of a cell begin, always alike.

    The peaks of the distance from the surface that are told apart by the deepest necks; where
    there are fewer than `n` such peaks, the middles of `n` pieces of equal size along the longest
    axis of the cell.

    Parameters
    ----------
    cell
        (Z, Y, X), true inside.
    spacing_um_zyx
        Voxel size; ones if it is not known.
    n
        Number of parts.

    Returns
    -------
    list
        One voxel per part, in raster order; None if the cell has fewer than `n` voxels.
    """
    if np.count_nonzero(cell) < n:
        return None
    depth = _depth(cell, spacing_um_zyx)
    peaks = _peaks(depth, min(spacing_um_zyx), n)
    if peaks is not None:
        sizes = np.bincount(divide(cell, peaks, spacing_um_zyx)[cell], minlength=n + 1)[1:]
        if sizes.min() >= _LEAST_SHARE * sizes.sum():
            return peaks
    return _along_axis(cell, spacing_um_zyx, n)


def divide(cell: Bools, seeds_zyx: list[ShapeZYX], spacing_um_zyx: SpacingZYX) -> Parts:
    """Divide a cell at its necks, and halfway between seeds that have no neck between them.

    Seeds hang together if the cell is, all the way between them, at least as deep as at the
    shallowest seed. A watershed of the depth divides the groups of seeds; within a group every
    voxel goes to the nearest seed.

    Parameters
    ----------
    cell
        (Z, Y, X), true inside.
    seeds_zyx
        Voxels of the cell, one per part.
    spacing_um_zyx
        Voxel size; ones if it is not known.

    Returns
    -------
    array
        (Z, Y, X): number of the part from 1, 0 outside of the cell. No part is empty.
    """
    seeds = np.asarray(seeds_zyx, np.intp)
    depth = _depth(cell, spacing_um_zyx)
    cores, _ = ndimage.label(depth >= depth[tuple(seeds.T)].min(), structure=_CONNECTED)
    group = cores[tuple(seeds.T)]
    markers = np.where(np.isin(cores, group) & cell, cores, 0)
    region = watershed(-depth, markers, mask=cell, connectivity=_CONNECTED)
    parts = np.zeros(cell.shape, np.uint8)
    for own in np.unique(group):
        numbers = np.flatnonzero(group == own)
        inside = region == own
        parts[inside] = numbers[_nearest(seeds[numbers], spacing_um_zyx, inside)] + 1
    # Pieces that hang together with no seed, of cells that were merged before.
    cut_off = cell & (region == 0)
    parts[cut_off] = _nearest(seeds, spacing_um_zyx, cut_off) + 1
    return parts


def _depth(cell: Bools, spacing: SpacingZYX) -> Floats:
    padded = np.pad(cell, 1)
    depth = edt.edt(padded, anisotropy=spacing, black_border=True, parallel=1)
    return np.ascontiguousarray(depth[1:-1, 1:-1, 1:-1])


def _nearest(seeds: _Points, spacing: SpacingZYX, where: Bools) -> _Points:
    """Which of the seeds is nearest to each voxel of a mask; of equals the first."""
    if len(seeds) == 1:
        return np.zeros(np.count_nonzero(where), np.intp)
    points = np.argwhere(where) * np.asarray(spacing)
    _, nearest = cKDTree(seeds * np.asarray(spacing)).query(points)
    return np.asarray(nearest, np.intp)


def _peaks(depth: Floats, voxel: float, n: int) -> list[ShapeZYX] | None:
    deepest = float(depth.max())
    for share in _NECKS:
        dip = share * deepest
        if dip < _LEAST_DIP_VOXELS * voxel:
            return None
        # What rises above its surroundings by more than the dip stays above the rebuilt surface.
        rebuilt = reconstruction(np.maximum(depth - dip, 0), depth, footprint=_CONNECTED)
        tops, found = ndimage.label((depth - rebuilt >= dip * (1 - 1e-5)) & (depth > dip),
                                    structure=_CONNECTED)  # fmt: skip
        if found >= n:
            ids = np.arange(1, found + 1)
            places = [tuple(map(int, at)) for at in ndimage.maximum_position(depth, tops, ids)]
            places.sort(key=lambda at: (-float(depth[at]), at))
            return sorted((z, y, x) for z, y, x in places[:n])
    return None


def _along_axis(cell: Bools, spacing: SpacingZYX, n: int) -> list[ShapeZYX]:
    voxels = np.argwhere(cell)
    points = voxels * np.asarray(spacing)
    centred = points - points.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    # Rounded, so that voxels at one height stay in raster order on every machine.
    order = np.argsort(np.round(centred @ axes[:, -1], 6), kind="stable")
    chosen = []
    for piece in np.array_split(order, n):
        middle = points[piece].mean(axis=0)
        gap = np.round(np.linalg.norm(points[piece] - middle, axis=1), 6)
        z, y, x = (int(v) for v in voxels[piece[int(np.argmin(gap))]])
        chosen.append((z, y, x))
    return sorted(chosen)
