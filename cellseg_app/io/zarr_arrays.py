"""One Zarr array on disk, format 2 or 3, on every Python this project supports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

import numcodecs
import numpy as np
import numpy.typing as npt
import zarr

from cellseg_app.atomic import write_text_atomic
from cellseg_app.core.errors import InputError
from cellseg_app.io.refusals import BROKEN_FILE_ERRORS, unreadable

HAS_ZARR_3 = int(zarr.__version__.partition(".")[0]) >= 3
OME_VERSION = "0.5" if HAS_ZARR_3 else "0.4"


class ZarrArray:
    """A Zarr array as a `StoredArray`: reads only the chunks a region touches."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            self._array = _open(folder)
        except FileNotFoundError as error:
            raise InputError(
                "The array that the metadata names is missing.", "Copy it again.", path=folder
            ) from error
        except (OSError, *BROKEN_FILE_ERRORS) as error:
            raise unreadable(folder, error) from error

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self._array.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._array.dtype

    def read(self, key: tuple[slice, ...]) -> npt.NDArray[Any]:
        try:
            part = np.asarray(self._array[key])
        except (OSError, *BROKEN_FILE_ERRORS) as error:
            raise unreadable(self._folder, error) from error
        return part.astype(part.dtype.newbyteorder("="), copy=False)


class _Array(Protocol):
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def __getitem__(self, key: tuple[slice, ...], /) -> Any: ...  # noqa: ANN401


class _TensorstoreArray:
    """A format 3 array where the installed zarr, of Python 3.10, knows only format 2."""

    def __init__(self, folder: Path) -> None:
        import tensorstore

        kvstore = {"driver": "file", "path": str(folder.absolute())}
        self._store = tensorstore.open({"driver": "zarr3", "kvstore": kvstore}, read=True).result()

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self._store.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = np.dtype(self._store.dtype.numpy_dtype)
        return dtype

    def __getitem__(self, key: tuple[slice, ...]) -> Any:  # noqa: ANN401
        return self._store[key].read().result()


def _open(folder: Path) -> _Array:
    if not HAS_ZARR_3 and (folder / "zarr.json").is_file():
        return _TensorstoreArray(folder)
    array: _Array = zarr.open_array(str(folder), mode="r")
    return array


def create_array(
    folder: Path,
    shape: tuple[int, ...],
    *,
    chunks: tuple[int, ...],
    dtype: np.dtype[Any],
    axes: str,
) -> Any:  # noqa: ANN401
    """A new compressed array: Zarr format 3, or 2 where the installed zarr ends there."""
    if HAS_ZARR_3:
        return zarr.create_array(
            str(folder),
            shape=shape,
            chunks=chunks,
            dtype=dtype,
            zarr_format=3,
            compressors=zarr.codecs.BloscCodec(cname="zstd", clevel=3, shuffle="shuffle"),
            dimension_names=list(axes),
        )
    return zarr.open_array(
        str(folder),
        mode="w",
        shape=shape,
        chunks=chunks,
        dtype=dtype,
        compressor=numcodecs.Blosc(cname="zstd", clevel=3, shuffle=numcodecs.Blosc.SHUFFLE),
        dimension_separator="/",
    )


def write_group(folder: Path, ome: dict[str, Any]) -> None:
    """Make a folder a Zarr group with OME metadata, version 0.5 or 0.4 as the arrays demand."""
    folder.mkdir(parents=True, exist_ok=True)
    if HAS_ZARR_3:
        attributes = {"ome": {"version": OME_VERSION, **ome}}
        group = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
        write_text_atomic(folder / "zarr.json", json.dumps(group, indent=2))
        return
    write_text_atomic(folder / ".zgroup", json.dumps({"zarr_format": 2}))
    write_text_atomic(folder / ".zattrs", json.dumps(ome, indent=2))


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a metadata file of a Zarr.

    Raises
    ------
    InputError
        If it cannot be read or is no object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    if not isinstance(value, dict):
        raise unreadable(path, ValueError("its metadata is no JSON object"))
    return value
