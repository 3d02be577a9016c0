"""One intensity scale per volume, from a bounded sample, the same whatever the volume came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cellseg_app.core.volume import LazyArray

_MAX_PLANES: Final = 32
_PATCHES_PER_AXIS: Final = 4
_PATCH_EDGE: Final = 256


@dataclass(frozen=True, slots=True)
class IntensityScale:
    """How camera counts become what a network sees.

    Attributes
    ----------
    low, high
        The intensities at the two quantiles of the sample.
    rescale
        True maps low…high to 0…1 without cutting off what lies outside; False clips to
        low…high and keeps the counts.
    """

    low: float
    high: float
    rescale: bool

    def apply(self, block: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return the block on the network's scale, float32."""
        values = np.asarray(block, dtype=np.float32)
        if not self.rescale:
            clipped: npt.NDArray[np.float32] = np.clip(values, self.low, self.high)
            return clipped
        span = self.high - self.low
        return (values - np.float32(self.low)) / np.float32(span if span > 0 else 1.0)


def sample_voxels(array: LazyArray) -> npt.NDArray[np.float32]:
    """Return a bounded, deterministic sample of a volume (Z, Y, X) as a flat float32 array.

    Up to 32 evenly spaced planes; of planes larger than about a million voxels, sixteen patches.
    Only the shape decides which voxels are taken, so every route to a volume gives one sample.
    """
    depth, height, width = array.shape
    planes = np.unique(np.linspace(0, depth - 1, min(depth, _MAX_PLANES)).round().astype(int))
    parts = [
        np.asarray(array[slice(z, z + 1), rows, columns], dtype=np.float32).ravel()
        for z in planes
        for rows in _patches(height)
        for columns in _patches(width)
    ]
    return np.concatenate(parts)


def _patches(size: int) -> list[slice]:
    if size <= _PATCHES_PER_AXIS * _PATCH_EDGE:
        return [slice(0, size)]
    starts = np.linspace(0, size - _PATCH_EDGE, _PATCHES_PER_AXIS).round().astype(int)
    return [slice(int(start), int(start) + _PATCH_EDGE) for start in starts]


def intensity_scale(
    sample: npt.NDArray[np.float32], low_quantile: float, high_quantile: float, *, rescale: bool
) -> IntensityScale:
    """Return the scale given by two quantiles of a sample."""
    low, high = np.quantile(sample, [low_quantile, high_quantile])
    return IntensityScale(float(low), float(high), rescale)
