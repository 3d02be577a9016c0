"""How well the bundled networks do on real volumes nobody trained or tuned them on.

    python tests/benchmarks/accuracy.py ../shared/data [--networks SegResNet WNet] [--out FOLDER]

One default setting per network, only the cell diameter and the voxel size given; beside it
Voronoi-Otsu and watershed on the raw image, their parameters tuned on that very volume.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_app.analysis.accuracy import centroids, compare_labels, detection_scores
from cellseg_app.analysis.instances import segment_instances
from cellseg_app.cli import main as cellseg
from cellseg_app.core.settings import InstanceSettings
from cellseg_app.io.open import open_volume

Labels = npt.NDArray[np.integer[Any]]
MINIMUM_VOXELS = 50


@dataclass(frozen=True)
class Judge:
    """A labelled volume; voxel sizes in µm, or relative where the source states none."""

    folder: str
    voxel_size: tuple[float, float, float]
    diameter: float
    detection_only: bool = False
    deepest_z: int | None = None


# Diameters: of the sphere as large as the median labelled nucleus; celegans and drosophila, whose
# sources state no voxel size, in lateral voxels.
JUDGES = (
    Judge("bbbc050_test_Emb1_t451", (2.0, 0.8, 0.8), 14.9),
    Judge("gonuclear_ovule_1135", (0.2837, 0.1268, 0.1268), 3.15),
    Judge("organoid_R0_obj36", (0.6, 0.216, 0.216), 9.2),
    Judge("drosophila_simview_t0", (5.0, 1.0, 1.0), 15.5, detection_only=True, deepest_z=17),
    Judge("celegans_emb01_t104", (4.0, 1.0, 1.0), 16.0, detection_only=True),
)


def read(path: Path) -> npt.NDArray[Any]:
    """A whole volume, (Z, Y, X)."""
    return np.asarray(open_volume(path).data[slice(None), slice(None), slice(None)])


def true_points(folder: Path, judge: Judge) -> npt.NDArray[np.float64]:
    """Centres (N, 3) z, y, x in voxels."""
    if (folder / "points.csv").exists():
        return np.loadtxt(folder / "points.csv", delimiter=",", skiprows=1)[:, :3]
    return shallow(centroids(read(folder / "labels.tif")), judge)


def shallow(points: npt.NDArray[np.float64], judge: Judge) -> npt.NDArray[np.float64]:
    """Points above the depth to which the truth can be trusted."""
    return points if judge.deepest_z is None else points[points[:, 0] < judge.deepest_z]


def run_network(image: Path, judge: Judge, network: str, out: Path) -> Labels:
    """Labels of `cellseg run` with the network's defaults."""
    command = ["run", str(image), "-o", str(out), "--model", network]
    command += ["--diameter", f"{judge.diameter}um", "--no-stats", "--voxel-size"]
    if cellseg([*command, *(str(v) for v in judge.voxel_size)]) != 0:
        raise RuntimeError(f"{network} failed on {image}")
    return read(next(out.glob("Instance_seg*.tif")))


def classical(image: npt.NDArray[Any]) -> Iterator[tuple[str, Labels]]:
    """Voronoi-Otsu and watershed on the raw image with every parameter of a grid."""
    low, high = np.quantile(image, [0.01, 0.998])
    scaled = np.clip((image - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)
    for spot, outline in itertools.product((0.65, 1, 2, 3, 4, 6, 8), (0.65, 1, 2)):
        options = InstanceSettings(spot_sigma=spot, outline_sigma=outline, min_size_voxels=50)
        yield "voronoi-otsu", _segment(scaled, "voronoi-otsu", options, None)
    for threshold, seed in itertools.product((0.1, 0.2, 0.3, 0.4, 0.5), (0.3, 0.5, 0.7, 0.9)):
        if seed > threshold:
            options = InstanceSettings(seed_threshold=seed, min_seed_voxels=3, min_size_voxels=50)
            yield "watershed", _segment(scaled, "watershed", options, threshold)


def _segment(
    scaled: npt.NDArray[np.float32],
    method: str,
    options: InstanceSettings,
    threshold: float | None,
) -> Labels:
    labels = np.zeros(scaled.shape, np.uint32)
    segment_instances(scaled, labels, method=method, threshold=threshold, options=options)
    return labels


def score(found: Labels, folder: Path, judge: Judge) -> dict[str, float]:
    """F1 at IoU 0.5 and 0.7, AP, Dice, and detection F1."""
    sizes = np.bincount(found.ravel())
    found = np.where(sizes[found] >= MINIMUM_VOXELS, found, 0)
    row: dict[str, float] = {"count": float(len(np.unique(found)) - 1)}
    # A centre counts within half a diameter; in µm where known, else in lateral voxels.
    match = detection_scores(
        shallow(centroids(found), judge),
        true_points(folder, judge),
        tolerance=judge.diameter / 2,
        spacing_um_zyx=judge.voxel_size,
    )
    row["detection_f1"] = match.f1
    if not judge.detection_only:
        result = compare_labels(found, read(folder / "labels.tif"), min_voxels=MINIMUM_VOXELS)
        row |= {k: float(v) for k, v in result.as_dict().items() if k[:2] in {"f1", "ap", "di"}}
    return row


def judge_networks(judge: Judge, data: Path, networks: list[str]) -> Iterator[dict[str, Any]]:
    """One row per network."""
    folder = data / judge.folder
    for network in networks:
        with tempfile.TemporaryDirectory() as out:
            labels = run_network(folder / "image.tif", judge, network, Path(out))
        yield {"volume": judge.folder, "method": network, **score(labels, folder, judge)}


def judge_classical(judge: Judge, data: Path) -> Iterator[dict[str, Any]]:
    """One row per classical method, each with the parameters that do best on this volume."""
    folder = data / judge.folder
    best: dict[str, dict[str, float]] = {}
    key = "detection_f1" if judge.detection_only else "f1@0.5"
    for method, labels in classical(read(folder / "image.tif")):
        row = score(labels, folder, judge)
        if method not in best or row[key] > best[method][key]:
            best[method] = row
    for method, row in best.items():
        yield {"volume": judge.folder, "method": f"{method}, tuned here", **row}


def main() -> None:
    """Judge every volume and print, and if asked write, the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--networks", nargs="+", default=["SegResNet", "WNet"])
    parser.add_argument("--volumes", nargs="+", help="only these folders")
    parser.add_argument("--no-classical", action="store_true", help="networks only")
    parser.add_argument("--out", type=Path, help="CSV file")
    arguments = parser.parse_args()
    columns = ["volume", "method", "count", "detection_f1", "f1@0.5", "f1@0.7", "ap@0.5", "dice"]
    rows = []
    for judge in JUDGES:
        if arguments.volumes and judge.folder not in arguments.volumes:
            continue
        judged = judge_networks(judge, arguments.data, arguments.networks)
        tuned = () if arguments.no_classical else judge_classical(judge, arguments.data)
        for row in itertools.chain(judged, tuned):
            rows.append(row)
            cells = [f"{row[c]:.3f}" if c in row else "-" for c in columns[2:]]
            print(f"{row['volume']:<24} {row['method']:<26}", *(f"{c:>8}" for c in cells))
            sys.stdout.flush()
    if arguments.out:
        with arguments.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
