"""TIFF files in: BigTIFF, ImageJ, OME-TIFF, LSM and plain stacks, whatever their compression."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from cellseg_app.core.errors import InputError
from cellseg_app.io.axes import StoredImage
from cellseg_app.io.lengths import StatedVoxelSize
from cellseg_app.io.refusals import BROKEN_FILE_ERRORS, cut_short, unreadable
from cellseg_app.io.tiff_headers import refuse_missing_headers
from cellseg_app.io.tiff_planes import (
    Plane,
    PlaneStack,
    RawPlane,
    RawPlanes,
    SegmentCache,
    SegmentedPlane,
)
from cellseg_app.io.tiff_voxel_size import stated_voxel_size

# tifffile reports damage through its logger; without a handler that lands on the user's terminal.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf2", ".tf8", ".lsm", ".stk")
_COLOUR_PHOTOMETRICS = (2, 5, 6, 8)


def read_tiff(path: Path, *, level: int = 0) -> StoredImage:
    """Open a TIFF file without reading voxels.

    Parameters
    ----------
    path
        The file.
    level
        Resolution level of a pyramid; 0 is the finest.

    Raises
    ------
    InputError
        If it is missing, empty, no TIFF, damaged or cut short, or has no such level.
    """
    try:
        with _opened(path) as tif:
            return _describe(tif, path, level)
    except (OSError, *BROKEN_FILE_ERRORS) as error:
        raise unreadable(path, error) from error


def _opened(path: Path) -> tifffile.TiffFile:
    if path.stat().st_size == 0:
        raise InputError("The file is empty.", "Copy or export it again.", path=path)
    try:
        return tifffile.TiffFile(path)
    except tifffile.TiffFileError as error:
        raise InputError(
            "It is not a TIFF file, whatever its name says.",
            "Give a TIFF, a folder of 2D slices or an OME-Zarr folder.",
            path=path,
        ) from error


def _describe(tif: tifffile.TiffFile, path: Path, level: int) -> StoredImage:
    refuse_missing_headers(tif, path)
    if not len(tif.pages):
        raise InputError("It holds no image.", "Copy or export it again.", path=path)
    all_series = _unsqueezed(tif)
    index = _main_series(all_series)
    base = all_series[index]
    if level >= len(base.levels):
        raise InputError(
            f"There is no resolution level {level}; the file has {len(base.levels)}.",
            f"Choose a level from 0 to {len(base.levels) - 1}.",
            path=path,
        )
    series = base.levels[level]
    notes = []
    if len(all_series) > 1:
        notes.append(f"The file holds {len(all_series)} images; number {index} was taken.")
    array, axes = _array(tif, series, path)
    size = _of_level(stated_voxel_size(tif, index), base, series)
    return StoredImage(
        path=path,
        kind=_kind(tif, base),
        array=array,
        axes=axes,
        size=size,
        colour=_is_colour(series),
        n_levels=len(base.levels),
        notes=tuple(notes),
    )


def _unsqueezed(tif: tifffile.TiffFile) -> Sequence[tifffile.TiffPageSeries]:
    """The images of the file; tifffile wants to know since 2026.5 whether to keep axes of one."""
    found: Any = tif.series
    series: Sequence[tifffile.TiffPageSeries] = found(squeeze=False) if callable(found) else found
    return series


def _full(series: tifffile.TiffPageSeries) -> tuple[tuple[int, ...], str]:
    """Shape and axes of an image with axes of one element."""
    if hasattr(series, "get_shape"):
        return tuple(series.get_shape(False)), series.get_axes(False)
    return tuple(series.shape), series.axes


def _main_series(series: Sequence[tifffile.TiffPageSeries]) -> int:
    """The first image with more than one plane, so that previews before it are passed over."""
    for index, one in enumerate(series):
        if any(n > 1 for axis, n in zip(one.axes, one.shape, strict=True) if axis not in "YXS"):
            return index
    return 0


def _array(
    tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, path: Path
) -> tuple[PlaneStack, str]:
    shape, axes = _full(series)
    keyframe = series.keyframe
    if series.dtype is None or keyframe.dtype is None:
        raise InputError("Its voxel type is not known.", "Save it as 8, 16 or 32 bit.", path=path)
    n_lead = len(shape) - _n_trailing(shape, axes, keyframe)
    lead_shape, plane_shape = shape[:n_lead], tuple(keyframe.shape)
    # Axes of one element, such as ImageJ's S, may be in the series but not in the page.
    plane_axes = axes[n_lead:] if shape[n_lead:] == plane_shape else keyframe.axes
    if len(keyframe.axes) != len(plane_shape) or len(plane_axes) != len(plane_shape):
        msg = f"planes of shape {plane_shape} with axes {keyframe.axes}"
        raise ValueError(msg)
    n_planes = math.prod(lead_shape)
    planes = _planes(tif, series, path, n_planes)
    if len(planes) < n_planes:
        raise cut_short(path, f"{len(planes)} of {n_planes} planes are there")
    dtype = np.dtype(keyframe.dtype)
    stack = PlaneStack(planes, lead_shape=lead_shape, plane_shape=plane_shape, dtype=dtype)
    return stack, _distinct(axes[:n_lead] + plane_axes)


def _n_trailing(shape: tuple[int, ...], axes: str, keyframe: tifffile.TiffPage) -> int:
    """How many of the last axes lie inside one page."""
    size = math.prod(keyframe.shape)
    for n in range(2, len(shape) + 1):
        inner = axes[-n:]
        if "Y" in inner and "X" in inner and math.prod(shape[-n:]) == size:
            return n
    n = len(keyframe.shape)
    if math.prod(shape[-n:]) == size:
        return n
    msg = f"planes of shape {keyframe.shape} do not make up axes {axes} of {shape}"
    raise ValueError(msg)


def _distinct(axes: str) -> str:
    """The letters with repeated ones, such as the second of QQYX, replaced by spare ones."""
    spare = iter("abcdefgh")
    return "".join(next(spare) if axis in axes[:place] else axis for place, axis in enumerate(axes))


def _planes(
    tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, path: Path, n_planes: int
) -> Sequence[Plane]:
    keyframe = series.keyframe
    offset = series.dataoffset
    stored_dtype = np.dtype(keyframe.dtype).newbyteorder(tif.byteorder)
    if offset is not None and keyframe.is_final:
        size = n_planes * math.prod(keyframe.shape) * stored_dtype.itemsize
        if offset + size > tif.filehandle.size:
            raise cut_short(path, f"{offset + size - tif.filehandle.size} bytes are missing")
        shape = tuple(keyframe.shape)
        return RawPlanes(path, offset, shape=shape, dtype=stored_dtype, n=n_planes)
    cache = SegmentCache()
    pages = [series[i] for i in range(len(series))]
    if any(page is not None and page.keyframe.axes != keyframe.axes for page in pages):
        msg = "its planes differ in their axes"
        raise ValueError(msg)
    return [page_plane(page, path, i, cache=cache) for i, page in enumerate(pages)]


def page_plane(
    page: tifffile.TiffPage | tifffile.TiffFrame | None,
    path: Path,
    index: int,
    *,
    cache: SegmentCache,
) -> Plane:
    """A page as a plane that outlives its open file; its bytes are proven to be in the file."""
    if page is None:
        raise InputError(
            f"Plane {index} is missing.",
            "If it belongs to a set of files, put them all in one folder; else copy it again.",
            path=path,
        )
    file = Path(page.parent.filehandle.path)
    offsets, counts = page.dataoffsets, page.databytecounts
    ends = [offset + count for offset, count in zip(offsets, counts, strict=False)]
    if not ends or len(offsets) != len(counts) or max(ends) > page.parent.filehandle.size:
        raise cut_short(file, f"plane {index} lies beyond its end")
    keyframe = page.keyframe
    if keyframe.is_final and _one_piece(ends, offsets, keyframe.nbytes):
        dtype = np.dtype(keyframe.dtype).newbyteorder(page.parent.byteorder)
        return RawPlane(file, offsets[0], tuple(keyframe.shape), dtype)
    return SegmentedPlane(file, page, cache=cache)


def _one_piece(ends: Sequence[int], offsets: Sequence[int], n_bytes: int) -> bool:
    return list(ends[:-1]) == list(offsets[1:]) and ends[-1] - offsets[0] == n_bytes


def _of_level(
    size: StatedVoxelSize, base: tifffile.TiffPageSeries, series: tifffile.TiffPageSeries
) -> StatedVoxelSize:
    """The voxel size of a coarser level of a pyramid."""
    if series is base:
        return size
    (full_shape, full_axes), (small_shape, small_axes) = _full(base), _full(series)
    full = dict(zip(full_axes, full_shape, strict=True))
    small = dict(zip(small_axes, small_shape, strict=True))
    factors = {axis: full.get(axis, 1) / small.get(axis, 1) for axis in "ZYX"}
    z, y, x = (
        None if um is None else um * factors[axis]
        for um, axis in zip(size.um_zyx, "ZYX", strict=True)
    )
    return StatedVoxelSize((z, y, x), size.notes)


def _is_colour(series: tifffile.TiffPageSeries) -> bool:
    sizes: dict[str, Any] = dict(zip(series.axes, series.shape, strict=True))
    return sizes.get("S", 1) in (3, 4) and int(series.keyframe.photometric) in _COLOUR_PHOTOMETRICS


def _kind(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> str:
    flavour = {"imagej": "ImageJ ", "ome": "OME-", "lsm": "LSM "}.get(series.kind, "")
    return f"{flavour}{'BigTIFF' if tif.is_bigtiff else 'TIFF'}"
