"""The planes of TIFF files, read region by region: mapped where raw, decoded where compressed."""

from __future__ import annotations

import itertools
import math
import mmap
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import tifffile

from cellseg_app.io.refusals import BROKEN_FILE_ERRORS, unreadable

CACHE_BYTES = 256 * 1024**2


class Plane(Protocol):
    """One plane of a stack; what a TIFF calls a page."""

    def read(self, key: tuple[slice, ...], /) -> npt.NDArray[Any]:
        """The region, one slice per axis of the plane."""


@dataclass(frozen=True, slots=True)
class RawPlane:
    """A plane that lies in its file as it lies in memory."""

    path: Path
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def read(self, key: tuple[slice, ...]) -> npt.NDArray[Any]:
        # Mapped for the time of one read only: nothing counts as this process's memory afterwards,
        # and on Windows the file stays free to be moved or replaced.
        try:
            with (
                self.path.open("rb") as file,
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
            ):
                return self._copy(mapped, key)
        except (OSError, ValueError, TypeError) as error:
            raise unreadable(self.path, error) from error

    def _copy(self, mapped: mmap.mmap, key: tuple[slice, ...]) -> npt.NDArray[Any]:
        whole: npt.NDArray[Any] = np.ndarray(self.shape, self.dtype, mapped, self.offset)
        return np.array(whole[key])


class RawPlanes(Sequence[RawPlane]):
    """Raw planes that follow each other without a gap."""

    def __init__(
        self, path: Path, offset: int, *, shape: tuple[int, ...], dtype: np.dtype[Any], n: int
    ) -> None:
        self._path = path
        self._offset = offset
        self._shape = shape
        self._dtype = dtype
        self._n = n
        self._step = math.prod(shape) * dtype.itemsize

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401
        if not 0 <= index < self._n:
            raise IndexError(index)
        offset = self._offset + index * self._step
        return RawPlane(self._path, offset, self._shape, self._dtype)


class SegmentCache:
    """The strips and tiles decoded last, up to a number of bytes, shared by threads."""

    def __init__(self, n_bytes: int = CACHE_BYTES) -> None:
        self._capacity = n_bytes
        self._held = 0
        self._segments: OrderedDict[tuple[Path, int], npt.NDArray[Any]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[Path, int]) -> npt.NDArray[Any] | None:
        """A segment, if it is held."""
        with self._lock:
            segment = self._segments.get(key)
            if segment is not None:
                self._segments.move_to_end(key)
            return segment

    def put(self, key: tuple[Path, int], segment: npt.NDArray[Any]) -> None:
        """Hold a segment and let go of those not asked for the longest."""
        with self._lock:
            if key in self._segments:
                return
            self._segments[key] = segment
            self._held += segment.nbytes
            while self._held > self._capacity and self._segments:
                self._held -= self._segments.popitem(last=False)[1].nbytes


