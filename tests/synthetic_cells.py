"""Touching cells and the maps that networks make of them, for tests and benchmarks."""

from __future__ import annotations

import itertools
from typing import Any

import edt
import numpy as np
import numpy.typing as npt
from scipy import ndimage

ShapeZYX = tuple[int, int, int]
SpacingZYX = tuple[float, float, float]
Labels = npt.NDArray[np.uint32]
Floats = npt.NDArray[np.float32]
CUBIC: SpacingZYX = (1.0, 1.0, 1.0)


def touching_ellipsoids(
    shape: ShapeZYX,
    n: int,
    *,
    radius: tuple[float, float] = (5.0, 8.0),
    closeness: float = 0.8,
    stretch: float = 1.3,
    spacing: SpacingZYX = CUBIC,
    seed: int = 0,
) -> Labels:
    """Up to `n` ellipsoids thrown at random, divided where they overlap.

    Parameters
    ----------
    shape, spacing
        Of the volume; radii have the unit of the spacing.
    n, seed
        How many to try for, and the seed of the random numbers.
    radius
        Range of the radius of the ball of equal volume.
    closeness
        Smallest distance of two centres, in sums of their radii; below 1 they overlap.
    stretch
        Largest factor between an axis and that ball.
    """
    rng = np.random.default_rng(seed)
    labels, nearest = np.zeros(shape, np.uint32), np.ones(shape, np.float32)
    cell = 2 * radius[1]
    grid: dict[tuple[int, ...], list[tuple[npt.NDArray[Any], float]]] = {}
    placed = 0
    for _ in range(20 * n):
        if placed == n:
            break
        centre, r = rng.uniform(0, 1, 3) * np.multiply(shape, spacing), rng.uniform(*radius)
        at = tuple((centre // cell).astype(int))
        near = itertools.chain.from_iterable(
            grid.get(tuple(np.add(at, step)), ())
            for step in itertools.product((-1, 0, 1), repeat=3)
        )
        if any(np.linalg.norm(centre - c) < closeness * (r + other) for c, other in near):
            continue
        grid.setdefault(at, []).append((centre, r))
        placed += 1
        axes = np.exp(rng.uniform(-np.log(stretch), np.log(stretch), 3))
        axes *= r / np.cbrt(axes.prod())
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        _draw(labels, nearest, placed, centre=centre, axes=axes, turn=turn, spacing=spacing)
    return _consecutive(labels)


def foreground_map(
    labels: Labels, *, spacing: SpacingZYX = CUBIC, noise: float = 0.04, seed: int = 1
) -> npt.NDArray[np.float16]:
    """What a network trained on masks gives: near 1 inside, near 0 outside, soft and noisy."""
    soft = ndimage.gaussian_filter((labels > 0).astype(np.float32), _blur(spacing))
    soft = 1 / (1 + np.exp(-8 * (soft - 0.5)))
    return np.clip(soft + noise * _noise(labels.shape, seed), 0, 1).astype(np.float16)


def peaked_map(
    labels: Labels, *, spacing: SpacingZYX = CUBIC, noise: float = 0.03, seed: int = 1
) -> npt.NDArray[np.float16]:
    """What our networks give: 0.5 at the border of a cell, up to 1 at its centre, soft and noisy.

    Outside, the map falls to 0 within one and a half voxels.
    The peaks of some cells reach only 0.8, as those of cells a network is unsure about.
    """
    ids = np.arange(int(labels.max()) + 1)
    depth = edt.edt(labels, anisotropy=spacing, black_border=False) - 0.5 * min(spacing)
    deepest = np.maximum(ndimage.maximum(depth, labels, ids), 1e-3)
    sureness = np.random.default_rng(seed).uniform(0.6, 1, len(ids))
    height = 0.5 + 0.5 * np.clip(depth / deepest[labels], 0, 1) ** 0.75 * sureness[labels]
    away = edt.edt(labels == 0, anisotropy=spacing, black_border=False) - 0.5 * min(spacing)
    foot = 0.5 * np.clip(1 - away / (1.5 * min(spacing)), 0, 1)
    sharp = np.where(labels > 0, height, foot).astype(np.float32)
    soft = ndimage.gaussian_filter(sharp, _blur(spacing))
    noisy = soft + noise * _noise(labels.shape, seed) * (soft > 0.05)
    return np.clip(noisy, 0, 1).astype(np.float16)


def _draw(
    labels: Labels,
    nearest: Floats,
    number: int,
    *,
    centre: npt.NDArray[Any],
    axes: npt.NDArray[Any],
    turn: npt.NDArray[Any],
    spacing: SpacingZYX,
) -> None:
    low = np.maximum(0, np.floor((centre - axes.max()) / spacing)).astype(int)
    high = np.minimum(labels.shape, np.ceil((centre + axes.max()) / spacing) + 1).astype(int)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    grid = np.meshgrid(
        *(np.arange(a, b) * s - c for a, b, s, c in zip(low, high, spacing, centre, strict=True)),
        indexing="ij",
    )
    distance = np.linalg.norm((np.stack(grid, axis=-1) @ turn) / axes, axis=-1)
    closer = distance < nearest[box]
    nearest[box][closer] = distance[closer]
    labels[box][closer] = number


def _consecutive(labels: Labels) -> Labels:
    _, place = np.unique(np.append(labels.ravel(), 0), return_inverse=True)
    return place[:-1].reshape(labels.shape).astype(np.uint32)


def _blur(spacing: SpacingZYX) -> list[float]:
    return [0.8 * min(spacing) / step for step in spacing]


def _noise(shape: tuple[int, ...], seed: int) -> Floats:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1)
    return (noise / noise.std()).astype(np.float32)
