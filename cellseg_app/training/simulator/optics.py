"""The microscope: point-spread, optical sectioning, depth, camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cellseg_app.training.simulator.cells import Floats, draw
from cellseg_app.training.simulator.settings import PresetRanges, SimulationSettings


@dataclass(frozen=True)
class Optics:
    """Point-spread and sampling; lengths in lateral voxels."""

    sigma_lateral: float
    sigma_axial: float
    tail_share: float
    anisotropy: float
    attenuation: float

    @property
    def sigma_zyx(self) -> tuple[float, float, float]:
        """Gaussian core of the point-spread function."""
        return (self.sigma_axial, self.sigma_lateral, self.sigma_lateral)


def draw_optics(
    settings: SimulationSettings,
    ranges: PresetRanges,
    *,
    diameter: float,
    rng: np.random.Generator,
) -> Optics:
    """Draw a microscope; slices are seldom much thinner than the axial blur allows."""
    low = max(settings.anisotropy[0], min(ranges.anisotropy[0], settings.anisotropy[1]))
    high = max(low, min(settings.anisotropy[1], ranges.anisotropy[1]))
    # Fewer than three slices a nucleus cannot be told apart even by eye.
    anisotropy = min(draw((low, high), rng), max(low, diameter / 2.5))
    lateral = max(0.45, draw(ranges.psf_lateral, rng) * diameter)
    axial = min(max(lateral * draw(ranges.psf_axial_ratio, rng), 0.3 * anisotropy), 0.6 * diameter)
    return Optics(
        sigma_lateral=lateral,
        sigma_axial=axial,
        tail_share=float(rng.choice([0.0, rng.uniform(0.05, 0.4)])),
        anisotropy=anisotropy,
        attenuation=draw(ranges.attenuation, rng) * float(rng.random() < 0.6),
    )


def slice_positions(extent_z: int, anisotropy: float) -> npt.NDArray[np.float64]:
    """Fine-grid z of each slice: slice k spans k*a to (k+1)*a and lies at that span's middle."""
    count = max(1, int(extent_z / anisotropy + 1e-6))
    return np.asarray((np.arange(count) + 0.5) * anisotropy - 0.5, dtype=np.float64)


def sample_slices(fine: Floats, positions: npt.NDArray[np.float64]) -> Floats:
    """Linear interpolation of a fine volume at z positions (clamped to its ends)."""
    clamped = np.clip(positions, 0, len(fine) - 1)
    low = np.floor(clamped).astype(int)
    high = np.minimum(low + 1, len(fine) - 1)
    share = (clamped - low).astype(np.float32)[:, None, None]
    return np.asarray(fine[low] * (1 - share) + fine[high] * share, dtype=np.float32)


def blur(fine: Floats, optics: Optics) -> Floats:
    """Blur with the core and, weaker and wider, the out-of-focus tail."""
    core = ndimage.gaussian_filter(fine, optics.sigma_zyx, mode="nearest", truncate=3.0)
    if not optics.tail_share:
        return np.asarray(core, dtype=np.float32)
    small = core[::2, ::2, ::2]
    wide = [1.2 * optics.sigma_axial, 1.2 * optics.sigma_lateral, 1.2 * optics.sigma_lateral]
    tail = ndimage.gaussian_filter(small, wide, mode="nearest", truncate=3.0)
    tail = enlarge(tail, fine.shape)
    return np.asarray((1 - optics.tail_share) * core + optics.tail_share * tail, dtype=np.float32)


def enlarge(small: npt.NDArray[np.float32], shape: tuple[int, ...]) -> Floats:
    """Linear interpolation to a shape, voxel centres aligned."""
    result = small
    for axis, size in enumerate(shape):
        where = (np.arange(size) + 0.5) * small.shape[axis] / size - 0.5
        where = np.clip(where, 0, small.shape[axis] - 1)
        low = np.floor(where).astype(int)
        high = np.minimum(low + 1, small.shape[axis] - 1)
        form = [1, 1, 1]
        form[axis] = size
        share = (where - low).astype(np.float32).reshape(form)
        result = result.take(low, axis) * (1 - share) + result.take(high, axis) * share
    return result


def depth_factor(extent_z: int, attenuation: float, *, from_below: bool) -> Floats:
    """Light left at each fine z, falling off exponentially with depth."""
    depth = np.linspace(0, 1, extent_z)
    fall = np.exp(-2 * attenuation * (depth[::-1] if from_below else depth))
    return np.asarray(fall[:, None, None], dtype=np.float32)