class SegmentedPlane:
    """A plane stored as strips or tiles, most often compressed; only those needed are decoded."""

    def __init__(
        self,
        path: Path,
        page: tifffile.TiffPage | tifffile.TiffFrame,
        *,
        cache: SegmentCache,
    ) -> None:
        self._path = path
        self._cache = cache
        self._keyframe = page.keyframe
        self._offsets = page.dataoffsets
        self._counts = page.databytecounts
        self._jpeg = {"jpegtables": page.jpegtables, "jpegheader": page.keyframe.jpegheader}

    def read(self, key: tuple[slice, ...]) -> npt.NDArray[Any]:
        box = _five(key, self._keyframe.axes, self._keyframe.shaped)
        bounds = [(s.start, s.stop) for s in box]
        shape = tuple(stop - start for start, stop in bounds)
        try:
            out = np.full(shape, self._keyframe.nodata, self._keyframe.dtype)
            with self._path.open("rb") as file:
                for index, corner, size in self._segments_in(bounds):
                    part = self._segment(file, index)
                    if part is not None:
                        _paste(out, bounds, part, corner=corner, size=size)
        except (OSError, *BROKEN_FILE_ERRORS) as error:
            raise unreadable(self._path, error) from error
        stepped = out[tuple(slice(None, None, s.step) for s in box)]
        return stepped.reshape([len(range(s.start, s.stop, s.step)) for s in key])

    def _segments_in(
        self, bounds: list[tuple[int, int]]
    ) -> Iterator[tuple[int, tuple[int, ...], tuple[int, ...]]]:
        """Number, first voxel and extent (S, D, H, W) of the segments that meet the bounds."""
        sizes = self._keyframe.shaped[:4]
        steps = _segment_shape(self._keyframe)
        counts = [-(-size // step) for size, step in zip(sizes, steps, strict=True)]
        touched = [
            range(start // step, -(-stop // step)) if stop > start else range(0)
            for (start, stop), step in zip(bounds[:4], steps, strict=True)
        ]
        for place in itertools.product(*touched):
            corner = tuple(i * step for i, step in zip(place, steps, strict=True))
            extent = tuple(
                min(step, size - at) for step, size, at in zip(steps, sizes, corner, strict=True)
            )
            yield int(np.ravel_multi_index(place, counts)), corner, extent

    def _segment(self, file: Any, index: int) -> npt.NDArray[Any] | None:  # noqa: ANN401
        offset, count = self._offsets[index], self._counts[index]
        if not count:
            return None
        key = (self._path, offset)
        segment = self._cache.get(key)
        if segment is None:
            file.seek(offset)
            stored = file.read(count)
            if len(stored) < count:
                msg = "it ends before its last voxel"
                raise EOFError(msg)
            segment = np.asarray(self._keyframe.decode(stored, index, **self._jpeg)[0])
            self._cache.put(key, segment)
        return segment


class PlaneStack:
    """Planes of equal shape as one array: leading axes count planes, trailing ones lie in them."""

    def __init__(
        self,
        planes: Sequence[Plane],
        *,
        lead_shape: tuple[int, ...],
        plane_shape: tuple[int, ...],
        dtype: np.dtype[Any],
    ) -> None:
        self._planes = planes
        self._lead = lead_shape
        self._plane = plane_shape
        self._dtype = dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self._lead + self._plane

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._dtype

    def read(self, key: tuple[slice, ...]) -> npt.NDArray[Any]:
        ranges = [range(s.start, s.stop, s.step) for s in key]
        n_lead = len(self._lead)
        inner = key[n_lead:]
        out = np.empty([len(r) for r in ranges], self._dtype.newbyteorder("="))
        flat = out.reshape(-1, *out.shape[n_lead:])
        for row, place in enumerate(itertools.product(*ranges[:n_lead])):
            number = int(np.ravel_multi_index(place, self._lead)) if place else 0
            flat[row] = self._planes[number].read(inner)
        return out


def _segment_shape(page: tifffile.TiffPage) -> tuple[int, int, int, int]:
    if page.is_tiled:
        return 1, max(1, page.tiledepth), page.tilelength, page.tilewidth
    _, _, height, width, _ = page.shaped
    return 1, 1, min(page.rowsperstrip or height, height), width


def _five(
    key: tuple[slice, ...], axes: str, shaped: tuple[int, int, int, int, int]
) -> tuple[slice, ...]:
    """The region along tifffile's five axes: separate sample, depth, height, width, sample."""
    places = {"Z": 1, "Y": 2, "X": 3, "S": 0 if shaped[0] > 1 else 4}
    box = [slice(0, size, 1) for size in shaped]
    for letter, one in zip(axes, key, strict=True):
        box[places[letter]] = one
    return tuple(box)


def _paste(
    out: npt.NDArray[Any],
    bounds: list[tuple[int, int]],
    part: npt.NDArray[Any],
    *,
    corner: tuple[int, ...],
    size: tuple[int, ...],
) -> None:
    """Copy the common part of a segment (D, H, W, S) and of the region `bounds` into `out`."""
    to, source = [], []
    for (start, stop), at, extent in zip(bounds[:4], corner, size, strict=True):
        first, last = max(start, at), min(stop, at + extent)
        to.append(slice(first - start, last - start))
        source.append(slice(first - at, last - at))
    samples = slice(*bounds[4])
    out[tuple(to)] = part[(*source[1:], samples)]
