"""OME-Zarr folders out: slab by slab, with coarser levels, labels inside their image if wanted.

Version 0.5 (Zarr format 3) or 0.4 (format 2), which is all that Python 3.10's zarr writes.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_app.atomic import atomic_path, output_error
from cellseg_app.core.errors import OutputError
from cellseg_app.core.settings import OmeVersion
from cellseg_app.core.volume import SpacingZYX
from cellseg_app.io.casts import BYTE_ONE, ImageKind, cast_exactly, probability_bytes
from cellseg_app.io.zarr_arrays import create_array, read_json, version_to_write, write_group

_BUFFER_BYTES = 256 * 1024**2
_CHUNK_VOXELS = 2**21
_MOST_PLANES = 32
_COARSENED = 8
_SMALLEST_TOP = 256
# From here on chunks are smaller, for looking at, and many of them share a file.
_SHARDED_FROM_VOXELS = 2**28
_SHARD_EDGE, _SHARDED_CHUNK_EDGE = 1024, 128


class OmeZarrSlabWriter:
    """Writes a volume along Z; the folder appears when the block ends well and all planes are in.

    Parameters
    ----------
    path
        The image's folder, which must not exist; with `labels_name`, the image to add labels to.
    shape
        (Z, Y, X) or (C, Z, Y, X).
    dtype
        Voxel type; bool is stored as uint8, and a probability as uint8 means 0 to 255.
    spacing_um_zyx
        Voxel size; None writes the scale in voxels, without a unit.
    kind
        Coarser levels are means of images, and nearest voxels of labels.
    labels_name
        Writes into the labels group of the existing image `path`, under this name.
    version
        Of OME-Zarr; labels inside an image have that of the image.

    Raises
    ------
    OutputError
        If the place cannot be written or is taken, the disk is full, or a value does not fit.
    """

    def __init__(
        self,
        path: Path | str,
        shape: tuple[int, ...],
        *,
        dtype: npt.DTypeLike,
        spacing_um_zyx: SpacingZYX | None,
        kind: ImageKind = "image",
        labels_name: str | None = None,
        version: OmeVersion = "auto",
    ) -> None:
        if len(shape) not in (3, 4):
            msg = f"a volume has axes ZYX or CZYX, not {len(shape)} axes"
            raise ValueError(msg)
        self._image = Path(path) if labels_name else None
        self._version = version_to_write(version if self._image is None else _own(self._image))
        self._path = Path(path) / "labels" / labels_name if labels_name else Path(path)
        self._shape = shape
        self._axes = "czyx"[-len(shape) :]
        self._dtype = np.dtype(np.uint8) if np.dtype(dtype).kind == "b" else np.dtype(dtype)
        self._spacing = spacing_um_zyx
        self._kind: ImageKind = kind
        self._atomic = atomic_path(self._path, replace=False)
        self._folder = self._path
        self._array: Any = None
        self._pending: list[npt.NDArray[Any]] = []
        self._z_done = 0
        self._chunks = _chunks(shape, self._dtype.itemsize)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Voxel type of the array."""
        return self._dtype

    def __enter__(self) -> OmeZarrSlabWriter:
        if self._path.exists():
            raise OutputError(
                "A file or folder of that name exists.", "Choose another name.", path=self._path
            )
        self._folder = self._atomic.__enter__()
        try:
            self._array = self._new_level(0, self._shape)
        except BaseException as error:
            self._leave(error)
            raise
        return self

    def write(self, slab: npt.NDArray[Any]) -> None:
        """Append planes: an array (z, Y, X) or (C, z, Y, X) of any number of them."""
        if slab.ndim != len(self._shape) or slab.shape[-2:] != self._shape[-2:]:
            msg = f"a slab of shape {slab.shape} is no part of {self._shape}"
            raise ValueError(msg)
        if self._kind == "probability" and self._dtype == np.uint8:
            slab = probability_bytes(slab)
        self._pending.append(cast_exactly(slab, self._dtype, self._kind, path=self._path))
        step = self._chunks[-3]
        # Whole chunks only: a chunk written in parts is read, decoded and encoded once per part.
        if self._n_pending() >= step:
            planes = np.concatenate(self._pending, axis=-3)
            whole = planes.shape[-3] // step * step
            self._store(planes[..., :whole, :, :])
            rest = planes[..., whole:, :, :]
            self._pending = [rest.copy()] if rest.shape[-3] else []

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            try:
                self._finish()
            except BaseException as failure:
                self._leave(failure)
                raise
        self._atomic.__exit__(kind, error, trace)
        if error is None and self._image is not None:
            _register_labels(self._image, self._path.name)

    def _finish(self) -> None:
        if self._pending:
            self._store(np.concatenate(self._pending, axis=-3))
            self._pending = []
        if self._z_done != self._shape[-3]:
            msg = f"{self._z_done} of {self._shape[-3]} planes were written to {self._path}"
            raise ValueError(msg)
        try:
            levels = self._write_levels()
            write_group(self._folder, self._metadata(levels), self._version)
        except OSError as error:
            raise output_error(self._path, error) from error

    def _store(self, planes: npt.NDArray[Any]) -> None:
        stop = self._z_done + planes.shape[-3]
        try:
            self._array[..., self._z_done : stop, :, :] = planes
        except OSError as error:
            raise output_error(self._path, error) from error
        self._z_done = stop

    def _n_pending(self) -> int:
        return sum(part.shape[-3] for part in self._pending)

    def _leave(self, error: BaseException) -> None:
        self._atomic.__exit__(type(error), error, error.__traceback__)

    def _new_level(self, level: int, shape: tuple[int, ...]) -> Any:  # noqa: ANN401
        chunks = _chunks(shape, self._dtype.itemsize)
        shards = None
        if self._version == "0.5" and math.prod(shape[-3:]) >= _SHARDED_FROM_VOXELS:
            chunks, shards = _sharded(shape, chunks)
        return create_array(
            self._folder / str(level),
            shape,
            chunks=chunks,
            shards=shards,
            dtype=self._dtype,
            axes=self._axes,
            version=self._version,
        )

    def _write_levels(self) -> list[tuple[float, float, float]]:
        """Write the coarser levels; the factor along Z, Y, X of every level, the full one first."""
        factors = [(1.0, 1.0, 1.0)]
        array, shape = self._array, self._shape
        while max(shape[-3:]) > (_SMALLEST_TOP if len(factors) > 1 else 1):
            step = _step(shape[-3:], self._spacing, factors[-1])
            coarse_shape = (
                *shape[:-3],
                *(-(-n // s) for n, s in zip(shape[-3:], step, strict=True)),
            )
            coarse = self._new_level(len(factors), coarse_shape)
            self._coarsen(array, coarse, step)
            z, y, x = (f * s for f, s in zip(factors[-1], step, strict=True))
            factors.append((z, y, x))
            array, shape = coarse, coarse_shape
        return factors

    def _coarsen(self, fine: Any, coarse: Any, step: tuple[int, int, int]) -> None:  # noqa: ANN401
        planes = _chunks(coarse.shape, self._dtype.itemsize)[-3]
        for start in range(0, coarse.shape[-3], planes):
            stop = min(start + planes, coarse.shape[-3])
            # Few planes at a time: what they come from has up to eight times as many voxels.
            parts = [
                self._coarse_planes(fine, step, first, min(first + _COARSENED, stop))
                for first in range(start, stop, _COARSENED)
            ]
            coarse[..., start:stop, :, :] = np.concatenate(parts, axis=-3)

    def _coarse_planes(
        self,
        fine: Any,  # noqa: ANN401
        step: tuple[int, int, int],
        start: int,
        stop: int,
    ) -> npt.NDArray[Any]:
        part = np.asarray(fine[..., start * step[0] : stop * step[0], :, :])
        if self._kind == "labels":
            return part[..., :: step[0], :: step[1], :: step[2]].copy()
        return _mean(part, step)

    def _metadata(self, factors: list[tuple[float, float, float]]) -> dict[str, Any]:
        image: dict[str, Any] = {
            "name": self._path.name.removesuffix(".zarr").removesuffix(".ome"),
            "axes": [_axis(name, self._spacing is not None) for name in self._axes],
            "datasets": [
                {
                    "path": str(level),
                    "coordinateTransformations": self._transformations(factor),
                }
                for level, factor in enumerate(factors)
            ],
            "type": "nearest" if self._kind == "labels" else "mean",
        }
        if self._kind == "probability" and self._dtype == np.uint8:
            image["metadata"] = {"probability_one": BYTE_ONE}
        own_version = {} if self._version == "0.5" else {"version": self._version}
        ome: dict[str, Any] = {"multiscales": [{**own_version, **image}]}
        if self._kind == "labels":
            source = {"source": {"image": "../../"}} if self._image else {}
            ome["image-label"] = {**own_version, **source}
        return ome

    def _transformations(self, factor: tuple[float, float, float]) -> list[dict[str, Any]]:
        lead = len(self._shape) - 3
        edges = [f * um for f, um in zip(factor, self._spacing or (1.0, 1.0, 1.0), strict=True)]
        transformations: list[dict[str, Any]] = [{"type": "scale", "scale": [1.0] * lead + edges}]
        if self._kind != "labels" and max(factor) > 1:
            # The middle of a mean of n voxels lies (n - 1) / 2 voxels behind that of the first.
            shift = [
                (f - 1) / 2 * um
                for f, um in zip(factor, self._spacing or (1.0, 1.0, 1.0), strict=True)
            ]
            translation = {"type": "translation", "translation": [0.0] * lead + shift}
            transformations.append(translation)
        return transformations


def _own(image: Path) -> OmeVersion:
    """The version of an existing image."""
    return "0.5" if (image / "zarr.json").is_file() else "0.4"


def _register_labels(image: Path, name: str) -> None:
    folder, version = image / "labels", _own(image)
    found = read_json(folder / ("zarr.json" if version == "0.5" else ".zattrs")) or {}
    if version == "0.5":
        found = found.get("attributes", {}).get("ome", {})
    names = list(found.get("labels", []))
    write_group(folder, {"labels": [*names, *([name] if name not in names else [])]}, version)


def _chunks(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Chunks of about two million voxels, whose rows of planes fit into the buffer."""
    z, y, x = (max(1, n) for n in shape[-3:])
    lead = shape[:-3]
    plane_bytes = math.prod(lead) * y * x * itemsize
    planes = min(z, _MOST_PLANES, max(1, _BUFFER_BYTES // plane_bytes))
    edge = max(64, 2 ** round(math.log2(math.sqrt(_CHUNK_VOXELS / planes))))
    return (*(1 for _ in lead), planes, min(y, edge), min(x, edge))


def _sharded(
    shape: tuple[int, ...], chunks: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Chunks and shards of a large array; both as deep as the chunks of a smaller one."""
    edge = _SHARDED_CHUNK_EDGE
    shard = [min(_SHARD_EDGE, -(-n // edge) * edge) for n in shape[-2:]]
    return (*chunks[:-2], edge, edge), (*chunks[:-2], *shard)


def _step(
    shape_zyx: tuple[int, ...], spacing: SpacingZYX | None, factor: tuple[float, float, float]
) -> tuple[int, int, int]:
    """2 along Y and X, and along Z unless its voxel edge is already the longer one by far."""
    z_um, y_um, x_um = (f * um for f, um in zip(factor, spacing or (1.0,) * 3, strict=True))
    halve_z = z_um < 1.5 * max(y_um, x_um) or max(shape_zyx[1:]) == 1
    z, y, x = (2 if n > 1 else 1 for n in shape_zyx)
    return (z if halve_z else 1), y, x


def _mean(part: npt.NDArray[Any], step: tuple[int, int, int]) -> npt.NDArray[Any]:
    """Means of blocks; at the far border the last voxels are repeated to fill the block."""
    lead = part.ndim - 3
    short = [-n % s for n, s in zip(part.shape[-3:], step, strict=True)]
    padded = np.pad(part, [(0, 0)] * lead + [(0, n) for n in short], mode="edge")
    wide = np.dtype(np.float32 if part.dtype.itemsize <= 2 or part.dtype == "f4" else np.float64)
    shape = [n // s for n, s in zip(padded.shape[-3:], step, strict=True)]
    mean: npt.NDArray[Any] = np.zeros((*part.shape[:lead], *shape), wide)
    for z, y, x in itertools.product(*(range(s) for s in step)):
        mean += padded[..., z :: step[0], y :: step[1], x :: step[2]]
    mean /= math.prod(step)
    if part.dtype.kind in "iu":
        mean = np.rint(mean)
    cast: npt.NDArray[Any] = mean.astype(part.dtype)
    return cast


def _axis(name: str, has_unit: bool) -> dict[str, str]:
    if name == "c":
        return {"name": "c", "type": "channel"}
    axis = {"name": name, "type": "space"}
    return {**axis, "unit": "micrometer"} if has_unit else axis
