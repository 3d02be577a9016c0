"""Random patches for training: where they lie, how they are turned, how they are spoiled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch.nn import functional

from cellseg_app.inference.windows import read_reflected
from cellseg_app.training.samples import Sample

Floats = npt.NDArray[np.float32]
_FOREGROUND_SHARE = 0.7
_ZOOM = (0.75, 1.33)
# One nearly empty volume, whose scale is that of its noise, would otherwise ruin the running
# statistics of batch normalization for hundreds of steps.
_BOUNDS = (-2.0, 20.0)


def draw_patch(
    sample: Sample, edge: int, rng: np.random.Generator, *, coarse_share: float = 0.0
) -> tuple[Floats, Floats]:
    """Draw one augmented patch.

    Parameters
    ----------
    sample
        Volume to draw from.
    edge
        Voxels along each side of the patch.
    rng
        Source of chance; the same state gives the same patch.
    coarse_share
        How many patches look as if they had been taken with larger voxels, 0 to 1.

    Returns
    -------
    image, target
        (edge, edge, edge) float32 each; the target is 0 to 1.
    """
    zoom = np.exp(rng.uniform(*np.log(_ZOOM)) + rng.normal(0, 0.06, 3))
    depth, height, width = (max(8, round(edge / factor)) for factor in zoom)
    shape = (depth, height, width)
    z, y, x = (int(c - s // 2) for c, s in zip(_draw_centre(sample, rng), shape, strict=True))
    image = read_reflected(sample.image, (z, y, x), shape).astype(np.float32)
    target = read_reflected(sample.target, (z, y, x), shape).astype(np.float32) / 255
    image = np.clip(image, *_BOUNDS)
    pair = _resize(np.stack([image, target]), (edge, edge, edge))
    pair = _turn(pair, rng)
    if coarse_share and rng.random() < coarse_share:
        pair[0] = _coarsen(pair[0], rng)
    return _spoil(pair[0], rng), np.ascontiguousarray(pair[1])


def draw_plain_patch(sample: Sample, edge: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw one patch as it is; see `draw_patch`."""
    z, y, x = (int(c - edge // 2) for c in _draw_centre(sample, rng))
    shape = (edge, edge, edge)
    image = read_reflected(sample.image, (z, y, x), shape).astype(np.float32)
    target = read_reflected(sample.target, (z, y, x), shape).astype(np.float32) / 255
    return np.ascontiguousarray(image), np.ascontiguousarray(target)


def _draw_centre(sample: Sample, rng: np.random.Generator) -> tuple[int, int, int]:
    """Mostly on a cell, else anywhere."""
    shape = sample.image.shape
    wanted = rng.random() < _FOREGROUND_SHARE
    for _ in range(200 if wanted else 1):
        z, y, x = (int(rng.integers(size)) for size in shape)
        if sample.target[z, y, x] >= 128:
            break
    return z, y, x


def _resize(stack: Floats, shape: tuple[int, int, int]) -> Floats:
    """Linear interpolation of (channels, Z, Y, X), voxel centres aligned."""
    tensor = torch.from_numpy(np.ascontiguousarray(stack))[None]
    resized = functional.interpolate(tensor, shape, mode="trilinear", align_corners=False)
    return np.asarray(resized[0].numpy(), dtype=np.float32)


def _turn(pair: Floats, rng: np.random.Generator) -> Floats:
    """Flip along any axis, turn by quarters in the image plane."""
    pair = np.rot90(pair, int(rng.integers(4)), axes=(2, 3))
    for axis in (1, 2, 3):
        if rng.random() < 0.5:
            pair = np.flip(pair, axis)
    return np.ascontiguousarray(pair)


def _spoil(image: Floats, rng: np.random.Generator) -> Floats:
    """Change resolution, contrast and noise; the target stays as it is."""
    if rng.random() < 0.15:
        image = _coarsen_z(image, rng)
    if rng.random() < 0.15:
        image = ndimage.gaussian_filter(image, rng.uniform(0.3, 1.0))
    if rng.random() < 0.4:
        gamma = np.exp(rng.uniform(-0.4, 0.4))
        image = np.where(image > 0, np.maximum(image, 1e-6) ** gamma, image)
    if rng.random() < 0.2:
        image = image * _shading(image.shape, rng)
    if rng.random() < 0.4:
        noise = rng.standard_normal(image.shape, dtype=np.float32)
        if rng.random() < 0.4:
            noise = ndimage.gaussian_filter(noise, rng.uniform(0.4, 1.0))
        image = image + np.float32(10 ** rng.uniform(-2.3, -0.8)) * noise
    scale, offset = np.exp(rng.uniform(-0.7, 1.4)), rng.normal(0, 0.06)
    return np.ascontiguousarray(image * scale + offset, dtype=np.float32)


def _coarsen(image: Floats, rng: np.random.Generator) -> Floats:
    """Fewer voxels along every axis, and back by interpolation, as small cells look enlarged."""
    factor = rng.uniform(1.3, 2.4)
    depth, height, width = (max(4, round(size / factor)) for size in image.shape)
    return _by_way_of(image, (depth, height, width))


def _coarsen_z(image: Floats, rng: np.random.Generator) -> Floats:
    """Fewer slices, and back by interpolation, as a coarsely sampled volume looks."""
    depth, height, width = image.shape
    fewer = max(4, round(depth / rng.uniform(1.5, 3.5)))
    return _by_way_of(image, (fewer, height, width))


def _by_way_of(image: Floats, coarse_shape: tuple[int, int, int]) -> Floats:
    """To a coarser lattice, whose voxels gather their light, and back by interpolation."""
    depth, height, width = image.shape
    tensor = torch.from_numpy(np.ascontiguousarray(image))[None, None]
    coarse = functional.interpolate(tensor, coarse_shape, mode="area")
    return np.asarray(_resize(coarse[0].numpy(), (depth, height, width))[0])


def _shading(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Slowly varying brightness."""
    coarse = np.exp(rng.normal(0, 0.35, (1, 3, 3, 3))).astype(np.float32)
    return np.asarray(_resize(coarse, (shape[0], shape[1], shape[2]))[0])
