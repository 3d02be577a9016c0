"""The background that cells stand on, taken away for networks that go by brightness alone."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cellseg_app.core.blocks import Region, block_regions, grow, intersect, relative_to
from cellseg_app.core.volume import LazyArray, ShapeZYX
from cellseg_app.inference.cards import Normalization
from cellseg_app.inference.normalize import sample_voxels
from cellseg_app.inference.resample import ResampledArray

# Coarse voxels across the box that must hold some background.
_ACROSS: Final = 9
_SIGMA: Final = 2.0
_SIGMAS_REACHED: Final = 2
# Half the box for the darkest, half for the brightest of them, and the smoothing before and after.
_REACH: Final = 2 * (_ACROSS // 2) + 2 * int(_SIGMA * _SIGMAS_REACHED)
_CHUNK: Final = 16
# 16 KiB each.
_MOST_CHUNKS: Final = 4096


def without_background(
    image: LazyArray, normalization: Normalization, object_diameter_voxels: float | None
) -> LazyArray:
    """A volume (Z, Y, X) on a network's lattice, without its background if the card says so."""
    width = normalization.background_diameters
    if width is None or object_diameter_voxels is None:
        return image
    return WithoutBackground(image, width * object_diameter_voxels)


def sample_for_scale(volume: LazyArray, seen: LazyArray) -> npt.NDArray[np.float32]:
    """Values that the scale of a network is measured by, flat, float32.

    Parameters
    ----------
    volume
        The volume on its own lattice: its voxels, unless the network sees others.
    seen
        What `without_background` gave.
    """
    return sample_cubes(seen) if isinstance(seen, WithoutBackground) else sample_voxels(volume)


class WithoutBackground:
    """A lazy volume (Z, Y, X) minus its slowly varying background, float32.

    Parameters
    ----------
    source
        The volume.
    width_voxels
        Width of a box so much larger than a cell that some of it is background wherever it lies.

    Notes
    -----
    The background is the grey opening with such a box, as in the white top-hat (Serra, Image
    Analysis and Mathematical Morphology, 1982), of the volume averaged over a ninth of the box,
    so that noise does not decide what is darkest, then smoothed. The value of a voxel never
    depends on which region was asked for.
    """

    def __init__(self, source: LazyArray, width_voxels: float) -> None:
        self._source, self._width_voxels = source, width_voxels
        edge = max(1, round(width_voxels / _ACROSS))
        z, y, x = source.shape
        self._background = ResampledArray(_Opened(_CoarseMeans(source, edge)), (z, y, x))
        self.shape: tuple[int, ...] = (z, y, x)
        self.dtype: np.dtype[Any] = np.dtype(np.float32)
        self.ndim = 3

    def __getitem__(self, key: tuple[slice, ...], /) -> npt.NDArray[np.float32]:
        parts = [part.indices(size) for part, size in zip(key, self.shape, strict=True)]
        if any(stop <= start for start, stop, _ in parts):
            return np.asarray(self._source[key], dtype=np.float32)
        region = tuple(slice(start, stop) for start, stop, _ in parts)
        steps = tuple(slice(None, None, step) for _, _, step in parts)
        values = np.asarray(self._source[region], dtype=np.float32) - self._background[region]
        return values[steps]

    def __reduce__(self) -> tuple[Any, ...]:
        return WithoutBackground, (self._source, self._width_voxels)


class _Opened:
    """The grey opening of coarse means, smoothed."""

    def __init__(self, means: _CoarseMeans) -> None:
        self._means = means
        self.shape: tuple[int, ...] = means.shape_zyx
        self.dtype: np.dtype[Any] = np.dtype(np.float32)
        self.ndim = 3

    def __getitem__(self, key: tuple[slice, ...], /) -> npt.NDArray[np.float32]:
        z, y, x = (slice(*part.indices(n)[:2]) for part, n in zip(key, self.shape, strict=True))
        outer = grow((z, y, x), (_REACH, _REACH, _REACH), self._means.shape_zyx)
        beyond = [
            (_REACH - part.start + grown.start, _REACH - grown.stop + part.stop)
            for part, grown in zip((z, y, x), outer, strict=True)
        ]
        values = _continued(self._means.read(outer), beyond)
        values = ndimage.minimum_filter(values, size=_ACROSS)
        values = ndimage.maximum_filter(values, size=_ACROSS)
        values = ndimage.gaussian_filter(values, _SIGMA, truncate=_SIGMAS_REACHED)
        inner: npt.NDArray[np.float32] = values[_REACH:-_REACH, _REACH:-_REACH, _REACH:-_REACH]
        return inner


