"""Which threshold and seed depth a network should have by default, sought on held-out volumes.

    python -m tests.benchmarks.default_settings CARD.json DATA… --hold-out 'Emb11*' [--each 8]

DATA are folders of pairs as `cellseg train` takes them; of each the volumes are used that were
held out of its training. They are run as a user would, in their own voxels, with the size of
their objects given: on the lattice of the network the choice came out too shallow for cells that
are large in the file. Real volumes and simulated ones count alike, whatever their numbers.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile

from cellseg_app.analysis.accuracy import compare_labels
from cellseg_app.analysis.instances import segment_instances
from cellseg_app.core.settings import InstanceSettings
from cellseg_app.io.open import open_volume
from cellseg_app.training.prepare import find_pairs
from tests.benchmarks.accuracy import MINIMUM_VOXELS, run_network
from tests.benchmarks.judged_volumes import Judge, Spacing, of_pair, read

THRESHOLDS = (0.4, 0.45, 0.5, 0.55, 0.6, 0.7)
SEED_DEPTHS = (0.05, 0.1, 0.15, 0.2, 0.3)
Scores = dict[tuple[float, float], dict[bool, list[float]]]


def held_out(
    folders: list[Path], patterns: list[str], most: int, spacing: Spacing
) -> Iterator[Judge]:
    """At most so many held-out pairs of each folder, but for those without objects."""
    for folder in folders:
        pairs = [p for p in find_pairs(folder) if any(fnmatch(p.name, each) for each in patterns)]
        for pair in pairs[:most]:
            if read(pair.labels).any():
                stated = open_volume(pair.image).spacing_um_zyx
                yield of_pair(pair.image, stated or spacing, "")


def add_scores(card: Path, judge: Judge, scores: Scores) -> None:
    """Run a volume once and part its map with every choice."""
    assert judge.labels is not None
    truth = read(judge.labels)
    with tempfile.TemporaryDirectory() as out:
        run_network(judge.image, judge, str(card), Path(out))
        (path,) = [p for p in Path(out).glob("*_pred1.tif") if not p.name.startswith("Instance")]
        probability = tifffile.imread(path)
    for threshold, depth in itertools.product(THRESHOLDS, SEED_DEPTHS):
        kinds = scores.setdefault((threshold, depth), {True: [], False: []})
        simulated = judge.name.startswith("simulated")
        choice = (threshold, depth)
        kinds[simulated].append(quality(probability, truth, judge.voxel_size, choice))


def quality(
    probability: npt.NDArray[np.float16],
    truth: npt.NDArray[np.integer],
    step: Spacing,
    choice: tuple[float, float],
) -> float:
    """Mean of F1 at IoU 0.5 and at 0.7."""
    labels = np.zeros(probability.shape, np.uint32)
    segment_instances(
        probability,
        labels,
        spacing_um_zyx=step,
        threshold=choice[0],
        options=InstanceSettings(seed_depth=choice[1]),
    )
    result = compare_labels(labels, truth, min_voxels=MINIMUM_VOXELS)
    return float(np.mean([match.f1 for match in result.matches[:2]]))


def main() -> None:
    """Print the table, best first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("card", type=Path)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--hold-out", nargs="+", default=["Emb11*", "simulated_0000?"])
    parser.add_argument("--voxel-size", nargs=3, type=float, default=[1.75, 0.8, 0.8])
    parser.add_argument("--each", type=int, default=8, help="volumes of a folder at most")
    arguments = parser.parse_args()
    z, y, x = arguments.voxel_size
    scores: Scores = {}
    for judge in held_out(arguments.data, arguments.hold_out, arguments.each, (z, y, x)):
        add_scores(arguments.card, judge, scores)
    rows = [
        (float(np.mean(kinds[False])), float(np.mean(kinds[True])), *choice)
        for choice, kinds in scores.items()
    ]
    print("real   simulated  mean   threshold  seed depth")
    for real, simulated, threshold, depth in sorted(rows, key=lambda row: -row[0] - row[1]):
        mean = (real + simulated) / 2
        print(f"{real:.3f}  {simulated:.3f}      {mean:.3f}  {threshold:.2f}       {depth:.2f}")


if __name__ == "__main__":
    main()
