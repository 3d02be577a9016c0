"""Gaussian smoothing whose value at a voxel never depends on the region asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cellseg_app.analysis.blockwise import Floats
from cellseg_app.core.volume import ShapeZYX

# A few planes at a time stay in the processor's cache through all three axes: 4 times as fast.
_CACHED_VOXELS = 2**16


def gaussian_reach(sigma_zyx: Sequence[float], truncate: float = 4.0) -> ShapeZYX:
    """Number of voxels on each side that a Gaussian cut at `truncate` sigmas looks at."""
    z, y, x = (int(truncate * sigma + 0.5) for sigma in sigma_zyx)
    return z, y, x


def gaussian(image: Floats, sigma_zyx: Sequence[float], *, truncate: float = 4.0) -> Floats:
    """Smooth with a Gaussian cut at `truncate` sigmas; edge voxels repeat outside.

    Written as shifted sums: elementwise float32 arithmetic gives the same bits for the same
    neighbours wherever they stand in the array, and is faster than scipy's general filter for the
    small kernels used here.

    Parameters
    ----------
    image
        (Z, Y, X).
    sigma_zyx
        In voxels.
    truncate
        Where the Gaussian is cut, in sigmas.
    """
    reach = gaussian_reach(sigma_zyx, truncate)
    radius = tuple(0 if n == 1 else r for r, n in zip(reach, image.shape, strict=True))
    if not any(radius):
        return image
    kernels = [_half_kernel(s, r) for s, r in zip(sigma_zyx, radius, strict=True)]
    padded = np.pad(image, [(r, r) for r in radius], mode="edge")
    planes = max(1, _CACHED_VOXELS // (padded.shape[1] * padded.shape[2]))
    result = np.empty_like(image)
    for start in range(0, len(image), planes):
        stop = min(start + planes, len(image))
        part = padded[start : stop + 2 * radius[0]]
        for axis, kernel in enumerate(kernels):
            part = _along(part, axis, kernel)
        result[start:stop] = part
    return result


def _half_kernel(sigma: float, radius: int) -> list[np.float32]:
    if radius == 0:
        return [np.float32(1)]
    weights = [math.exp(-0.5 * (k / sigma) ** 2) for k in range(radius + 1)]
    total = weights[0] + 2 * sum(weights[1:])
    return [np.float32(w / total) for w in weights]


def _along(padded: Floats, axis: int, half_kernel: list[np.float32]) -> Floats:
    """Smooth along one axis; the result is shorter by the padding."""
    radius = len(half_kernel) - 1
    if radius == 0:
        return padded
    size = padded.shape[axis] - 2 * radius

    def shifted(by: int) -> Floats:
        part = [slice(None)] * 3
        part[axis] = slice(radius + by, radius + by + size)
        return padded[tuple(part)]

    total = shifted(0) * half_kernel[0]
    for k in range(1, radius + 1):
        pair = shifted(-k) + shifted(k)
        pair *= half_kernel[k]
        total += pair
    return total
