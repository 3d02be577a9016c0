"""Where the nuclei sit and what shape each one has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from cellseg_app.training.simulator.settings import PresetRanges, RegionKind, Span

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Nuclei:
    """Every nucleus of a volume, as columns; lengths in lateral voxels, axes ZYX.

    Attributes
    ----------
    centres, half_axes
        (n, 3).
    axes
        (n, 3, 3), the rows of each matrix are the unit vectors of the half-axes.
    bumps, bump_axes
        (n, 4) strengths and (n, 4, 3) directions of the smooth deformation.
    bend
        (n,) curvature of the longest axis (bean shapes).
    brightness, texture, rim, nucleoli
        (n,) typical intensity, chromatin contrast, rim (> 0) or dome (< 0), count of dark holes.
    """

    centres: Floats
    half_axes: Floats
    axes: Floats
    bumps: Floats
    bump_axes: Floats
    bend: Floats
    brightness: Floats
    texture: Floats
    rim: Floats
    nucleoli: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.centres)


def draw(span: Span, rng: np.random.Generator) -> float:
    """Draw uniformly from a span."""
    return float(rng.uniform(span[0], span[1]))


def draw_nuclei(
    ranges: PresetRanges,
    extent_zyx: tuple[int, int, int],
    *,
    diameter: float,
    rng: np.random.Generator,
) -> Nuclei:
    """Place nuclei and give each a shape.

    Parameters
    ----------
    ranges
        Ranges of the preset.
    extent_zyx
        Size of the field in lateral voxels.
    diameter
        Typical diameter in lateral voxels.
    rng
        Source of chance.
    """
    region = ranges.regions[int(rng.integers(len(ranges.regions)))]
    points = _points_in_region(region, ranges, np.array(extent_zyx, float), diameter, rng)
    sizes = np.exp(rng.normal(0.0, draw(ranges.size_spread, rng), len(points)))
    radii = 0.5 * diameter * np.clip(sizes, 0.45, 1.9)
    points = _push_apart(points, radii, draw(ranges.contact, rng), flat=region == "layer")
    inside = ((points > -radii[:, None]) & (points < np.array(extent_zyx) + radii[:, None])).all(1)
    return _shapes(points[inside], radii[inside], ranges, rng)


def _points_in_region(
    region: RegionKind,
    ranges: PresetRanges,
    extent: npt.NDArray[np.float64],
    diameter: float,
    rng: np.random.Generator,
) -> npt.NDArray[np.float64]:
    """Random centres; their number follows from the inhabited space and the wanted fill."""
    low, high = -0.5 * diameter * np.ones(3), extent + 0.5 * diameter
    log_fill = rng.uniform(np.log(ranges.fill[0]), np.log(ranges.fill[1]))
    nucleus_volume = np.pi / 6 * diameter**3
    wanted = min(float(np.exp(log_fill)) * float(np.prod(high - low)) / nucleus_volume, 4000.0)
    candidates = rng.uniform(low, high, (max(2, int(wanted)), 3))
    centre = extent * rng.uniform(0.3, 0.7, 3)
    if region == "half":
        normal = rng.normal(size=3)
        normal /= np.linalg.norm(normal)
        wave = 0.6 * diameter * np.sin(candidates[:, 2] / diameter + rng.uniform(0, 6))
        return np.asarray(candidates[(candidates - centre) @ normal + wave > 0])
    if region in ("ball", "shell"):
        half = extent * rng.uniform(0.3, 0.65, 3)
        distance = np.linalg.norm((candidates - centre) / half, axis=1)
        inner = 1 - 1.2 * diameter / float(half.mean()) if region == "shell" else 0.0
        return np.asarray(candidates[(distance < 1) & (distance > inner)])
    if region == "layer":
        thickness = diameter * rng.uniform(0.1, 0.8)
        tilt = rng.normal(0, 0.08, 2)
        share = min(1.0, 3 * diameter / float(extent[0]))
        candidates = candidates[: max(2, int(len(candidates) * share))]
        lateral = candidates[:, 1:] - centre[1:]
        candidates[:, 0] = centre[0] + lateral @ tilt + rng.normal(0, thickness, len(candidates))
        return candidates
    if region == "clusters":
        parents = rng.uniform(low, high, (max(1, len(candidates) // int(rng.integers(3, 25))), 3))
        spread = diameter * rng.uniform(0.6, 2.0)
        chosen = parents[rng.integers(len(parents), size=len(candidates))]
        return np.asarray(chosen + rng.normal(0, spread, chosen.shape))
    return candidates


def _push_apart(
    points: npt.NDArray[np.float64],
    radii: npt.NDArray[np.float64],
    contact: float,
    *,
    flat: bool,
    rounds: int = 25,
) -> npt.NDArray[np.float64]:
    """Relax overlapping neighbours until they just touch (crowds stay crowded)."""
    points = points.copy()
    if len(points) < 2:
        return points
    for _ in range(rounds):
        pairs = cKDTree(points).query_pairs(2 * contact * float(radii.max()), output_type="ndarray")
        offset = points[pairs[:, 0]] - points[pairs[:, 1]]
        gap = np.linalg.norm(offset, axis=1) + 1e-6
        overlap = contact * (radii[pairs[:, 0]] + radii[pairs[:, 1]]) - gap
        touching = overlap > 0
        if not touching.any():
            break
        step = (0.4 * overlap[touching] / gap[touching])[:, None] * offset[touching]
        if flat:
            step[:, 0] *= 0.15
        np.add.at(points, pairs[touching, 0], step)
        np.add.at(points, pairs[touching, 1], -step)
    return points


def _shapes(
    centres: npt.NDArray[np.float64],
    radii: npt.NDArray[np.float64],
    ranges: PresetRanges,
    rng: np.random.Generator,
) -> Nuclei:
    """Half-axes, orientation, bumps, brightness and texture of every nucleus."""
    count = len(centres)
    rotation = Rotation.random(count, rng) if count else None
    axes: npt.NDArray[np.float64] = np.zeros((0, 3, 3))
    if rotation is not None:
        axes = rotation.as_matrix()
    if ranges.flat_in_z and count:
        angles = np.c_[rng.normal(0, 0.15, (count, 2)), rng.uniform(0, 2 * np.pi, count)]
        axes = Rotation.from_euler("zyx", angles).as_matrix()
    long = 1 + rng.uniform(0, ranges.elongation[1] - 1, count) * rng.random(count)
    flat = draw(ranges.flatness, rng) * np.exp(rng.normal(0, 0.08, count))
    half: npt.NDArray[np.float64] = np.stack([1 / flat, np.ones(count), long], axis=1)
    mitotic = rng.random(count) < draw(ranges.mitotic_share, rng)
    half[mitotic] = np.stack(
        [rng.uniform(0.35, 0.6, count), rng.uniform(0.8, 1.1, count), rng.uniform(0.9, 1.4, count)],
        axis=1,
    )[mitotic]
    half /= np.cbrt(half.prod(axis=1, keepdims=True))
    half[mitotic] *= 0.8
    bright = np.exp(rng.normal(0, draw(ranges.brightness_spread, rng), count))
    bright[mitotic] *= rng.uniform(1.3, 2.5, int(mitotic.sum()))
    directions = rng.normal(size=(count, 4, 3))
    directions /= np.linalg.norm(directions, axis=2, keepdims=True) + 1e-9
    bean = (rng.random(count) < 0.2) * rng.uniform(-0.35, 0.35, count)
    rim = float(rng.choice([0.0, 0.0, -0.6, 0.8])) * rng.uniform(0.3, 1.3, count)
    values = {
        "centres": centres,
        "half_axes": half * radii[:, None],
        "axes": axes,
        "bumps": rng.normal(0, draw(ranges.deformation, rng) / 2 + 1e-6, (count, 4)),
        "bump_axes": directions,
        "bend": bean,
        "brightness": np.clip(bright, 0.15, 5.0),
        "texture": draw(ranges.texture, rng) * rng.uniform(0.5, 1.5, count),
        "rim": rim,
    }
    holes = rng.integers(0, 4, count) * int(rng.random() < 0.5)
    return Nuclei(nucleoli=holes, **{key: v.astype(np.float32) for key, v in values.items()})
