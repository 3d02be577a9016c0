"""TIFF files out: slab by slab, with voxel size and axes as ImageJ and Fiji read them.

The description is ImageJ's own (``ImageJ=``, ``slices=``, ``spacing=`` …), written by hand, since
tifffile writes it only for the voxel types of ImageJ's first versions; ImageJ itself opens uint32
and float64 with it as well. Labels are deflated plane by plane, which ImageJ reads and which makes
them a few percent of their size; other images stay raw, so that Fiji can open them as virtual
stacks and every reader can map them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from cellseg_app.atomic import atomic_path, output_error
from cellseg_app.core.volume import SpacingZYX
from cellseg_app.io.casts import ImageKind, cast_exactly
from cellseg_app.io.finite import z_slabs

# Classic TIFF ends at 4 GiB; the page headers need room too.
BIGTIFF_FROM_BYTES = 4 * 1024**3 - 64 * 1024**2
_STORED_AS = {"bool": "uint8", "float16": "float32", "int8": "int16", "int64": "int32"}


class TiffSlabWriter:
    """Writes a volume along Z; the file appears when the block ends well and all planes are there.

    Parameters
    ----------
    path
        The file.
    shape
        (Z, Y, X) or (C, Z, Y, X).
    dtype
        Voxel type of the file. float16 and bool are stored as float32 and uint8, which Fiji opens.
    spacing_um_zyx
        Voxel size, or None if it is not known.
    kind
        Labels are compressed and never rounded.
    display_range
        Darkest and brightest value shown by Fiji; for labels 0 to the highest label unless given.

    Raises
    ------
    OutputError
        If the place cannot be written, the disk is full, or a value does not fit into `dtype`.
    """

    def __init__(
        self,
        path: Path | str,
        shape: tuple[int, ...],
        *,
        dtype: npt.DTypeLike,
        spacing_um_zyx: SpacingZYX | None,
        kind: ImageKind = "image",
        display_range: tuple[float, float] | None = None,
    ) -> None:
        if len(shape) not in (3, 4):
            msg = f"a volume has axes ZYX or CZYX, not {len(shape)} axes"
            raise ValueError(msg)
        self._path = Path(path)
        self._shape = shape
        self._kind: ImageKind = kind
        self._dtype = stored_dtype(dtype, kind)
        self._spacing = spacing_um_zyx
        if display_range is None and kind == "probability":
            display_range = (0.0, 1.0)
        self._patches_brightest = kind == "labels" and display_range is None
        if self._patches_brightest:
            display_range = (0.0, 0.0)
        self._brightest = 0
        self._description = _description(shape, spacing_um_zyx, display_range)
        self._planes_written = 0
        self._atomic = atomic_path(self._path)
        self._temporary = self._path
        self._tiff: tifffile.TiffWriter | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Voxel type of the file."""
        return self._dtype

    def __enter__(self) -> TiffSlabWriter:
        self._temporary = temporary = self._atomic.__enter__()
        n_bytes = math.prod(self._shape) * self._dtype.itemsize
        try:
            self._tiff = tifffile.TiffWriter(temporary, bigtiff=n_bytes > BIGTIFF_FROM_BYTES)
        except OSError as error:
            failure = output_error(self._path, error)
            self._atomic.__exit__(type(failure), failure, failure.__traceback__)
            raise failure from error
        return self

    def write(self, slab: npt.NDArray[Any]) -> None:
        """Append planes: an array (z, Y, X) or (C, z, Y, X) of any number of them."""
        if slab.ndim != len(self._shape) or slab.shape[-2:] != self._shape[-2:]:
            msg = f"a slab of shape {slab.shape} is no part of {self._shape}"
            raise ValueError(msg)
        stored = cast_exactly(slab, self._dtype, self._kind, path=self._path)
        if self._patches_brightest and stored.size:
            self._brightest = max(self._brightest, int(stored.max()))
        if stored.ndim == 4:
            stored = stored.swapaxes(0, 1).reshape(-1, *stored.shape[-2:])
        try:
            for plane in stored:
                self._write_plane(np.ascontiguousarray(plane))
        except OSError as error:
            raise output_error(self._path, error) from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._tiff is not None:
                self._tiff.close()
            n_planes = math.prod(self._shape[:-2])
            if error is None and self._planes_written != n_planes:
                msg = f"{self._planes_written} of {n_planes} planes were written to {self._path}"
                raise ValueError(msg)
            if error is None and self._patches_brightest:
                _patch_brightest(self._temporary, self._brightest)
        except (OSError, ValueError) as failure:
            if error is None:
                self._atomic.__exit__(type(failure), failure, failure.__traceback__)
                if isinstance(failure, OSError):
                    raise output_error(self._path, failure) from failure
                raise
        self._atomic.__exit__(kind, error, trace)

    def _write_plane(self, plane: npt.NDArray[Any]) -> None:
        if self._tiff is None:
            msg = "the writer is used as a context manager"
            raise RuntimeError(msg)
        compressed = self._kind == "labels"
        self._tiff.write(
            plane,
            photometric="minisblack",
            metadata=None,
            description=self._description if self._planes_written == 0 else None,
            contiguous=not compressed,
            compression="zlib" if compressed else None,
            resolution=_resolution(self._spacing),
            resolutionunit="NONE",
            software=False,
        )
        self._planes_written += 1


