"""Arrays of unfinished work on disk, in compressed chunks; where there is nothing, no chunk is.

Parts that begin and end with chunks can be written beside each other and again: a chunk is
replaced as a whole, so that a process that dies leaves every other chunk as it was.
"""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import zarr

from cellseg_app.atomic import output_error
from cellseg_app.core.volume import ShapeZYX
from cellseg_app.io.zarr_arrays import HAS_ZARR_3, create_array

# A few megabytes; as deep as the blocks in which cells are told apart.
CHUNK_ZYX: Final[ShapeZYX] = (64, 128, 128)


class ChunkedArray:
    """An array (Z, Y, X) or (C, Z, Y, X) in a folder, read and written by slices; 0 at first.

    Parameters
    ----------
    folder
        Where `ChunkedArray.create` made it, or a level of an OME-Zarr. Pickled, it is this path.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        options = {} if HAS_ZARR_3 else {"write_empty_chunks": False}
        self._array = zarr.open_array(str(folder), mode="r+", **options)
        self.shape: tuple[int, ...] = tuple(self._array.shape)
        self.dtype: np.dtype[Any] = self._array.dtype
        self.ndim = len(self.shape)
        self._files: tuple[int, ...] = tuple(
            getattr(self._array, "shards", None) or self._array.chunks
        )
        self._root = str(folder / "c" if _is_format_3(self._array) else folder)

    @classmethod
    def create(cls, folder: Path, shape: tuple[int, ...], dtype: npt.DTypeLike) -> ChunkedArray:
        """A new array; an existing one of this shape and type is taken as it is, another replaced.

        Raises
        ------
        OutputError
            The place cannot be written.
        """
        if folder.exists():
            known = cls(folder)
            if known.shape == shape and known.dtype == np.dtype(dtype):
                return known
            shutil.rmtree(folder)
        chunks = (*(1 for _ in shape[:-3]), *map(min, CHUNK_ZYX, shape[-3:]))
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            create_array(
                folder, shape, chunks=chunks, dtype=np.dtype(dtype), axes="czyx"[-len(shape) :]
            )
        except OSError as error:
            raise output_error(folder, error) from error
        return cls(folder)

    def __reduce__(self) -> tuple[type[ChunkedArray], tuple[Path]]:
        return ChunkedArray, (self.folder,)

    def __getitem__(self, key: tuple[slice, ...], /) -> npt.NDArray[Any]:
        if self.holds_nothing(key):
            return np.zeros(
                [len(range(*k.indices(n))) for k, n in zip(key, self.shape, strict=True)],
                self.dtype,
            )
        return np.asarray(self._array[key])

    def __setitem__(self, key: tuple[slice, ...], value: npt.NDArray[Any], /) -> None:
        if not value.any() and self.holds_nothing(key):
            return
        try:
            self._array[key] = value
        except OSError as error:
            raise output_error(self.folder, error) from error

    def become(self, dtype: npt.DTypeLike) -> None:
        """Hold another voxel type from now on; everything is 0 again.

        Raises
        ------
        OutputError
            The place cannot be written.
        """
        ChunkedArray.create(self.folder, self.shape, dtype)
        self.__init__(self.folder)  # type: ignore[misc]

    def holds_nothing(self, key: tuple[slice, ...]) -> bool:
        """Whether all of a region is 0 because no file of it was ever written."""
        numbers = []
        for part, size, step in zip(key, self.shape, self._files, strict=True):
            start, stop, _ = part.indices(size)
            numbers.append(range(start // step, -(-stop // step)))
        return not any(
            os.path.exists(f"{self._root}/{'/'.join(map(str, number))}")
            for number in itertools.product(*numbers)
        )


def _is_format_3(array: Any) -> bool:  # noqa: ANN401 - zarr's array, of any version
    return HAS_ZARR_3 and array.metadata.zarr_format == 3


class BoundedArray:
    """A stored probability (C, Z, Y, X) that knows the largest value of each of its chunks.

    Parameters
    ----------
    values
        The array; chunked as `CHUNK_ZYX`, from its first voxel on.
    maxima
        (C, nz, ny, nx) largest value per chunk.
    """

    def __init__(self, values: ChunkedArray, maxima: npt.NDArray[np.float16]) -> None:
        self._values, self._maxima = values, maxima
        self.shape: tuple[int, ...] = values.shape
        self.dtype: np.dtype[Any] = values.dtype
        self.ndim = values.ndim

    def __getitem__(self, key: tuple[slice, ...], /) -> npt.NDArray[Any]:
        return self._values[key]

    def at_most(self, key: tuple[slice, ...]) -> float:
        """A value that nothing in a region exceeds, told without reading it."""
        parts = [key[0]]
        for part, size, step in zip(key[1:], self.shape[1:], CHUNK_ZYX, strict=True):
            start, stop, _ = part.indices(size)
            parts.append(slice(start // step, -(-stop // step)))
        return float(self._maxima[tuple(parts)].max(initial=0))


def chunk_maxima(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Largest value per chunk of an array (C, Z, Y, X) that begins with a chunk."""
    for axis, step in zip((1, 2, 3), CHUNK_ZYX, strict=True):
        values = np.maximum.reduceat(values, range(0, values.shape[axis], step), axis=axis)
    return values
