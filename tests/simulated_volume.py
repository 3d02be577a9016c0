"""A crowded volume with known cells, as a microscope would show it, for benchmarks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from tests.synthetic_cells import touching_ellipsoids

CELLS_IN_256_CUBED = 5000
Image = npt.NDArray[np.uint16]


def crowded_volume(edge: int, *, seed: int = 0) -> tuple[Image, npt.NDArray[np.uint32]]:
    """An image (edge, edge, edge) with about 5,000 cells per 256³, and their labels."""
    truth = touching_ellipsoids(
        (edge,) * 3, round(CELLS_IN_256_CUBED * (edge / 256) ** 3), closeness=0.85, seed=seed
    )
    rng = np.random.default_rng(seed)
    brightness = rng.uniform(0.6, 1.4, int(truth.max()) + 1).astype(np.float32)
    brightness[0] = 0
    light = ndimage.gaussian_filter(brightness[truth], 0.8)
    return exposed(light, rng), truth


def sparse_volume(edge: int, *, window: int = 64, share: float = 0.02, seed: int = 0) -> Image:
    """The same cells, but only within so many of the boxes of a window's size."""
    image, _ = crowded_volume(edge, seed=seed)
    rng = np.random.default_rng(seed)
    boxes = [
        (slice(z, z + window), slice(y, y + window), slice(x, x + window))
        for z in range(0, edge, window)
        for y in range(0, edge, window)
        for x in range(0, edge, window)
    ]
    background = exposed(np.zeros(image.shape, np.float32), rng)
    for number in rng.permutation(len(boxes))[: max(1, round(share * len(boxes)))]:
        background[boxes[number]] = image[boxes[number]]
    return background


def exposed(
    light: npt.NDArray[np.float32], rng: np.random.Generator, *, noise_counts: float = 40
) -> Image:
    """What a camera counts: background, light, noise."""
    noise = rng.normal(0, noise_counts, light.shape).astype(np.float32)
    return np.clip(200 + 1500 * light + noise, 0, 65535).astype(np.uint16)
