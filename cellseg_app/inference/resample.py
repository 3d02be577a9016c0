"""Resizing a volume to what a network learned, and its answer back, region by region.

Both directions use the same separable triangle filter on voxel centres: linear interpolation
where the lattice gets finer, the matching area-weighted average where it gets coarser (no
aliasing). The value of a voxel never depends on which region was asked for.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cellseg_app.core.blocks import at_most
from cellseg_app.core.volume import LazyArray, ShapeZYX

_ROUNDING: Final = 1 + 1e-5


def resampled_shape(shape_zyx: ShapeZYX, step_zyx: tuple[float, float, float]) -> ShapeZYX:
    """Shape of a volume resampled so that one new voxel spans `step_zyx` old ones."""
    z, y, x = (max(1, round(size / step)) for size, step in zip(shape_zyx, step_zyx, strict=True))
    return z, y, x


class ResampledArray:
    """A lazy array seen on another lattice that covers exactly the same extent.

    Parameters
    ----------
    source
        Array whose last three axes are Z, Y, X; axes before them are kept as they are.
    shape_zyx
        Number of voxels along Z, Y, X of the new lattice. Voxel *centres* correspond:
        new index o lies at old coordinate (o + 0.5) · n_old / n_new − 0.5.
    """

    def __init__(self, source: LazyArray, shape_zyx: ShapeZYX) -> None:
        self._source = source
        self.shape: tuple[int, ...] = (*source.shape[:-3], *shape_zyx)
        self.dtype: np.dtype[Any] = np.dtype(np.float32)
        self.ndim = len(self.shape)

    def __getitem__(self, key: tuple[slice, ...], /) -> npt.NDArray[np.float32]:
        leading, region = key[:-3], key[-3:]
        axes = [
            _axis_weights(n_old, n_new, part)
            for n_old, n_new, part in zip(
                self._source.shape[-3:], self.shape[-3:], region, strict=True
            )
        ]
        block = self._source[(*leading, *(old for old, _ in axes))]
        result = np.asarray(block, dtype=np.float32)
        for axis, (_, weights) in zip((-3, -2, -1), axes, strict=True):
            result = _apply(result, weights, axis)
        return result

    def at_most(self, key: tuple[slice, ...]) -> float:
        """A value that nothing in a region exceeds, if the source can tell; else infinity."""
        axes = zip(self._source.shape[-3:], self.shape[-3:], key[-3:], strict=True)
        old = (_axis_weights(n_old, n_new, part)[0] for n_old, n_new, part in axes)
        # Rounding of the weighted sum may exceed its largest term by a few units in the last place.
        return at_most(self._source, (*key[:-3], *old)) * _ROUNDING


def resample(array: npt.NDArray[Any], shape_zyx: ShapeZYX) -> npt.NDArray[np.float32]:
    """Resample a whole array (last axes Z, Y, X) to `shape_zyx`; see `ResampledArray`."""
    lazy = ResampledArray(array, shape_zyx)
    return lazy[tuple(slice(0, size) for size in lazy.shape)]


def _axis_weights(
    n_old: int, n_new: int, part: slice
) -> tuple[slice, npt.NDArray[np.float32] | None]:
    """Which old voxels the new ones of `part` need, and their weights (new × old)."""
    start, stop, _ = part.indices(n_new)
    if n_old == n_new:
        return slice(start, stop), None
    step = n_old / n_new
    reach = max(1.0, step)
    centres = (np.arange(start, stop) + 0.5) * step - 0.5
    first = max(0, int(np.floor(centres[0] - reach)) + 1) if stop > start else 0
    last = min(n_old, int(np.ceil(centres[-1] + reach))) if stop > start else 0
    # Outside the volume there is nothing to average: the weights left inside share the sum.
    distance = np.abs(np.arange(first, last)[None, :] - centres[:, None]) / reach
    weights = np.clip(1.0 - distance, 0.0, None)
    weights /= weights.sum(axis=1, keepdims=True)
    return slice(first, last), weights.astype(np.float32)


def _apply(
    block: npt.NDArray[np.float32], weights: npt.NDArray[np.float32] | None, axis: int
) -> npt.NDArray[np.float32]:
    if weights is None:
        return block
    moved = np.moveaxis(block, axis, -1)
    return np.ascontiguousarray(np.moveaxis(moved @ weights.T, -1, axis))
