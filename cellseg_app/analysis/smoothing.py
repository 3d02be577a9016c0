"""Gaussian smoothing whose value at a voxel never depends on the region asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cellseg_app.analysis.blockwise import Floats
from cellseg_app.core.volume import ShapeZYX


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
    result = image
    for axis, (sigma, radius) in enumerate(
        zip(sigma_zyx, gaussian_reach(sigma_zyx, truncate), strict=True)
    ):
        if radius > 0 and image.shape[axis] > 1:
            result = _along(result, axis, _half_kernel(sigma, radius))
    return result


def _half_kernel(sigma: float, radius: int) -> list[float]:
    weights = [math.exp(-0.5 * (k / sigma) ** 2) for k in range(radius + 1)]
    total = weights[0] + 2 * sum(weights[1:])
    return [w / total for w in weights]


def _along(image: Floats, axis: int, half_kernel: list[float]) -> Floats:
    radius, size = len(half_kernel) - 1, image.shape[axis]
    width = [(radius, radius) if i == axis else (0, 0) for i in range(image.ndim)]
    padded = np.pad(image, width, mode="edge")
    view = np.moveaxis(padded, axis, 0)
    total = np.moveaxis(np.empty_like(image), axis, 0)
    np.multiply(view[radius : radius + size], np.float32(half_kernel[0]), out=total)
    pair = np.empty_like(total)
    for k in range(1, radius + 1):
        low, high = radius - k, radius + k
        np.add(view[low : low + size], view[high : high + size], out=pair)
        pair *= np.float32(half_kernel[k])
        total += pair
    return np.moveaxis(total, 0, axis)
