"""One Zarr array on disk, format 2 or 3, on every Python this project supports."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Protocol

import numcodecs
import numpy as np
import numpy.typing as npt
import zarr

from cellseg_app.atomic import write_text_atomic
from cellseg_app.core.errors import InputError, SettingsError
from cellseg_app.core.settings import OmeVersion
from cellseg_app.core.sources import address_of
from cellseg_app.io.addresses import OPENING_PAUSES_S, patiently, read_bytes, storage_options
from cellseg_app.io.refusals import BROKEN_FILE_ERRORS, unreadable

HAS_ZARR_3 = int(zarr.__version__.partition(".")[0]) >= 3
if HAS_ZARR_3:
    # More threads decode nothing sooner; they only take memory, and turns from the window's thread.
    zarr.config.set({"threading.max_workers": max(2, os.cpu_count() or 2)})
OME_VERSION: OmeVersion = "0.5" if HAS_ZARR_3 else "0.4"


class ZarrArray:
    """A Zarr array as a `StoredArray`: reads only the chunks a region touches.

    `folder` may be an address, see `addresses`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._address = address_of(folder)
        if self._address is not None:
            self._array = _open_remote(self._address)
            return
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
        if self._address is not None:
            part = patiently(lambda: np.asarray(self._array[key]), self._address)
            return part.astype(part.dtype.newbyteorder("="), copy=False)
        try:
            part = np.asarray(self._array[key])
        except (OSError, *BROKEN_FILE_ERRORS) as error:
            raise unreadable(self.folder, error) from error
        return part.astype(part.dtype.newbyteorder("="), copy=False)


class _Array(Protocol):
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def __getitem__(self, key: tuple[slice, ...], /) -> Any: ...  # noqa: ANN401


class _TensorstoreArray:
    """A format 3 array where the installed zarr, of Python 3.10, knows only format 2."""

    def __init__(self, kvstore: dict[str, str] | str) -> None:
        import tensorstore

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
        return _TensorstoreArray({"driver": "file", "path": str(folder.absolute())})
    array: _Array = zarr.open_array(str(folder), mode="r")
    return array


def _open_remote(address: str) -> _Array:
    if not HAS_ZARR_3 and read_bytes(f"{address}/zarr.json") is not None:
        place = _place_for_tensorstore(address)
        return patiently(lambda: _TensorstoreArray(place), address, pauses_s=OPENING_PAUSES_S)

    def opened() -> _Array:
        try:
            array: _Array = zarr.open_array(
                address, mode="r", storage_options=storage_options(address)
            )
        except FileNotFoundError as error:
            raise InputError(
                "The array that the metadata names is missing.", "Check the address.", path=address
            ) from error
        return array

    return patiently(opened, address, pauses_s=OPENING_PAUSES_S)


def _place_for_tensorstore(address: str) -> dict[str, str] | str:
    """Tensorstore does not look at AWS_ENDPOINT_URL itself, and would ask Amazon."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not address.startswith("s3://") or not endpoint:
        return f"{address}/"
    bucket, _, folder = address.removeprefix("s3://").partition("/")
    return {"driver": "s3", "bucket": bucket, "path": f"{folder}/", "endpoint": endpoint}


def version_to_write(wanted: OmeVersion) -> OmeVersion:
    """The version of OME-Zarr that is written where `wanted`, or auto, is asked for.

    Raises
    ------
    SettingsError
        The installed zarr, of Python 3.10, does not write it.
    """
    if wanted == "auto":
        return OME_VERSION
    if wanted == "0.5" and not HAS_ZARR_3:
        raise SettingsError(
            "OME-Zarr 0.5 is written from Python 3.11 on.", "Choose version 0.4, or auto."
        )
    return wanted


def create_array(
    folder: Path,
    shape: tuple[int, ...],
    *,
    chunks: tuple[int, ...],
    dtype: np.dtype[Any],
    axes: str,
    version: OmeVersion = OME_VERSION,
    shards: tuple[int, ...] | None = None,
) -> Any:  # noqa: ANN401
    """A new compressed array, for an OME-Zarr of a version; chunks of zeros take no room.

    `shards` are what lies in one file, whole chunks; version 0.5 only.
    """
    filling: dict[str, Any] = {"shape": shape, "chunks": chunks, "dtype": dtype, "fill_value": 0}
    if not HAS_ZARR_3:
        filling |= {"compressor": _blosc_2(), "write_empty_chunks": False}
        return zarr.open_array(str(folder), mode="w", dimension_separator="/", **filling)
    if version == "0.4":
        separator = {"name": "v2", "separator": "/"}
        return zarr.create_array(
            str(folder),
            zarr_format=2,
            compressors=_blosc_2(),
            chunk_key_encoding=separator,
            **filling,
        )
    return zarr.create_array(
        str(folder),
        zarr_format=3,
        shards=shards,
        compressors=zarr.codecs.BloscCodec(cname="zstd", clevel=3, shuffle="shuffle"),
        dimension_names=list(axes),
        **filling,
    )


def _blosc_2() -> numcodecs.Blosc:
    return numcodecs.Blosc(cname="zstd", clevel=3, shuffle=numcodecs.Blosc.SHUFFLE)


def write_group(folder: Path, ome: dict[str, Any], version: OmeVersion = OME_VERSION) -> None:
    """Make a folder a Zarr group with OME metadata of a version."""
    folder.mkdir(parents=True, exist_ok=True)
    if version == "0.5":
        attributes = {"ome": {"version": version, **ome}}
        group = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
        write_text_atomic(folder / "zarr.json", json.dumps(group, indent=2))
        return
    write_text_atomic(folder / ".zgroup", json.dumps({"zarr_format": 2}))
    write_text_atomic(folder / ".zattrs", json.dumps(ome, indent=2))


def has_file(path: Path) -> bool:
    """Whether there is a file in a Zarr on disk or at an address."""
    address = address_of(path)
    return path.is_file() if address is None else read_bytes(address) is not None


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object from a metadata file of a Zarr on disk or at an address; None without one.

    Raises
    ------
    InputError
        If it cannot be read or is no object.
    """
    address = address_of(path)
    try:
        content = path.read_bytes() if address is None else read_bytes(address)
        value = None if content is None else json.loads(content)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    if content is not None and not isinstance(value, dict):
        raise unreadable(path, ValueError("its metadata is no JSON object"))
    return value
