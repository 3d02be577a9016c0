"""The volumes that networks are judged by: where they lie, and what a user would say of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_app.analysis.accuracy import centroids
from cellseg_app.io.open import open_volume
from cellseg_app.training.simulator import SimulationSettings, simulate_to_folder
from cellseg_app.training.targets import typical_diameter

Spacing = tuple[float, float, float]
Points = npt.NDArray[np.float64]
# Never trained on: trainings use small seeds.
HELD_OUT_SEED = 2026
HELD_OUT_COUNT = 12
_EMBRYO_SPACING: Spacing = (1.75, 0.8, 0.8)


@dataclass(frozen=True)
class Judge:
    """A labelled volume; voxel sizes in µm, or relative where the source states none.

    `group` names volumes that make one line of the table, the mean of theirs.
    """

    name: str
    image: Path
    voxel_size: Spacing
    diameter: float
    labels: Path | None = None
    points: Path | None = None
    detection_only: bool = False
    deepest_z: int | None = None
    group: str = ""


@dataclass(frozen=True)
class Look:
    """An unlabelled volume; as `Judge`. Diameters were read off the image."""

    name: str
    voxel_size: Spacing
    diameter: float


# Diameters: of the sphere as large as the median labelled nucleus; celegans and drosophila, whose
# sources state no voxel size, in lateral voxels.
_REAL: tuple[tuple[str, Spacing, float], ...] = (
    ("bbbc050_test_Emb1_t451", (2.0, 0.8, 0.8), 14.9),
    ("gonuclear_ovule_1135", (0.2837, 0.1268, 0.1268), 3.15),
    ("organoid_R0_obj36", (0.6, 0.216, 0.216), 9.2),
    ("drosophila_simview_t0", (5.0, 1.0, 1.0), 15.5),
    ("celegans_emb01_t104", (4.0, 1.0, 1.0), 16.0),
)
_DETECTION_ONLY = ("drosophila_simview_t0", "celegans_emb01_t104")
_DEEPEST_Z = {"drosophila_simview_t0": 17}
LOOKS = (
    Look("mesospim_c5", (1.0, 1.0, 1.0), 6.0),
    Look("mesospim_very_small", (1.0, 1.0, 1.0), 6.0),
    Look("cellfinder_crop_cortex", (5.0, 2.0, 2.0), 16.0),
    Look("arabidopsis_lateralroot_lightsheet", (0.25, 0.1625, 0.1625), 6.0),
    Look("embryo_nuclei_neubias", (4.0, 0.8286, 0.8286), 11.0),
    Look("confocal_culture_Series006", (0.5, 0.24, 0.24), 8.0),
)


def read(path: Path) -> npt.NDArray[Any]:
    """A whole volume, (Z, Y, X)."""
    return np.asarray(open_volume(path).data[slice(None), slice(None), slice(None)])


def real_judges(data: Path) -> list[Judge]:
    """The volumes with the role *judge*."""
    judges = []
    for name, voxel_size, diameter in _REAL:
        points = data / name / "points.csv"
        judges.append(
            Judge(
                name,
                data / name / "image.tif",
                voxel_size,
                diameter,
                labels=None if name == "celegans_emb01_t104" else data / name / "labels.tif",
                points=points if points.exists() else None,
                detection_only=name in _DETECTION_ONLY,
                deepest_z=_DEEPEST_Z.get(name),
            )
        )
    return judges


def held_out_embryo(data: Path) -> list[Judge]:
    """The four frames of the embryo that bundled networks are never trained on."""
    images = sorted((data / "bbbc050_train").glob("Emb11_*_image.tif"))
    return [of_pair(path, _EMBRYO_SPACING, "embryo Emb11, held out") for path in images]


def held_out_simulations(folder: Path) -> list[Judge]:
    """Simulated volumes of a seed nobody trains on, written to a folder."""
    settings = SimulationSettings(empty_fraction=0.0)
    images = simulate_to_folder(settings, folder, count=HELD_OUT_COUNT, seed=HELD_OUT_SEED)
    judges = []
    for path in images:
        spacing = open_volume(path).spacing_um_zyx
        if spacing is not None and read(_labels_of(path)).any():
            judges.append(of_pair(path, spacing, f"simulated, seed {HELD_OUT_SEED}"))
    return judges


def true_points(judge: Judge) -> Points:
    """Centres (N, 3) z, y, x in voxels."""
    if judge.points is not None:
        return np.loadtxt(judge.points, delimiter=",", skiprows=1)[:, :3]
    if judge.labels is None:
        raise ValueError(f"{judge.name} has neither points nor labels")
    return shallow(centroids(read(judge.labels)), judge)


def shallow(points: Points, judge: Judge) -> Points:
    """Points above the depth to which the truth can be trusted."""
    return points if judge.deepest_z is None else points[points[:, 0] < judge.deepest_z]


def _labels_of(image: Path) -> Path:
    return image.with_name(image.name.replace("_image.tif", "_labels.tif"))


def of_pair(image: Path, spacing: Spacing, group: str) -> Judge:
    """An image whose labels lie beside it; raises ValueError if they are empty."""
    labels = _labels_of(image)
    diameter = typical_diameter(read(labels), spacing)
    if diameter is None:
        raise ValueError(f"{labels} is empty")
    name = image.name.removesuffix("_image.tif")
    return Judge(name, image, spacing, round(diameter, 3), labels=labels, group=group)