@dataclass(frozen=True)
class Camera:
    """Detector; levels in units of a typical nucleus unless said otherwise."""

    photons: float
    read_noise: float
    peak_counts: float
    offset_counts: float
    bits: int
    smooth_voxels: float


def draw_camera(settings: SimulationSettings, rng: np.random.Generator) -> Camera:
    """Draw a detector: photon count, read noise, offset, bit depth."""
    photons = float(np.exp(rng.uniform(*np.log(settings.photons))))
    bits = int(rng.choice([8, 12, 16]))
    top = float(2**bits - 1)
    share = float(np.exp(rng.uniform(np.log(0.25), np.log(1.3)))) if bits == 8 else 0.0
    counts = share * top or float(np.exp(rng.uniform(np.log(150), np.log(0.8 * top))))
    return Camera(
        photons=photons,
        read_noise=float(rng.choice([0.0, rng.uniform(0.0, 0.25)])) * min(1.0, 50 / photons),
        peak_counts=counts,
        offset_counts=float(rng.choice([0.0, rng.uniform(-0.02, 0.06) * top])),
        bits=bits,
        smooth_voxels=float(rng.choice([0.0, 0.0, rng.uniform(0.35, 0.9)])),
    )


def noise_level(camera: Camera, level: float) -> float:
    """Standard deviation of one voxel at a light level, both in units of a typical nucleus."""
    return float(np.sqrt(max(level, 1e-4) / camera.photons + camera.read_noise**2))


def expose(
    light: Floats, camera: Camera, rng: np.random.Generator
) -> npt.NDArray[np.unsignedinteger]:
    """Camera counts of a light distribution, with the faults real detectors have."""
    light = light * _uneven_gain(light.shape, rng)
    if camera.bits == 8:
        light_scale = camera.peak_counts / max(1e-6, float(np.quantile(light, 0.995)))
    else:
        light_scale = min(camera.peak_counts, 2.0**camera.bits / float(np.quantile(light, 0.97)))
    seen = rng.poisson(np.maximum(light, 0) * camera.photons).astype(np.float32) / camera.photons
    if camera.read_noise:
        noise = rng.standard_normal(light.shape, dtype=np.float32)
        seen += np.float32(camera.read_noise) * noise
    if camera.smooth_voxels:
        sigma = camera.smooth_voxels * np.array([float(rng.random() < 0.5), 1.0, 1.0])
        seen = ndimage.gaussian_filter(seen, sigma)
    counts = camera.offset_counts + light_scale * seen
    _spoil_pixels(counts, rng)
    top = 2**camera.bits - 1
    kind = np.uint8 if camera.bits == 8 else np.uint16
    return np.asarray(np.clip(np.rint(counts), 0, top), dtype=kind)


def _uneven_gain(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Stripes, slice-to-slice flicker and fixed-pattern gain, each in some volumes only."""
    gain = np.ones((1, 1, 1), np.float32)
    faults = (
        ((1, shape[1], 1), 0.15, 0.12),
        ((shape[0], shape[1], 1), 0.1, 0.08),
        ((shape[0], 1, 1), 0.2, 0.12),
        ((1, shape[1], shape[2]), 0.15, 0.15),
    )
    for form, chance, strength in faults:
        if rng.random() < chance:
            amount = rng.uniform(0.2, 1.0) * strength
            gain = gain * (1 + amount * rng.standard_normal(form, dtype=np.float32))
    return np.maximum(gain, 0.1)


def _spoil_pixels(counts: Floats, rng: np.random.Generator) -> None:
    """Hot and dead pixels, in place."""
    if rng.random() < 0.2:
        bad = rng.random(counts.shape[1:]) < 10 ** rng.uniform(-4.5, -2.7)
        counts[:, bad] = counts.max() * rng.uniform(0, 1.2)
    if rng.random() < 0.15:
        spots = rng.random(counts.shape) < 10 ** rng.uniform(-5, -3.5)
        counts[spots] = counts.max() * rng.uniform(0.8, 2.0)


def blacken_edge(
    image: npt.NDArray[np.unsignedinteger],
    labels: npt.NDArray[np.uint32],
    rng: np.random.Generator,
) -> None:
    """Black out one side of some volumes, as registration leaves it, in image and labels."""
    if rng.random() < 0.06:
        axis = int(rng.integers(3))
        width = max(1, int(image.shape[axis] * rng.uniform(0.05, 0.35)))
        side = slice(None, width) if rng.random() < 0.5 else slice(-width, None)
        image[(slice(None),) * axis + (side,)] = 0
        labels[(slice(None),) * axis + (side,)] = 0
