"""Turn nuclei into voxels: who owns which voxel, how bright it is, how far each one appears."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cellseg_app.training.simulator.cells import Floats, Nuclei

_REACH = 1.7


@dataclass(frozen=True)
class Patch:
    """The implicit shape of one nucleus (below 1 is inside) in its box of the fine grid."""

    index: int
    box: tuple[slice, slice, slice]
    shape: Floats
    radius: float


@dataclass(frozen=True)
class Ownership:
    """Nearest and second nearest nucleus surface of every voxel of the fine grid."""

    owner: npt.NDArray[np.int32]
    nearest: Floats
    second: Floats


def nucleus_patches(nuclei: Nuclei, extent_zyx: tuple[int, int, int]) -> list[Patch]:
    """Evaluate the implicit shape of each nucleus that reaches into the field."""
    patches = []
    for index in range(len(nuclei)):
        reach = _REACH * float(nuclei.half_axes[index].max())
        low = np.maximum(np.floor(nuclei.centres[index] - reach), 0).astype(int)
        high = np.minimum(np.ceil(nuclei.centres[index] + reach) + 1, extent_zyx).astype(int)
        if (high <= low).any():
            continue
        box = (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))
        shape = _implicit_shape(nuclei, index, box)
        if (shape < 1).any():
            radius = float(np.cbrt(nuclei.half_axes[index].prod()))
            patches.append(Patch(index, box, shape, radius))
    return patches


def _implicit_shape(nuclei: Nuclei, index: int, box: tuple[slice, slice, slice]) -> Floats:
    """Ellipsoid, bent along its longest axis and deformed by low-order bumps."""
    grid = np.ogrid[box]
    centre, half = nuclei.centres[index], nuclei.half_axes[index]
    offsets = [(axis - c).astype(np.float32) for axis, c in zip(grid, centre, strict=True)]
    local = [
        sum(offset * row[k] for k, offset in enumerate(offsets)) / half[axis]
        for axis, row in enumerate(nuclei.axes[index])
    ]
    if nuclei.bend[index]:
        local[1] = local[1] + nuclei.bend[index] * (local[2] ** 2 - 0.5)
    rho = np.sqrt(local[0] ** 2 + local[1] ** 2 + local[2] ** 2) + np.float32(1e-6)
    surface = np.ones_like(rho)
    for order, (strength, way) in enumerate(
        zip(nuclei.bumps[index], nuclei.bump_axes[index], strict=True)
    ):
        cosine = (local[0] * way[0] + local[1] * way[1] + local[2] * way[2]) / rho
        surface += strength * (1.5 * cosine**2 - 0.5 if order < 2 else 1.5 * cosine**3 - cosine)
    return np.asarray(rho / np.clip(surface, 0.5, 1.6), dtype=np.float32)


def claim_voxels(patches: list[Patch], extent_zyx: tuple[int, int, int]) -> Ownership:
    """Give each voxel to the nucleus it lies deepest in, so touching ones share a flat border."""
    owner = np.full(extent_zyx, -1, np.int32)
    nearest = np.full(extent_zyx, 9.0, np.float32)
    second = np.full(extent_zyx, 9.0, np.float32)
    for position, patch in enumerate(patches):
        first, other, who = nearest[patch.box], second[patch.box], owner[patch.box]
        wins = patch.shape < first
        other[...] = np.where(wins, first, np.minimum(other, patch.shape))
        first[wins] = patch.shape[wins]
        who[wins] = position
    return Ownership(owner, nearest, second)


def solid_mask(patch: Patch, position: int, claims: Ownership, gap: float) -> Floats:
    """Anti-aliased body of one nucleus without its texture, 0 to 1; `gap` in voxels."""
    mine = claims.owner[patch.box] == position
    rival = np.where(mine, claims.second[patch.box], claims.nearest[patch.box])
    body = np.clip((1 - patch.shape) * patch.radius + 0.5, 0, 1)
    border = np.clip((rival - patch.shape) * patch.radius * 0.5 - 0.5 * gap + 0.5, 0, 1)
    return np.asarray(body * border, dtype=np.float32)


def paint(
    nuclei: Nuclei,
    patches: list[Patch],
    masks: list[Floats],
    *,
    extent_zyx: tuple[int, int, int],
    diameter: float,
    rng: np.random.Generator,
) -> Floats:
    """Fluorescence of all nuclei before any optics."""
    image = np.zeros(extent_zyx, np.float32)
    chromatin = _chromatin(extent_zyx, diameter, rng)
    # Plant nuclei have one nucleolus that may fill half of them.
    hole_scale = float(rng.choice([1.0, 1.0, 1.6]))
    cytoplasm = float(rng.choice([0.0, 0.0, rng.uniform(0.03, 0.3)]))
    for patch, mask in zip(patches, masks, strict=True):
        i = patch.index
        profile = 1 + nuclei.rim[i] * (np.minimum(patch.shape, 1) ** 2 - 0.5)
        pattern = 1 + nuclei.texture[i] * chromatin[patch.box]
        inner = mask * profile * np.maximum(pattern, 0.05)
        for _ in range(int(nuclei.nucleoli[i])):
            inner = inner * _hole(patch, nuclei.centres[i], hole_scale, rng)
        if cytoplasm:
            inner = inner + cytoplasm * (1 - mask) * np.clip((1.55 - patch.shape) * 2, 0, 1)
        image[patch.box] += nuclei.brightness[i] * inner
    return image


def _chromatin(
    extent_zyx: tuple[int, int, int], diameter: float, rng: np.random.Generator
) -> Floats:
    """Clumpy noise of unit spread, a fine and a coarse part mixed."""
    noise = rng.standard_normal(extent_zyx, dtype=np.float32)
    share = rng.random()
    field = np.zeros_like(noise)
    for weight, scale in ((share, 0.06), (1 - share, 0.15)):
        part = ndimage.gaussian_filter(noise, max(0.4, scale * diameter), truncate=2.5)
        field += np.float32(weight) * part / (part.std() + 1e-6)
    return field


def _hole(
    patch: Patch, centre: npt.NDArray[np.float32], scale: float, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Factor that darkens one nucleolus."""
    spot = centre + rng.normal(0, 0.3 * patch.radius / scale, 3)
    radius = scale * patch.radius * rng.uniform(0.15, 0.35)
    distance = np.zeros((1, 1, 1))
    for axis, c in zip(np.ogrid[patch.box], spot, strict=True):
        distance = distance + (axis - c) ** 2
    depth = rng.uniform(0.2, 0.9)
    return np.asarray(1 - depth * np.exp(-distance / (1.2 * radius**2)), dtype=np.float32)