def _continued(
    values: npt.NDArray[np.float32], beyond: list[tuple[int, int]]
) -> npt.NDArray[np.float32]:
    """Past its border a volume goes on as steeply as it comes there, so that a slope stays one.

    How steeply is told by smoothed values: noise would grow with the distance.
    """
    smooth = ndimage.gaussian_filter(values, _SIGMA, truncate=_SIGMAS_REACHED)
    padded = np.pad(smooth, beyond, mode="reflect", reflect_type="odd")
    inner = tuple(slice(low, low + n) for (low, _), n in zip(beyond, values.shape, strict=True))
    padded[inner] = values
    return padded


class _CoarseMeans:
    """Means over cubes of a volume, computed chunk by chunk and kept as long as there is room.

    The last cubes of an axis are thinner or thicker by up to half.
    """

    def __init__(self, source: LazyArray, edge: int) -> None:
        self._source, self._edge = source, edge
        z, y, x = (max(1, round(size / edge)) for size in source.shape)
        self.shape_zyx: ShapeZYX = (z, y, x)
        self._chunks: OrderedDict[ShapeZYX, npt.NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, region: Region) -> npt.NDArray[np.float32]:
        """The means of a region of cubes."""
        result = np.empty([part.stop - part.start for part in region], np.float32)
        first = [part.start // _CHUNK for part in region]
        last = [-(-part.stop // _CHUNK) for part in region]
        counts = (last[0] - first[0], last[1] - first[1], last[2] - first[2])
        for z, y, x in np.ndindex(counts):
            number = (z + first[0], y + first[1], x + first[2])
            box = self._box(number)
            common = intersect(box, region)
            assert common is not None
            chunk = self._chunk(number)
            result[relative_to(common, region)] = chunk[relative_to(common, box)]
        return result

    def _box(self, number: ShapeZYX) -> Region:
        z, y, x = (
            slice(n * _CHUNK, min(size, (n + 1) * _CHUNK))
            for n, size in zip(number, self.shape_zyx, strict=True)
        )
        return z, y, x

    def _chunk(self, number: ShapeZYX) -> npt.NDArray[np.float32]:
        with self._lock:
            known = self._chunks.get(number)
            if known is not None:
                self._chunks.move_to_end(number)
                return known
        means = self._means(self._box(number))
        with self._lock:
            self._chunks[number] = means
            if len(self._chunks) > _MOST_CHUNKS:
                self._chunks.popitem(last=False)
        return means

    def _means(self, box: Region) -> npt.NDArray[np.float32]:
        voxels = tuple(
            slice(part.start * self._edge, size if part.stop == n else part.stop * self._edge)
            for part, n, size in zip(box, self.shape_zyx, self._source.shape, strict=True)
        )
        values = np.asarray(self._source[voxels], dtype=np.float64)
        for axis in range(3):
            starts = self._edge * np.arange(box[axis].stop - box[axis].start)
            widths = np.diff([*starts, values.shape[axis]])
            shape = [-1 if a == axis else 1 for a in range(3)]
            values = np.add.reduceat(values, starts, axis=axis) / widths.reshape(shape)
        return values.astype(np.float32)


def sample_cubes(array: LazyArray) -> npt.NDArray[np.float32]:
    """A bounded, deterministic sample of a volume (Z, Y, X) that is dear to read plane by plane.

    Up to 4 × 4 × 4 evenly spaced cubes of 64 voxels, flat, float32; a smaller volume whole.
    """
    axes = [_parts(size) for size in array.shape]
    cubes = [array[z, y, x] for z in axes[0] for y in axes[1] for x in axes[2]]
    return np.concatenate([np.asarray(cube, dtype=np.float32).ravel() for cube in cubes])


def _parts(size: int) -> list[slice]:
    edge, most = 64, 4
    if size <= edge * most:
        return [region[0] for region in block_regions((size, 1, 1), (edge, 1, 1))]
    starts = np.linspace(0, size - edge, most).round().astype(int)
    return [slice(int(start), int(start) + edge) for start in starts]
