"""Everything that glows and is no nucleus: haze, autofluorescence, fibres, vessels, debris."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from cellseg_app.training.simulator.cells import Floats, draw
from cellseg_app.training.simulator.optics import enlarge
from cellseg_app.training.simulator.settings import PresetRanges


def cloud(shape: tuple[int, ...], scale: float, rng: np.random.Generator) -> Floats:
    """Smooth random field of unit spread; `scale` is its typical feature size in voxels."""
    coarse = tuple(int(np.clip(np.ceil(size / scale) + 1, 2, size)) for size in shape)
    field = enlarge(rng.standard_normal(coarse, dtype=np.float32), shape)
    return np.asarray(field / (field.std() + 1e-6), dtype=np.float32)


def surroundings(
    nuclei_light: Floats,
    ranges: PresetRanges,
    *,
    diameter: float,
    rng: np.random.Generator,
) -> Floats:
    """Light from everything else, in units of a typical nucleus.

    Parameters
    ----------
    nuclei_light
        Fluorescence of the nuclei on the fine grid, (Z, Y, X).
    ranges
        Ranges of the preset.
    diameter
        Typical diameter in voxels.
    rng
        Source of chance.
    """
    shape = nuclei_light.shape
    level = draw(ranges.background, rng) * rng.random()
    uneven = rng.uniform(0, 0.6)
    light = level * np.clip(1 + uneven * cloud(shape, diameter * rng.uniform(1, 6), rng), 0.1, 3)
    if rng.random() < 0.3:
        light *= _tissue_edge(shape, diameter, rng)
    if rng.random() < 0.3:
        light *= 1 - rng.uniform(0.3, 1) * _tubes(shape, diameter, (0.4, 1.5), rng)
    if rng.random() < ranges.haze[1]:
        light = light + draw(ranges.haze, rng) * _haze(nuclei_light, diameter, rng)
    amount = draw(ranges.debris, rng)
    if rng.random() < 0.35 * amount + 0.05:
        light = light + rng.uniform(0.1, 0.7) * _tubes(shape, diameter, (0.04, 0.18), rng)
    if rng.random() < 0.4 * amount:
        light = light + _specks(shape, diameter, amount, rng)
    if rng.random() < 0.25 * amount:
        sheet = np.abs(cloud(shape, diameter * rng.uniform(1.5, 4), rng))
        light = light + rng.uniform(0.1, 0.6) * np.exp(-((sheet / 0.08) ** 2))
    return np.asarray(light, dtype=np.float32)


def _tissue_edge(shape: tuple[int, ...], diameter: float, rng: np.random.Generator) -> Floats:
    """1 in tissue, 0 in the empty region beyond a soft irregular boundary."""
    field = cloud(shape, max(shape) / 1.5, rng) + 0.15 * cloud(shape, 2 * diameter, rng)
    return np.asarray(1 / (1 + np.exp(-12 * (field + rng.uniform(-0.3, 1)))), dtype=np.float32)


def _haze(nuclei_light: Floats, diameter: float, rng: np.random.Generator) -> Floats:
    """Scattered light of the nuclei themselves, far wider than the point-spread."""
    sigma = max(0.5, diameter * rng.uniform(0.7, 2.0) / 4)
    small = ndimage.gaussian_filter(nuclei_light[::4, ::4, ::4], sigma, truncate=2.5)
    return enlarge(small / (small.max() + 1e-6), nuclei_light.shape)


def _tubes(
    shape: tuple[int, ...], diameter: float, radius: tuple[float, float], rng: np.random.Generator
) -> Floats:
    """Wandering fibres or vessels, 0 to 1; radii in nucleus diameters."""
    seeds = np.zeros(shape, bool)
    for _ in range(int(rng.integers(1, 8))):
        steps = rng.normal(0, 0.25, (3 * max(shape), 3)).cumsum(0) * 0.3
        way = rng.normal(size=3)
        path = rng.uniform(0, 1, 3) * shape + (way / np.linalg.norm(way) + steps).cumsum(0) * 0.5
        path -= (path[len(path) // 2] - rng.uniform(0, 1, 3) * shape) * 0.5
        inside = ((path >= 0) & (path < shape)).all(1)
        seeds[tuple(path[inside].astype(int).T)] = True
    width = max(0.5, draw(radius, rng) * diameter)
    glow = ndimage.gaussian_filter(seeds.astype(np.float32), 0.7 * width, truncate=2.5)
    return (
        np.asarray(np.minimum(1, glow / (np.quantile(glow[seeds], 0.5) + 1e-6)), np.float32)
        if (seeds.any())
        else glow
    )


def _specks(
    shape: tuple[int, ...], diameter: float, amount: float, rng: np.random.Generator
) -> Floats:
    """Bright specks much smaller than a nucleus and dim blobs much larger."""
    light = np.zeros(shape, np.float32)
    count = int(amount * rng.uniform(2, 40))
    where = tuple((rng.uniform(0, 1, (count, 3)) * shape).astype(int).T)
    light[where] = rng.lognormal(0, 0.6, count)
    sigma = max(0.4, rng.uniform(0.04, 0.1) * diameter)
    small = ndimage.gaussian_filter(light, sigma, truncate=3)
    small *= rng.uniform(0.3, 1.5) / (small.max() + 1e-6)
    large = np.clip(cloud(shape, rng.uniform(2.5, 5) * diameter, rng) - 1.5, 0, 1)
    return np.asarray(small + rng.uniform(0, 0.4) * large, dtype=np.float32)
