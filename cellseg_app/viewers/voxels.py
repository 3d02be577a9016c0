"""The voxels of a slice, read in whatever way the file allows; for the reading threads."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_app.core.blocks import Region, grow, region_shape
from cellseg_app.core.volume import ShapeZYX
from cellseg_app.state.display import Layer
from cellseg_app.state.slicing import PLANES, Plane, SliceRequest
from cellseg_app.viewers.ortho.rendering import flatten, shrink

# Above this a reading is felt: neighbours are read along, and a coarser picture comes first.
SLOW_S = 0.03
_ABANDON_S = 0.3
_THICK_BYTES = 64 * 1024**2
_PIECE_BYTES = 64 * 1024**2
_CACHE_BYTES = 192 * 1024**2
_MAX_THICK = 32

Stale = Callable[[], bool]
_Key = tuple[Hashable, ...]


class Abandoned(Exception):
    """A newer slice was asked for while a slow one was being read."""


class VoxelReader:
    """Reads slices and keeps what is worth keeping; shared by the threads.

    A file stored plane by plane gives XY at once and the other two directions by touching every
    plane; a chunked file decodes a whole chunk for one slice of it. So where a direction proved
    slow, who goes from a slice to the next gets those after it read with it: the same parts of the
    file are touched anyway. Who jumps gets the one slice.
    """

    def __init__(self, n_bytes: int = _CACHE_BYTES) -> None:
        self._capacity = n_bytes
        self._held = 0
        self._cache: OrderedDict[_Key, npt.NDArray[Any]] = OrderedDict()
        # Of the last two readings of single slices: one alone may have met a busy disk.
        self.seconds: dict[tuple[Layer, Plane], deque[float]] = {}
        self._walks: dict[tuple[Layer, Plane], str] = {}
        self._lock = threading.Lock()

    def expected_s(self, request: SliceRequest) -> float | None:
        """How long reading a slice of this layer in this direction takes; None if unknown."""
        seen = self.seconds.get((request.layer, request.plane))
        return min(seen) if seen else None

    def read(self, request: SliceRequest, stale: Stale) -> npt.NDArray[Any]:
        """The slice (rows, columns), one value per pixel.

        Raises
        ------
        Abandoned
            If `stale` turned true during a slow reading.
        UserError
            If the file cannot be read.
        """
        key: _Key = ("slice", *request.voxels)
        kept = self._get(key)
        if kept is not None:
            return kept
        start = time.perf_counter()
        if self._is_slow(request):
            block = self._from_thick(request, stale)
        else:
            block = self._single(request, stale)
        flat = flatten(block, request)
        if not _read_decimated(request):
            mean = request.layer.kind != "labels"
            flat = shrink(flat, request.rows, request.columns, mean=mean)
        if not self._is_slow(request):
            seen = self.seconds.setdefault((request.layer, request.plane), deque(maxlen=2))
            seen.append(time.perf_counter() - start)
        self._put(key, np.ascontiguousarray(flat))
        return flat

    def forget(self, layer: Layer) -> None:
        """Let go of what was read of a layer."""
        with self._lock:
            for key in [key for key in self._cache if layer in key]:
                self._held -= self._cache.pop(key).nbytes
            for seen in [seen for seen in self.seconds if seen[0] is layer]:
                del self.seconds[seen]

    def _is_slow(self, request: SliceRequest) -> bool:
        if request.planes[1] - request.planes[0] > 1 or _read_decimated(request):
            return False
        if isinstance(request.layer.data, np.ndarray):
            return False
        seen = self.seconds.get((request.layer, request.plane), ())
        return len(seen) == 2 and min(seen) > SLOW_S

    def _single(self, request: SliceRequest, stale: Stale) -> npt.NDArray[Any]:
        """The voxels (Z, Y, X) of a request and no more."""
        if request.planes[1] - request.planes[0] > 1 or _read_decimated(request):
            return self._projected(request, stale)
        return self._pieces(request, request.region, stale)

    def _from_thick(self, request: SliceRequest, stale: Stale) -> npt.NDArray[Any]:
        """The same, with its neighbours kept for the requests to come."""
        region = thick_region(request)
        key: _Key = ("thick", request.layer, request.class_index, request.plane, str(region))
        block = self._get(key)
        before = self._walks.get((request.layer, request.plane))
        self._walks[request.layer, request.plane] = str(region)
        if block is None and before != str(region):
            return self._single(request, stale)
        if block is None:
            block = self._pieces(request, region, stale)
            self._put(key, block)
        cut = [
            slice(want.start - have.start, want.stop - have.start)
            for want, have in zip(request.region, region, strict=True)
        ]
        return block[tuple(cut)]

    def _projected(self, request: SliceRequest, stale: Stale) -> npt.NDArray[Any]:
        """The maximum across the pane, with a few planes in memory at a time."""
        axis = PLANES[request.plane].normal
        step = _steps(request)
        one = _n_bytes(request.layer, request.region) // max(1, _length(request.region[axis]))
        n_at_once = max(1, _PIECE_BYTES // max(1, one))
        result: npt.NDArray[Any] | None = None
        for start in range(request.planes[0], request.planes[1], n_at_once):
            part = list(request.region)
            part[axis] = slice(start, min(start + n_at_once, request.planes[1]))
            block = read_region(request.layer, request.class_index, _stepped(part, step))
            block = block.max(axis=axis, keepdims=True)
            result = block if result is None else np.maximum(result, block)
            if stale():
                raise Abandoned
        assert result is not None
        return result

    def _pieces(self, request: SliceRequest, region: Region, stale: Stale) -> npt.NDArray[Any]:
        """The region; in pieces along Z, to be given up in between, if reading takes long."""
        layer, channel = request.layer, request.class_index
        if (self.expected_s(request) or 0.0) < _ABANDON_S or _length(region[0]) == 1:
            return read_region(layer, channel, region)
        out = np.empty(region_shape(region), layer.data.dtype)
        edges = range(region[0].start // 64 * 64, region[0].stop, 64)
        for edge in edges:
            z = slice(max(edge, region[0].start), min(edge + 64, region[0].stop))
            place = slice(z.start - region[0].start, z.stop - region[0].start)
            out[place] = read_region(layer, channel, (z, region[1], region[2]))
            if stale():
                raise Abandoned
        return out

    def _get(self, key: _Key) -> npt.NDArray[Any] | None:
        with self._lock:
            block = self._cache.get(key)
            if block is not None:
                self._cache.move_to_end(key)
            return block

    def _put(self, key: _Key, block: npt.NDArray[Any]) -> None:
        with self._lock:
            if key in self._cache:
                return
            self._cache[key] = block
            self._held += block.nbytes
            while self._held > self._capacity and self._cache:
                self._held -= self._cache.popitem(last=False)[1].nbytes


def read_region(layer: Layer, channel: int, region: Region) -> npt.NDArray[Any]:
    """Voxels (Z, Y, X) of a layer; `channel` counts where it has several classes."""
    if layer.data.ndim == 4:
        one_class = layer.data[(slice(channel, channel + 1), *region)]
        return np.asarray(one_class).reshape(one_class.shape[1:])
    return np.asarray(layer.data[region])


def thick_region(request: SliceRequest) -> Region:
    """The slices read along with the one asked for: whole ones if they fit, else those in view."""
    axis = PLANES[request.plane].normal
    shape = request.layer.shape_zyx
    whole = list(grow(request.region, shape, shape))
    whole[axis] = request.region[axis]
    for region in (whole, list(request.region)):
        one = _n_bytes(request.layer, (region[0], region[1], region[2]))
        thick = min(_MAX_THICK, _THICK_BYTES // max(1, one))
        if thick >= 2 or region == list(request.region):
            break
    thick = 1 << max(0, thick.bit_length() - 1)
    first = request.planes[0] // thick * thick
    region[axis] = slice(first, min(first + thick, shape[axis]))
    return region[0], region[1], region[2]


def _read_decimated(request: SliceRequest) -> bool:
    """Whether only every n-th voxel is read: of labels, and of what would fill the memory."""
    if request.rows.step == request.columns.step == 1:
        return False
    one = _n_bytes(request.layer, request.region)
    return request.layer.kind == "labels" or one > 4 * _PIECE_BYTES


def _steps(request: SliceRequest) -> ShapeZYX:
    if not _read_decimated(request):
        return 1, 1, 1
    axes = PLANES[request.plane]
    step = [1, 1, 1]
    step[axes.vertical], step[axes.horizontal] = request.rows.step, request.columns.step
    return step[0], step[1], step[2]


def _stepped(part: list[slice], step: ShapeZYX) -> Region:
    z, y, x = (
        slice(s.start + n // 2, s.stop, n) if n > 1 else s for s, n in zip(part, step, strict=True)
    )
    return z, y, x


def _length(one: slice) -> int:
    return int(one.stop) - int(one.start)


def _n_bytes(layer: Layer, region: Region) -> int:
    z, y, x = region_shape(region)
    return z * y * x * int(layer.data.dtype.itemsize)
