"""Masks in: which voxels of a volume are inside, from a file of any resolution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cellseg_app.core.blocks import Region
from cellseg_app.core.errors import InputError
from cellseg_app.core.progress import CancelToken, ProgressSink, StageProgress
from cellseg_app.core.settings import DataSettings
from cellseg_app.core.volume import LazyArray, ShapeZYX, Volume
from cellseg_app.io.finite import z_slabs
from cellseg_app.io.open import open_volume
from cellseg_app.io.shared import SharedArray

# Extents that differ by more belong to different volumes.
_EXTENT_TOLERANCE: Final = 0.05
# Edge of the coarse picture of a mask that is kept in memory.
_COARSE_EDGE: Final = 256
_SLAB_BYTES: Final = 8 * 1024**2


class MaskArray:
    """A mask seen on the lattice of a volume that covers the same extent; reads as booleans.

    A voxel is inside if the mask's voxel that holds its centre is not zero.
    """

    def __init__(self, source: LazyArray, shape_zyx: ShapeZYX) -> None:
        self.source = source
        self.shape: tuple[int, ...] = shape_zyx
        self.dtype: np.dtype[Any] = np.dtype(np.bool_)
        self.ndim = 3

    def on_lattice(self, shape_zyx: ShapeZYX) -> MaskArray:
        """The same mask on another lattice over the same extent."""
        return MaskArray(self.source, shape_zyx)

    def __getitem__(self, key: tuple[slice, ...], /) -> npt.NDArray[np.bool_]:
        boxes, picks = [], []
        for part, size, own in zip(key, self.shape, self.source.shape, strict=True):
            place = nearest(np.arange(*part.indices(size)), size, own)
            first = int(place[0]) if place.size else 0
            boxes.append(slice(first, int(place[-1]) + 1 if place.size else 0))
            picks.append(place - first)
        block: npt.NDArray[np.bool_] = np.asarray(self.source[tuple(boxes)]) != 0
        return block[np.ix_(*picks)]


def nearest(index: npt.NDArray[np.intp], size: int, own_size: int) -> npt.NDArray[np.intp]:
    """Which of `own_size` voxels hold the centres of voxels of a lattice of `size`."""
    return (2 * index + 1) * own_size // (2 * size)


@dataclass(frozen=True, slots=True)
class MaskExtent:
    """What a pass over a mask found.

    Attributes
    ----------
    box
        The smallest region of the volume that holds everything inside.
    n_voxels
        How many voxels of the volume are inside.
    coarse
        Where anything is inside, at a resolution that fits into memory.
    """

    box: Region
    n_voxels: int
    coarse: npt.NDArray[np.bool_]

    def touches(self, region: Region, shape_zyx: ShapeZYX) -> bool:
        """Whether something inside may lie in a region of the volume."""
        parts = []
        for part, size, own in zip(region, shape_zyx, self.coarse.shape, strict=True):
            # One cell more on each side: cells of the coarse picture are not aligned with voxels.
            first = part.start * own // size - 1
            parts.append(slice(max(0, first), -(-part.stop * own // size) + 1))
        return bool(self.coarse[tuple(parts)].any())


def open_mask(path: Path, volume: Volume) -> MaskArray:
    """Open a mask without reading its voxels.

    Parameters
    ----------
    path
        TIFF or OME-Zarr; one plane holds for every plane of the volume.
    volume
        The volume it belongs to.

    Raises
    ------
    InputError
        It is no image, or does not cover the volume.
    """
    mask = open_volume(path, allow_2d=True)
    own, whole = mask.spacing_um_zyx, volume.spacing_um_zyx
    shapes = (mask.shape_zyx, volume.shape_zyx)
    if own is not None and whole is not None and mask.shape_zyx != volume.shape_zyx:
        flat = mask.shape_zyx[0] == 1
        for axis, a, n, b, m in list(zip("ZYX", own, shapes[0], whole, shapes[1], strict=True)):
            # A voxel of the mask may stick out, where its size does not divide the volume's.
            off = abs(a * n - b * m) > max(_EXTENT_TOLERANCE * b * m, 1.01 * max(a, b))
            if off and not (flat and axis == "Z"):
                raise InputError(
                    f"The mask is {a * n:.4g} µm long along {axis}, the volume {b * m:.4g} µm.",
                    "Give a mask of the whole volume, at any resolution, or correct its voxel "
                    "size.",
                    path=path,
                )
    shared = SharedArray(path, DataSettings(), mask.data, allow_2d=True)
    return MaskArray(shared, volume.shape_zyx)


def measure_mask(
    mask: MaskArray,
    within: Region,
    *,
    progress: ProgressSink | None = None,
    cancel: CancelToken | None = None,
) -> MaskExtent | None:
    """Pass over a mask, slab by slab at its own resolution; None if nothing is inside `within`.

    Raises
    ------
    Cancelled
        The user asked to stop.
    """
    own = (mask.source.shape[0], mask.source.shape[1], mask.source.shape[2])
    # How many voxels of the volume each voxel of the mask stands for, along each axis.
    weights = [
        np.bincount(nearest(np.arange(part.start, part.stop), size, n), minlength=n)
        for part, size, n in zip(within, mask.shape, own, strict=True)
    ]
    step = [-(-n // _COARSE_EDGE) for n in own]
    coarse = np.zeros([-(-n // s) for n, s in zip(own, step, strict=True)], np.bool_)
    seen = [np.zeros(n, np.bool_) for n in own]
    rows, columns = (np.arange(0, n, s) for n, s in zip(own[1:], step[1:], strict=True))
    slabs = z_slabs(own, 1, n_bytes=_SLAB_BYTES)
    steps = StageProgress(progress, "reading the mask", len(slabs), cancel=cancel)
    n_voxels = 0
    for z in slabs:
        inside = np.asarray(mask.source[(z, slice(0, own[1]), slice(0, own[2]))]) != 0
        inside &= _outer(weights[0][z] > 0, weights[1] > 0, weights[2] > 0)
        n_voxels += int(inside @ weights[2] @ weights[1] @ weights[0][z])
        for axis, others in enumerate(((1, 2), (0, 2), (0, 1))):
            seen[axis][z if axis == 0 else slice(None)] |= inside.any(axis=others)
        cells = np.logical_or.reduceat(np.logical_or.reduceat(inside, rows, 1), columns, 2)
        np.logical_or.at(coarse, np.arange(z.start, z.stop) // step[0], cells)
        steps.advance()
    if n_voxels == 0:
        return None
    return MaskExtent(_bounds(seen, mask.shape, within), n_voxels, coarse)


def _outer(
    z: npt.NDArray[np.bool_], y: npt.NDArray[np.bool_], x: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    return z[:, None, None] & y[:, None] & x


def _bounds(seen: list[npt.NDArray[np.bool_]], shape: tuple[int, ...], within: Region) -> Region:
    parts = []
    for flags, size, outer in zip(seen, shape, within, strict=True):
        first, last = int(np.argmax(flags)), len(flags) - int(np.argmax(flags[::-1]))
        # The first voxel of the volume whose centre lies in a voxel of the mask.
        start = math.ceil(first * size / len(flags) - 0.5)
        stop = math.ceil(last * size / len(flags) - 0.5)
        parts.append(slice(max(start, outer.start), min(stop, outer.stop)))
    return parts[0], parts[1], parts[2]
