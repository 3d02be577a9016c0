"""One simulated volume with its labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cellseg_app.training.simulator.cells import Floats, Nuclei, draw, draw_nuclei
from cellseg_app.training.simulator.optics import (
    Camera,
    Optics,
    blacken_edge,
    blur,
    depth_factor,
    draw_camera,
    draw_optics,
    expose,
    noise_level,
    sample_slices,
    slice_positions,
)
from cellseg_app.training.simulator.rendering import (
    Patch,
    claim_voxels,
    nucleus_patches,
    paint,
    solid_mask,
)
from cellseg_app.training.simulator.settings import PRESETS, PresetRanges, SimulationSettings
from cellseg_app.training.simulator.surroundings import surroundings


@dataclass(frozen=True)
class SimulatedVolume:
    """A volume as a microscope would give it, and what a careful person would outline in it.

    Attributes
    ----------
    image
        (Z, Y, X), uint8 or uint16 camera counts.
    labels
        (Z, Y, X) uint32, the apparent extent of each visible nucleus.
    spacing_um_zyx
        Voxel size.
    diameter_voxels
        Typical nucleus diameter in lateral voxels.
    preset
        Kind of specimen.
    """

    image: npt.NDArray[np.unsignedinteger]
    labels: npt.NDArray[np.uint32]
    spacing_um_zyx: tuple[float, float, float]
    diameter_voxels: float
    preset: str


def simulate_volume(settings: SimulationSettings, seed: int, index: int = 0) -> SimulatedVolume:
    """Simulate one volume; the same settings, seed and index give the same bytes."""
    rng = np.random.default_rng([seed, index])
    preset = _draw_preset(settings, rng)
    ranges = PRESETS.get(preset, PRESETS["tissue"])
    diameter = float(np.exp(rng.uniform(*np.log(settings.diameter_voxels))))
    extent = settings.extent_voxels_zyx or (round(settings.extent_diameters * diameter),) * 3
    optics = draw_optics(settings, ranges, diameter=diameter, rng=rng)
    camera = draw_camera(settings, rng)
    nuclei = draw_nuclei(ranges, extent, diameter=diameter, rng=rng)
    patches = [] if preset == "empty" else nucleus_patches(nuclei, extent)
    scene = _Scene(nuclei, patches, optics, camera, ranges, diameter, extent)
    image, labels = _photograph(scene, settings, rng)
    lateral_um = round(draw(settings.diameter_um, rng) / diameter, 6)
    spacing = (round(lateral_um * optics.anisotropy, 6), lateral_um, lateral_um)
    return SimulatedVolume(image, labels, spacing, diameter, preset)


def _draw_preset(settings: SimulationSettings, rng: np.random.Generator) -> str:
    empty = rng.random() < settings.empty_fraction
    choice = str(rng.choice(list(PRESETS)))
    if settings.preset != "mixed":
        return settings.preset
    return "empty" if empty else choice


@dataclass(frozen=True)
class _Scene:
    """Specimen and microscope of one volume."""

    nuclei: Nuclei
    patches: list[Patch]
    optics: Optics
    camera: Camera
    ranges: PresetRanges
    diameter: float
    extent: tuple[int, int, int]


def _photograph(
    scene: _Scene, settings: SimulationSettings, rng: np.random.Generator
) -> tuple[npt.NDArray[np.unsignedinteger], npt.NDArray[np.uint32]]:
    """Paint, blur, slice and expose the scene; label what can be seen of it."""
    patches, optics, extent = scene.patches, scene.optics, scene.extent
    claims = claim_voxels(patches, extent)
    gap = float(rng.choice([0.0, rng.uniform(0, 0.12) * scene.diameter]))
    masks = [solid_mask(patch, i, claims, gap) for i, patch in enumerate(patches)]
    light = paint(scene.nuclei, patches, masks, extent_zyx=extent, diameter=scene.diameter, rng=rng)
    around = surroundings(light, scene.ranges, diameter=scene.diameter, rng=rng)
    if not patches and rng.random() < 0.5:
        around = np.full(extent, around.mean(), np.float32)
    fall = depth_factor(extent[0], optics.attenuation, from_below=bool(rng.random() < 0.5))
    positions = slice_positions(extent[0], optics.anisotropy)
    seen = sample_slices(blur((light + around) * fall, optics), positions)
    clutter = 0.25 * float(around.std())
    noise = float(np.hypot(noise_level(scene.camera, float(np.median(seen))), clutter))
    strengths = _strengths(scene.nuclei, patches, fall, noise=noise)
    labels = _label_apparent(patches, masks, strengths, optics, settings, extent)
    image = expose(seen, scene.camera, rng)
    blacken_edge(image, labels, rng)
    return image, _drop_crumbs(labels)


def _strengths(
    nuclei: Nuclei, patches: list[Patch], fall: Floats, *, noise: float
) -> list[tuple[float, float]]:
    """Contrast over the noise of one voxel, and brightness, of each nucleus."""
    result = []
    for patch in patches:
        z = int(np.clip(round(float(nuclei.centres[patch.index][0])), 0, len(fall) - 1))
        brightness = float(nuclei.brightness[patch.index] * fall[z, 0, 0])
        result.append((brightness / noise, brightness))
    return result


def _label_apparent(
    patches: list[Patch],
    masks: list[Floats],
    strengths: list[tuple[float, float]],
    optics: Optics,
    settings: SimulationSettings,
    extent: tuple[int, int, int],
) -> npt.NDArray[np.uint32]:
    """Label each voxel with the nucleus standing out most there, above a share of its own peak."""
    positions = slice_positions(extent[0], optics.anisotropy)
    labels = np.zeros((len(positions), *extent[1:]), np.uint32)
    best = np.full(labels.shape, settings.label_level, np.float32)
    floor = 0.04 * max((brightness for _, brightness in strengths), default=0.0)
    number = 0
    for patch, mask, (contrast, brightness) in zip(patches, masks, strengths, strict=True):
        box, seen = _blurred_slices(patch, mask, optics, positions, extent)
        peak = float(seen.max(initial=0.0))
        visible = contrast * peak * np.sqrt((seen > 0.5 * peak).sum())
        if peak < 0.02 or visible < settings.label_minimum_snr or brightness * peak < floor:
            continue
        number += 1
        relative = seen / peak
        wins = relative > best[box]
        best[box][wins] = relative[wins]
        labels[box][wins] = number
    return labels


def _blurred_slices(
    patch: Patch,
    mask: Floats,
    optics: Optics,
    positions: npt.NDArray[np.float64],
    extent: tuple[int, int, int],
) -> tuple[tuple[slice, slice, slice], Floats]:
    """One nucleus alone, blurred and sliced like the image, and its box there."""
    low, high = [], []
    for part, sigma, size in zip(patch.box, optics.sigma_zyx, extent, strict=True):
        margin = int(np.ceil(2 * sigma))
        low.append(max(0, part.start - margin))
        high.append(min(size, part.stop + margin))
    room = np.zeros([b - a for a, b in zip(low, high, strict=True)], np.float32)
    inner = tuple(slice(p.start - a, p.stop - a) for p, a in zip(patch.box, low, strict=True))
    room[inner] = mask
    room = ndimage.gaussian_filter(room, optics.sigma_zyx, mode="nearest", truncate=3.0)
    first, last = np.searchsorted(positions, [low[0], high[0] - 1 + 1e-9])
    box = (slice(int(first), int(last)), slice(low[1], high[1]), slice(low[2], high[2]))
    return box, sample_slices(room, positions[first:last] - low[0])


def _drop_crumbs(labels: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Remove labels of a few voxels (slivers between neighbours, at borders); renumber."""
    sizes = np.bincount(labels.ravel())
    keep = sizes >= max(4.0, 0.08 * float(np.median(sizes[1:])) if len(sizes) > 1 else 4.0)
    keep[0] = False
    table = np.where(keep, np.cumsum(keep), 0).astype(np.uint32)
    return np.asarray(table[labels])
