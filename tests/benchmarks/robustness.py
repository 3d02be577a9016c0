"""What must not change what a network finds, and what it must not find; see `accuracy.py`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cellseg_app.inference.resample import resample
from cellseg_app.training.simulator import SimulationSettings, simulate_volume
from cellseg_app.training.simulator.stream import write_volume
from tests.benchmarks.accuracy import quietly
from tests.benchmarks.judged_volumes import HELD_OUT_SEED, read

Image = npt.NDArray[Any]
Spacing = tuple[float, float, float]
_SCENES = 4
_DIAMETER_VOXELS = 12.0
_TOLERANCE = 0.05


@dataclass(frozen=True)
class Trial:
    """One changed image; `factor` is its cell size over the plain one's."""

    name: str
    image: Image
    factor: float = 1.0


def scenes() -> Iterator[tuple[Image, Spacing]]:
    """Simulated volumes of well resolved nuclei, 16 bits with room above."""
    settings = SimulationSettings(
        diameter_voxels=(_DIAMETER_VOXELS, _DIAMETER_VOXELS),
        extent_diameters=7.0,
        anisotropy=(1.0, 3.0),
        photons=(50.0, 500.0),
        empty_fraction=0.0,
    )
    for index in range(_SCENES):
        volume = simulate_volume(settings, HELD_OUT_SEED, 100 + index)
        z, y, x = volume.spacing_um_zyx
        counts = volume.image.astype(np.float64)
        low, high = counts.min(), np.quantile(counts, 0.999)
        yield 100 + 3000 * np.clip((counts - low) / (high - low), 0, 2), (z, y, x)


def changed(image: Image) -> Iterator[Trial]:
    """The same scene as other microscopes would show it."""
    yield Trial("plain", image)
    yield Trial("ten times brighter", 10 * image)
    yield Trial("offset of 20,000", image + 20_000)
    for name, factor in (("half the size", 0.5), ("double the size", 2.0)):
        z, y, x = (max(4, round(factor * size)) for size in image.shape)
        yield Trial(name, resample(image.astype(np.float32), (z, y, x)), factor)


def empty(shape: tuple[int, int, int] = (64, 96, 96)) -> Iterator[Trial]:
    """Volumes without any cell."""
    rng = np.random.default_rng(HELD_OUT_SEED)
    ramp = 300 * np.linspace(0, 1, shape[2]) * np.ones(shape)
    yield Trial("white noise", rng.normal(500, 20, shape))
    yield Trial("shot noise of few photons", 20.0 * rng.poisson(4.0, shape))
    yield Trial(
        "noise blurred by 1 voxel",
        500 + 100 * ndimage.gaussian_filter(rng.normal(0, 1, shape), 1.0),
    )
    yield Trial("flat", np.full(shape, 500.0))
    yield Trial("gradient with noise", 300 + ramp + rng.normal(0, 10, shape))
    settings = SimulationSettings(preset="empty", extent_voxels_zyx=shape)
    for index in range(4):
        image = simulate_volume(settings, HELD_OUT_SEED, index).image
        yield Trial(f"simulated, empty, {index}", image)


def count(image: Image, spacing: Spacing, diameter_px: float, network: str) -> int:
    """Number of cells."""
    with tempfile.TemporaryDirectory() as scratch:
        path, out = Path(scratch) / "scene.tif", Path(scratch) / "out"
        counts = np.rint(np.asarray(image, np.float64))
        write_volume(path, np.clip(counts, 0, 65535).astype(np.uint16), spacing)
        command = ["run", str(path), "-o", str(out), "--weights", network, "--no-stats"]
        quietly([*command, "--diameter", f"{diameter_px}px", "--no-probability"])
        labels = read(next(out.glob("Instance_seg*.tif")))
    return len(np.unique(labels)) - 1


def print_robustness(networks: Sequence[str]) -> bool:
    """Print what each network finds in changed and in empty volumes; return whether all is well."""
    well = True
    for network in networks:
        for name, plain, found, ok in (*_stability(network), *_emptiness(network)):
            well &= ok
            verdict = "as it must" if ok else "NOT as it must"
            print(
                f"{Path(network).stem:<12} {name:<28} {plain:>6} {found:>6}  {verdict}", flush=True
            )
    return well


def _stability(network: str) -> Iterator[tuple[str, int, int, bool]]:
    totals: dict[str, list[int]] = {}
    for image, spacing in scenes():
        for trial in changed(image):
            voxel = tuple(step / trial.factor for step in spacing)
            found = count(
                trial.image,
                (voxel[0], voxel[1], voxel[2]),
                _DIAMETER_VOXELS * trial.factor,
                network,
            )
            totals.setdefault(trial.name, []).append(found)
    plain = sum(totals.pop("plain"))
    for name, counts in totals.items():
        found = sum(counts)
        # Another size is another lattice; another brightness must give the very same cells.
        allowed = _TOLERANCE * plain if "size" in name else 0.005 * plain
        yield name, plain, found, abs(found - plain) <= allowed


def _emptiness(network: str) -> Iterator[tuple[str, int, int, bool]]:
    for trial in empty():
        found = count(trial.image, (1.0, 1.0, 1.0), _DIAMETER_VOXELS, network)
        yield trial.name, 0, found, found == 0
