"""OME-TIFF files out (https://docs.openmicroscopy.org/ome-model): the metadata is tifffile's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from cellseg_app.atomic import atomic_path
from cellseg_app.core.volume import LazyArray, SpacingZYX
from cellseg_app.io.casts import ImageKind, cast_exactly
from cellseg_app.io.tiff_write import BIGTIFF_FROM_BYTES, stored_dtype

_SUFFIXES = (".ome.tif", ".ome.tiff")


def is_ome_tiff_name(path: Path) -> bool:
    """Whether a file of that name is to be an OME-TIFF."""
    return path.name.lower().endswith(_SUFFIXES)


def write_ome_tiff(
    path: Path,
    data: LazyArray,
    *,
    kind: ImageKind,
    dtype: npt.DTypeLike,
    spacing_um_zyx: SpacingZYX | None,
    on_plane: Callable[[], None],
) -> Path:
    """Write a lazy array (Z, Y, X) or (C, Z, Y, X) plane by plane, whole or not at all.

    Parameters
    ----------
    path
        The file; named `.ome.tif`.
    data, kind, dtype, spacing_um_zyx
        See `TiffSlabWriter`.
    on_plane
        Called for every plane; may raise to stop.

    Raises
    ------
    OutputError
        The place cannot be written, the disk is full, or a value does not fit into `dtype`.
    """
    shape, stored = tuple(data.shape), stored_dtype(dtype, kind)
    metadata: dict[str, Any] = {"axes": "CZYX"[-len(shape) :]}
    for axis, um in zip("ZYX", spacing_um_zyx or (), strict=False):
        metadata |= {f"PhysicalSize{axis}": um, f"PhysicalSize{axis}Unit": "µm"}

    def planes() -> Iterator[npt.NDArray[Any]]:
        for plane in _planes(data):
            on_plane()
            yield cast_exactly(plane, stored, kind, path=path)

    is_big = math.prod(shape) * stored.itemsize > BIGTIFF_FROM_BYTES
    with (
        atomic_path(path) as temporary,
        tifffile.TiffWriter(temporary, ome=True, bigtiff=is_big) as tiff,
    ):
        tiff.write(
            planes(),
            shape=shape,
            dtype=stored,
            photometric="minisblack",
            compression="zlib" if kind == "labels" else None,
            metadata=metadata,
            software="CellSeg",
        )
    return path


def _planes(data: LazyArray) -> Iterator[npt.NDArray[Any]]:
    height, width = data.shape[-2:]
    for place in np.ndindex(data.shape[:-2]):
        key = (*(slice(n, n + 1) for n in place), slice(0, height), slice(0, width))
        yield np.asarray(data[key]).reshape(height, width)
