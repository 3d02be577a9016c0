"""A layer at lower resolution: for 3D, for the histogram, and to show before the slow slices."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_app.core.volume import ShapeZYX, SpacingZYX
from cellseg_app.state.display import Change, Layer
from cellseg_app.state.slicing import PLANES, SliceRequest
from cellseg_app.viewers.shrinking import block_mean

_SLAB_BYTES = 48 * 1024**2
_CHUNK_PLANES = 64
_GLANCE_PLANES = 8
_GLANCE_SIZE = 512
# Voxels along a side of a block that its mean is taken of: more cost time and change little.
_LOOKED_AT = 2
# A level that is a little coarser than asked for along an axis will do.
_NEARLY = 0.7
_SAMPLE = 400_000
_N_BINS = 256
# Auto contrast: this part of the voxels, in percent, may be black, and white.
DARK_PERCENT, BRIGHT_PERCENT = 1.0, 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Overview:
    """A layer, or one class of it, at a resolution that fits a number of bytes.

    Attributes
    ----------
    data
        Axes Z, Y, X.
    step_zyx
        Voxels of the layer to a voxel of `data`; whole numbers, unless the layer has a pyramid of
        other factors.
    change
        Boxes of `data` outside of which it is the overview of other voxels, `change.before`; None
        if that is not known.
    """

    layer: Layer
    class_index: int
    data: npt.NDArray[Any]
    step_zyx: SpacingZYX
    change: Change | None = None

    @property
    def badge(self) -> str:
        """What to tell the user about the resolution; empty at full resolution."""
        coarsest = max(self.step_zyx)
        return "" if coarsest == 1 else f"shown at 1/{coarsest:g}"


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """Distribution of a layer's intensities.

    Attributes
    ----------
    counts, edges
        Histogram.
    auto_clims
        Contrast limits that show most of the image well.
    range
        Smallest and largest intensity seen, never equal.
    """

    counts: npt.NDArray[np.int64]
    edges: npt.NDArray[np.float64]
    auto_clims: tuple[float, float]
    range: tuple[float, float]


def choose_step(
    shape_zyx: ShapeZYX,
    itemsize: int,
    *,
    scale_zyx: SpacingZYX,
    n_bytes: int,
    max_size: int,
) -> ShapeZYX:
    """How many voxels to take as one along Z, Y, X.

    Parameters
    ----------
    shape_zyx, itemsize, scale_zyx
        Size of the layer and of its voxels, in bytes and in µm.
    n_bytes
        What the result may take.
    max_size
        Longest axis allowed, as the graphics card says (`GL_MAX_3D_TEXTURE_SIZE`).

    Returns
    -------
    tuple[int, int, int]
        Powers of two. The finest sampled axis is thinned out first, so that a coarsely cut
        volume keeps its planes.
    """
    step = [1, 1, 1]
    while True:
        sizes = [-(-n // s) for n, s in zip(shape_zyx, step, strict=True)]
        too_long = [axis for axis in range(3) if sizes[axis] > max_size]
        if not too_long and math.prod(sizes) * itemsize <= n_bytes:
            return step[0], step[1], step[2]
        candidates = too_long or [axis for axis in range(3) if sizes[axis] > 1]
        if not candidates:
            return step[0], step[1], step[2]
        # Of equals Z last: planes are what the eye misses first.
        step[min(candidates, key=lambda axis: (step[axis] * scale_zyx[axis], axis == 0))] *= 2


def build_overview(
    layer: Layer,
    class_index: int,
    *,
    step_zyx: ShapeZYX,
    stale: Callable[[], bool],
) -> Overview | None:
    """Read a layer at lower resolution: every n-th plane, and in it the mean (labels: a voxel).

    Returns
    -------
    Overview | None
        None if `stale` turned true meanwhile.
    """
    base = layer
    layer, step_zyx, own_step = level_for(layer, step_zyx)
    shape = layer.shape_zyx
    if step_zyx == (1, 1, 1) and isinstance(layer.data, np.ndarray) and layer.data.ndim == 3:
        return Overview(base, class_index, layer.data, own_step)
    sizes = [-(-n // s) for n, s in zip(shape, step_zyx, strict=True)]
    first = first_plane(shape[0], step_zyx[0])
    out: npt.NDArray[Any] | None = None
    n_at_once = planes_at_once(layer, step_zyx[0])
    for low in range(0, sizes[0], n_at_once):
        high = min(low + n_at_once, sizes[0])
        planes = slice(first + low * step_zyx[0], min(first + high * step_zyx[0], shape[0]))
        slab = _thin(_read(layer, class_index, planes, step=step_zyx[0]), layer, step_zyx)
        if out is None:
            out = np.zeros(sizes, slab.dtype)
        out[low : low + len(slab)] = slab
        if stale():
            return None
    assert out is not None
    return Overview(base, class_index, out, own_step)


def level_for(layer: Layer, step_zyx: ShapeZYX) -> tuple[Layer, ShapeZYX, SpacingZYX]:
    """The level of a layer that a step is made from, the step from there, and the whole step.

    The coarsest level that gives the step exactly; of a pyramid with other factors the coarsest
    that is as fine along every axis, and a step near the one asked for. The finest level of a
    pyramid may be too large to be passed over.
    """
    near: tuple[Layer, ShapeZYX, SpacingZYX] | None = None
    for level in reversed(layer.coarser):
        factor = [a / b for a, b in zip(level.scale_zyx, layer.scale_zyx, strict=True)]
        rest = [s / f for s, f in zip(step_zyx, factor, strict=True)]
        whole = (round(rest[0]), round(rest[1]), round(rest[2]))
        if all(r >= 1 and abs(r - n) < 1e-6 for r, n in zip(rest, whole, strict=True)):
            return level, whole, step_zyx
        if near is None and all(r > _NEARLY for r in rest):
            z, y, x = (max(1, math.ceil(r - 1e-6)) for r in rest)
            own = (z * factor[0], y * factor[1], x * factor[2])
            near = level, (z, y, x), own
    return near or (layer, step_zyx, step_zyx)


def glance(layer: Layer, class_index: int) -> npt.NDArray[Any]:
    """A few planes, thinned out, from all over the layer: quick to read, enough for contrast."""
    fine = [level for level in layer.coarser if min(level.shape_zyx[1:]) >= _GLANCE_SIZE]
    layer = fine[-1] if fine else layer
    step = [
        max(1, n // _GLANCE_PLANES) if i == 0 else max(1, n // _GLANCE_SIZE)
        for i, n in enumerate(layer.shape_zyx)
    ]
    key = tuple(
        slice(s // 2 if n > s // 2 else 0, n, s) for s, n in zip(step, layer.shape_zyx, strict=True)
    )
    if layer.data.ndim == 4:
        key = (slice(class_index, class_index + 1), *key)
    return _zyx(layer.data[key])


def statistics(voxels: npt.NDArray[Any]) -> Statistics:
    """Histogram and auto contrast of an array; of an even sample of it where it is large."""
    thin = max(1, round((voxels.size / _SAMPLE) ** (1 / 3)))
    sample = voxels[::thin, ::thin, ::thin].astype(np.float32).ravel()
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        sample = np.zeros(1, np.float32)
    # Sorting leaves the window alive, which `np.percentile` does not.
    sample.sort()
    low, high = float(sample[0]), float(sample[-1])
    if high <= low:
        high = low + 1.0
    edges = _edges(low, high, whole=voxels.dtype.kind in "ui")
    places = np.searchsorted(sample, edges[1:-1], side="left")
    counts = np.diff(places, prepend=0, append=sample.size)
    last = sample.size - 1
    dark, bright = (
        float(sample[round(last * percent / 100)])
        for percent in (DARK_PERCENT, 100 - BRIGHT_PERCENT)
    )
    clims = (dark, bright) if bright > dark else (low, high)
    return Statistics(counts, edges, clims, (low, high))


def _edges(low: float, high: float, *, whole: bool) -> npt.NDArray[np.float64]:
    """Borders of at most 256 bins; whole numbers fall into bins of equally many of them."""
    if not whole:
        return np.linspace(low, high, _N_BINS + 1)
    width = math.ceil((high - low + 1) / _N_BINS)
    return low + width * np.arange(math.ceil((high - low + 1) / width) + 1, dtype=float)


def coarse_slice(
    overview: Overview, request: SliceRequest
) -> tuple[npt.NDArray[Any], tuple[float, float, float, float]] | None:
    """The slice (rows, columns) as the overview has it, and where it lies in the world."""
    axes, layer, shape = PLANES[request.plane], overview.layer, overview.data.shape
    step = overview.step_zyx
    rows, columns = (
        (int(span.start // step[axis]), min(shape[axis], math.ceil(span.stop / step[axis])))
        for span, axis in ((request.rows, axes.vertical), (request.columns, axes.horizontal))
    )
    first = min(int(request.planes[0] // step[axes.normal]), shape[axes.normal] - 1)
    last = max(first + 1, math.ceil(request.planes[1] / step[axes.normal]))
    key = [slice(None)] * 3
    key[axes.normal] = slice(first, last)
    key[axes.vertical], key[axes.horizontal] = slice(*rows), slice(*columns)
    block = overview.data[tuple(key)]
    if not block.size:
        return None
    flat = block.max(axis=axes.normal)
    flat = flat.T if axes.vertical > axes.horizontal else flat
    (top, height), (left, width) = (
        (
            (span[0] * step[axis] + layer.origin_zyx[axis]) * layer.scale_zyx[axis],
            (span[1] - span[0]) * step[axis] * layer.scale_zyx[axis],
        )
        for span, axis in ((rows, axes.vertical), (columns, axes.horizontal))
    )
    return flat, (top, left, height, width)


def first_plane(n_planes: int, step: int) -> int:
    """The plane that stands for the first `step` ones."""
    return step // 2 if n_planes > step // 2 else 0


def planes_at_once(layer: Layer, step: int) -> int:
    """How many planes, one of `step`, are read together."""
    plane_bytes = layer.shape_zyx[1] * layer.shape_zyx[2] * layer.data.dtype.itemsize
    # Whole chunks of a chunked file, which are most often 64 or fewer planes deep: each would be
    # decoded twice otherwise.
    whole_chunks = max(1, _CHUNK_PLANES // step)
    if whole_chunks * plane_bytes <= 4 * _SLAB_BYTES:
        return whole_chunks
    return max(1, _SLAB_BYTES // plane_bytes)


def _read(layer: Layer, class_index: int, planes: slice, *, step: int) -> npt.NDArray[Any]:
    key: tuple[slice, ...] = (slice(planes.start, planes.stop, step), slice(None), slice(None))
    if layer.data.ndim == 4:
        key = (slice(class_index, class_index + 1), *key)
    return _zyx(layer.data[key])


def _zyx(block: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.asarray(block).reshape(block.shape[-3:])


def _thin(slab: npt.NDArray[Any], layer: Layer, step_zyx: ShapeZYX) -> npt.NDArray[Any]:
    """Planes thinned out in themselves; the last row and column may stand for fewer voxels."""
    _, y, x = step_zyx
    if y == x == 1:
        return slab
    if layer.kind == "labels":
        return slab[:, ::y, ::x]
    both = block_mean(slab, y, x, at_most=_LOOKED_AT)
    return both if slab.dtype.kind == "f" else np.rint(both).astype(slab.dtype)
