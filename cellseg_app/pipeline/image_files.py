"""Images on disk: lazy arrays as files, and files as lazy probabilities again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from cellseg_app.core.blocks import at_most
from cellseg_app.core.errors import InputError
from cellseg_app.core.progress import StageProgress
from cellseg_app.core.settings import DataSettings, OmeVersion
from cellseg_app.core.volume import LazyArray, SpacingZYX
from cellseg_app.io.casts import ImageKind
from cellseg_app.io.finite import z_slabs
from cellseg_app.io.ome_tiff_write import is_ome_tiff_name, write_ome_tiff
from cellseg_app.io.ome_zarr_write import new_ome_zarr
from cellseg_app.io.open import describe, open_volume, read_stored
from cellseg_app.io.shared import SharedArray
from cellseg_app.io.tiff_write import TiffSlabWriter
from cellseg_app.pipeline.block_writing import write_blocks
from cellseg_app.pipeline.reporting import Reporting

_N_AXES_WITH_CLASSES = 4


class ClassStack:
    """Lazy arrays of one class each (Z, Y, X) seen as one (C, Z, Y, X)."""

    def __init__(self, classes: list[LazyArray]) -> None:
        self._classes = classes
        self.shape: tuple[int, ...] = (len(classes), *classes[0].shape)
        self.dtype: np.dtype[Any] = classes[0].dtype
        self.ndim = _N_AXES_WITH_CLASSES

    def __getitem__(self, key: tuple[slice, ...], /) -> npt.NDArray[Any]:
        chosen = self._classes[key[0]]
        return np.stack([part[key[1:]] for part in chosen])


class OneClass:
    """One class of a lazy array (C, Z, Y, X), as (Z, Y, X)."""

    def __init__(self, classes: LazyArray, index: int) -> None:
        self._classes, self._index = classes, index
        self.shape: tuple[int, ...] = tuple(classes.shape[1:])
        self.dtype: np.dtype[Any] = classes.dtype
        self.ndim = 3

    def __getitem__(self, key: tuple[slice, ...], /) -> npt.NDArray[Any]:
        one: npt.NDArray[Any] = self._classes[(slice(self._index, self._index + 1), *key)][0]
        return one

    def at_most(self, key: tuple[slice, ...]) -> float:
        """A value that nothing in a region exceeds, if the array can tell; else infinity."""
        return at_most(self._classes, (slice(self._index, self._index + 1), *key))


def write_image(
    path: Path,
    data: LazyArray,
    *,
    kind: ImageKind,
    dtype: npt.DTypeLike,
    spacing_um_zyx: SpacingZYX | None,
    image_format: Literal["tif", "zarr"],
    ome_zarr_version: OmeVersion = "auto",
    stage: str,
    report: Reporting,
) -> Path:
    """Write a lazy array (Z, Y, X) or (C, Z, Y, X) part by part, whole or not at all.

    Parameters
    ----------
    path
        Where to.
    data
        What to write.
    kind, dtype, spacing_um_zyx
        See the writers in `io`.
    image_format, ome_zarr_version
        TIFF or OME-Zarr; a TIFF named `.ome.tif` becomes an OME-TIFF.
    stage, report
        One step per part.

    Returns
    -------
    Path
        The file or folder written.
    """
    if image_format == "zarr":
        with new_ome_zarr(
            path,
            tuple(data.shape),
            dtype=dtype,
            spacing_um_zyx=spacing_um_zyx,
            kind=kind,
            version=ome_zarr_version,
        ) as image:
            write_blocks(image, data, stage=stage, report=report)
        return path
    shape = tuple(data.shape)
    if is_ome_tiff_name(path):
        planes = StageProgress(report.progress, stage, math.prod(shape[:-2]), cancel=report.cancel)
        return write_ome_tiff(
            path,
            data,
            kind=kind,
            dtype=dtype,
            spacing_um_zyx=spacing_um_zyx,
            on_plane=planes.advance,
        )
    slabs = z_slabs(shape[-3:], 4 * (shape[0] if len(shape) == _N_AXES_WITH_CLASSES else 1))
    steps = StageProgress(report.progress, stage, len(slabs), cancel=report.cancel)
    with TiffSlabWriter(
        path, shape, dtype=dtype, spacing_um_zyx=spacing_um_zyx, kind=kind
    ) as writer:
        for slab in _read(data, slabs):
            writer.write(slab)
            steps.advance()
    return path


def _read(data: LazyArray, slabs: list[slice]) -> Iterator[npt.NDArray[Any]]:
    leading = tuple(slice(0, n) for n in data.shape[:-3])
    height, width = data.shape[-2:]
    for z in slabs:
        yield data[(*leading, z, slice(0, height), slice(0, width))]


def open_probability(path: Path, *, level: int = 0) -> tuple[ClassStack, SpacingZYX | None]:
    """Open a probability file of ours (or of another program) as (C, Z, Y, X) and its voxel size.

    `level` is that of a pyramid; 0 is the finest.

    Raises
    ------
    InputError
        The file is no volume, or holds no floating-point numbers.
    """
    classes: list[LazyArray] = []
    spacing = None
    one = read_stored(path).probability_one
    for channel in range(describe(path, allow_2d=True).n_channels):
        chosen = DataSettings(channel=channel, level=level)
        volume = open_volume(path, chosen, allow_2d=True)
        shared = SharedArray(path, chosen, volume.data, allow_2d=True)
        classes.append(shared if one is None else _Scaled(shared, one))
        spacing = volume.spacing_um_zyx
    if classes[0].dtype.kind != "f":
        raise InputError(
            f"It holds {classes[0].dtype} values, not probabilities from 0 to 1.",
            "Give the record (.json) or the probability map of a run.",
            path=path,
        )
    return ClassStack(classes), spacing


class _Scaled:
    """A map of whole numbers (Z, Y, X) as probabilities from 0 to 1."""

    def __init__(self, whole: LazyArray, one: float) -> None:
        self._whole, self._one = whole, np.float32(one)
        self.shape: tuple[int, ...] = tuple(whole.shape)
        self.dtype: np.dtype[Any] = np.dtype(np.float32)
        self.ndim = 3

    def __getitem__(self, key: tuple[slice, ...], /) -> npt.NDArray[Any]:
        scaled: npt.NDArray[np.float32] = np.divide(self._whole[key], self._one, dtype=np.float32)
        return scaled
