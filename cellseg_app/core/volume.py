"""The intensity image as every room passes it on: lazy, ZYX, with its voxel size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

SpacingZYX = tuple[float, float, float]
ShapeZYX = tuple[int, int, int]


class LazyArray(Protocol):
    """What reads only the part that is asked for: a memory map, a TIFF, a Zarr array, an array."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def ndim(self) -> int: ...
    def __getitem__(self, key: tuple[slice, ...], /) -> npt.NDArray[Any]: ...


@dataclass(frozen=True, slots=True)
class Volume:
    """A 3D intensity image.

    Attributes
    ----------
    data
        Lazy array, axes Z, Y, X.
    spacing_um_zyx
        Voxel size in µm, or None when neither the file nor the user said it.
    name
        What results are named after: the file's name without its suffixes.
    source
        The file or folder it was read from; None for an array.
    notes
        Sentences for the log and the run record: chosen channel, replaced voxels, doubts.
    """

    data: LazyArray
    spacing_um_zyx: SpacingZYX | None
    name: str
    source: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def shape_zyx(self) -> ShapeZYX:
        """Number of voxels along Z, Y, X."""
        z, y, x = self.data.shape
        return z, y, x

    @property
    def n_voxels(self) -> int:
        """Number of voxels."""
        z, y, x = self.shape_zyx
        return z * y * x
