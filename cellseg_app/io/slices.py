"""A folder of 2D slices as one volume, in the order a person counts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import tifffile

from cellseg_app.core.errors import InputError
from cellseg_app.io.axes import StoredImage
from cellseg_app.io.naming import is_result_name
from cellseg_app.io.refusals import BROKEN_FILE_ERRORS, unreadable
from cellseg_app.io.tiff_planes import Plane, PlaneStack, SegmentCache
from cellseg_app.io.tiff_read import TIFF_SUFFIXES, page_plane, read_tiff

SLICE_SUFFIXES = (*TIFF_SUFFIXES, ".png")
_NUMBER = re.compile(r"(\d+)")


def natural_key(path: Path | str) -> tuple[Any, ...]:
    """Sort key that puts slice2 before slice10, and ignores case."""
    parts = _NUMBER.split(Path(path).name.casefold())
    numbered = tuple((int(p), "") if i % 2 else (-1, p) for i, p in enumerate(parts))
    # The name itself decides between 1 and 01, so that the order is the same on every machine.
    return numbered, Path(path).name


def image_files(folder: Path) -> list[Path]:
    """TIFF and PNG files of a folder in natural order, without hidden files and our own results."""
    try:
        files = [path for path in folder.iterdir() if path.is_file()]
    except OSError as error:
        raise unreadable(folder, error) from error
    return sorted(
        (
            path
            for path in files
            if path.suffix.lower() in SLICE_SUFFIXES
            and not path.name.startswith(".")
            and not is_result_name(path)
        ),
        key=natural_key,
    )


def is_flat(path: Path) -> bool:
    """Whether a file holds a single 2D plane; False for what cannot be opened."""
    if path.suffix.lower() == ".png":
        return True
    try:
        with tifffile.TiffFile(path) as tif:
            n = tif.series[0].size if len(tif.series) == 1 else 0
            return bool(n == tif.pages.first.size)
    except (OSError, *BROKEN_FILE_ERRORS):
        return False


def read_slices(folder: Path) -> StoredImage:
    """Open a folder of 2D slices of equal size and type as one volume.

    Raises
    ------
    InputError
        If the folder has no slices, or one that differs from the first or is damaged.
    """
    files = image_files(folder)
    if not files:
        raise InputError(
            "The folder holds no TIFF or PNG files.",
            "Give a folder with volumes or with one file per plane.",
            path=folder,
        )
    first = _read_first(files[0])
    shape = tuple(first.array.shape[-2:]) if not first.colour else first.array.shape
    if len(files) == 1 or not is_flat(files[0]):
        raise InputError(
            "The folder is not a set of 2D slices: it needs two or more files of one plane each.",
            "Give the files themselves if they are volumes.",
            path=folder,
        )
    cache = SegmentCache()
    dtype = first.array.dtype
    planes = [_plane(path, shape, dtype, cache=cache) for path in files]
    stack = PlaneStack(planes, lead_shape=(len(files),), plane_shape=shape, dtype=dtype)
    return StoredImage(
        path=folder,
        kind=f"folder of {len(files)} 2D slices",
        array=stack,
        axes="ZYX" if len(shape) == 2 else "ZYXS",
        size=first.size,
        colour=first.colour,
        notes=(f"Slices {files[0].name} to {files[-1].name}.", *_naming_doubts(files)),
    )


def _read_first(path: Path) -> StoredImage:
    if path.suffix.lower() != ".png":
        return read_tiff(path)
    image = _decode_png(path)
    whole = PlaneStack(
        [PngPlane(path, image.shape)], lead_shape=(), plane_shape=image.shape, dtype=image.dtype
    )
    colour = image.ndim == 3
    return StoredImage(path, "PNG", whole, "YXS" if colour else "YX", colour=colour)


def _plane(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], *, cache: SegmentCache
) -> Plane:
    plane: Plane
    if path.suffix.lower() == ".png":
        return PngPlane(path, shape)
    try:
        with tifffile.TiffFile(path) as tif:
            page = tif.pages.first
            found, found_dtype = tuple(page.shape), page.dtype
            plane = page_plane(page, path, 0, cache=cache)
    except (OSError, *BROKEN_FILE_ERRORS) as error:
        raise unreadable(path, error) from error
    if found != shape or found_dtype != dtype:
        raise _odd_slice(path, f"{_times(found)} {found_dtype}", f"{_times(shape)} {dtype}")
    return plane


class PngPlane:
    """A slice in a PNG file; decoded as a whole, as the format demands."""

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self._path = path
        self._shape = shape

    def read(self, key: tuple[slice, ...]) -> npt.NDArray[Any]:
        image = _decode_png(self._path)
        if image.shape != self._shape:
            raise _odd_slice(self._path, _times(image.shape), _times(self._shape))
        return image[key]


def _decode_png(path: Path) -> npt.NDArray[Any]:
    try:
        return np.asarray(imagecodecs.png_decode(path.read_bytes()))
    except (OSError, *BROKEN_FILE_ERRORS) as error:
        raise unreadable(path, error) from error


def _odd_slice(path: Path, found: str, expected: str) -> InputError:
    return InputError(
        f"This slice is {found}, the first one of its folder is {expected}.",
        "Put only the slices of one volume into the folder.",
        path=path,
    )


def _times(shape: tuple[int, ...]) -> str:
    return " × ".join(str(n) for n in shape)


def _naming_doubts(files: list[Path]) -> tuple[str, ...]:
    """Notes on names that suggest missing slices, or several channels in one folder."""
    names = [_NUMBER.split(path.stem) for path in files]
    if len({len(parts) for parts in names}) > 1:
        return ("The file names do not follow one pattern: check their order.",)
    fields = [{int(parts[i]) for parts in names} for i in range(1, len(names[0]), 2)]
    varying = [sorted(field) for field in fields if len(field) > 1]
    if len(varying) > 1:
        return (
            "More than one number varies in the file names: check that all belong to one channel "
            "and one time point.",
        )
    if not varying or len(varying[0]) < len(files):
        return ()
    steps = {b - a for a, b in zip(varying[0], varying[0][1:], strict=False)}
    if len(steps) == 1:
        return ()
    return (f"Some slices between number {varying[0][0]} and {varying[0][-1]} are missing.",)