def write_volume_tiff(
    path: Path | str,
    data: npt.NDArray[Any] | Iterable[npt.NDArray[Any]],
    *,
    spacing_um_zyx: SpacingZYX | None,
    kind: ImageKind = "image",
    shape: tuple[int, ...] | None = None,
    dtype: npt.DTypeLike | None = None,
    display_range: tuple[float, float] | None = None,
) -> Path:
    """Write a whole volume, given as an array or as slabs along Z.

    Parameters
    ----------
    path
        The file.
    data
        (Z, Y, X) or (C, Z, Y, X), or an iterable of slabs of it; slabs need `shape` and `dtype`.
    spacing_um_zyx, kind, shape, dtype, display_range
        See `TiffSlabWriter`.

    Returns
    -------
    Path
        The file.
    """
    slabs: Iterable[npt.NDArray[Any]]
    if isinstance(data, np.ndarray):
        shape, dtype = shape or data.shape, dtype or data.dtype
        cuts = z_slabs(data.shape[-3:], data.dtype.itemsize)
        slabs = (data[..., z, :, :] for z in cuts)
    else:
        slabs = data
    if shape is None or dtype is None:
        msg = "slabs need the shape and dtype of the whole volume"
        raise ValueError(msg)
    with TiffSlabWriter(
        path,
        shape,
        dtype=dtype,
        spacing_um_zyx=spacing_um_zyx,
        kind=kind,
        display_range=display_range,
    ) as writer:
        for slab in slabs:
            writer.write(slab)
    return Path(path)


def stored_dtype(dtype: npt.DTypeLike, kind: ImageKind) -> np.dtype[Any]:
    """The voxel type a TIFF gets for results of `dtype`, one that ImageJ opens."""
    asked = np.dtype(dtype).newbyteorder("=")
    if kind == "labels" and asked.kind == "i":
        return np.dtype(np.uint32)
    return np.dtype(_STORED_AS.get(asked.name, "uint32" if asked.name == "uint64" else asked.name))


def _description(
    shape: tuple[int, ...],
    spacing: SpacingZYX | None,
    display_range: tuple[float, float] | None,
) -> str:
    n_channels, n_slices = (shape[0] if len(shape) == 4 else 1), shape[-3]
    lines = ["ImageJ=1.53t", f"images={n_channels * n_slices}"]
    if n_channels > 1:
        lines.append(f"channels={n_channels}")
    lines += [f"slices={n_slices}", "hyperstack=true", "mode=grayscale"]
    if spacing is not None:
        lines += ["unit=um", f"spacing={float(spacing[0])!r}"]
    lines.append("loop=false")
    if display_range is not None:
        lines += [f"min={float(display_range[0])!r}", _brightest_line(display_range[1])]
    return "\n".join(lines) + "\n"


def _brightest_line(value: float) -> str:
    return f"max={float(value):024.6f}"


def _patch_brightest(path: Path, value: int) -> None:
    """Put the highest label into the description, which stands before it is known.

    Without it Fiji stretches the contrast over the labels of the first plane.
    """
    placeholder, line = (_brightest_line(v).encode() for v in (0, value))
    with path.open("r+b") as file:
        place = file.read(4096).find(placeholder)
        if place >= 0:
            file.seek(place)
            file.write(line)


def _resolution(spacing: SpacingZYX | None) -> tuple[tuple[int, int], tuple[int, int]]:
    """Pixels per µm along X and Y as the fractions that TIFF stores, exact to 1e-9."""
    if spacing is None:
        return (1, 1), (1, 1)
    x, y = (Fraction(1 / um).limit_denominator(10**6) for um in (spacing[2], spacing[1]))
    return (x.numerator, x.denominator), (y.numerator, y.denominator)
