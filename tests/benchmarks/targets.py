"""What a network should be taught: a centre-peaked map or a plain foreground; same net, same data.

A narrow SegResNet learns each from the same simulated volumes, the same patches and as many steps;
held-out volumes are then parted with `cell-peaks`, which goes by the map where it rises towards
the centres and by the distance to the background where it is flat. Each target gets the best of
several thresholds. Run from the checkout, after `cellseg train simulate --count 220 -o DATA`:

python -m tests.benchmarks.targets DATA WORKSPACE

Measured with 700 steps on 2026-11-26, F1 at IoU 0.5 and 0.7: centre-peaked 0.41 and 0.21, plain
foreground 0.51 and 0.28. One seed and a short training. Trained on for 1,600 steps with either,
same data, same seed, the bundled TRAILMAP_MS came out alike: mean F1 at 0.5 and 0.7 of held-out
volumes 0.64 centre-peaked (which ships) and 0.65 plain, 0.61 before. SwinUNetR went from 0.57 to
0.63 with the plain target (1,200 steps), but found objects in noise, so that it does not ship.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import numpy as np

from cellseg_app.analysis.accuracy import compare_labels
from cellseg_app.analysis.instances import segment_instances
from cellseg_app.inference.nets import build_network
from cellseg_app.training.evaluation import Predict, predictor
from cellseg_app.training.prepare import Lattice, find_pairs, prepare_samples
from cellseg_app.training.requests import TargetKind
from cellseg_app.training.samples import list_samples, read_sample
from cellseg_app.training.settings import SampleFolder, TrainingSettings
from cellseg_app.training.trainer import train_supervised

_HELD_OUT: Final = 20
_LEARNED: Final = 200
_SMALLEST: Final = 30
_OPTIONS: Final = {"init_filters": 8, "vae": False, "dropout": 0.0}
_THRESHOLDS: Final = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_TARGETS: Final[tuple[TargetKind, ...]] = ("centre_peaked", "foreground")


def main() -> None:
    """Train with both targets and print what each finds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    _prepare(arguments.data, arguments.workspace)
    print(f"{arguments.steps} steps; F1 at IoU 0.5 | 0.7, best threshold")
    for target in _TARGETS:
        predict = _trained(arguments.workspace, target, arguments.steps, arguments.threads)
        threshold, at_half, at_seven = max(
            (_judged(predict, arguments.workspace, threshold) for threshold in _THRESHOLDS),
            key=lambda row: row[1] + row[2],
        )
        print(f"{target:14s} {at_half:.3f} | {at_seven:.3f}   at {threshold}", flush=True)


def _prepare(data: Path, workspace: Path) -> None:
    """Make the same samples with every target."""
    pairs = find_pairs(data)
    lattice = Lattice(11.0)
    for name, chosen in (
        ("validation", pairs[:_HELD_OUT]),
        ("learn", pairs[_HELD_OUT : _HELD_OUT + _LEARNED]),
    ):
        for target in _TARGETS:
            prepare_samples(chosen, workspace / target / name, lattice, target=target)


def _trained(workspace: Path, target: TargetKind, steps: int, threads: int | None) -> Predict:
    settings = TrainingSettings(
        architecture="SegResNet",
        options=dict(_OPTIONS),
        data=(SampleFolder(path=workspace / target / "learn"),),
        validation=(workspace / target / "validation",),
        steps=steps,
        patch_voxels=48,
        batch=2,
        learning_rate=2e-3,
        validate_every_steps=max(1, steps // 4),
        seed=1,
        threads=threads,
        target=target,
        # The F1 of training parts every map at its peaks, which would be unfair to a flat one.
        judge_by="dice",
    )
    result = train_supervised(settings, workspace / target / "run")
    network = build_network("SegResNet", dict(_OPTIONS)).eval()
    network.load_state_dict(result.weights)
    return predictor(network, activation="sigmoid", fast=False)


def _judged(predict: Predict, workspace: Path, threshold: float) -> tuple[float, float, float]:
    """Threshold, and mean F1 over the held-out volumes at both overlaps."""
    rows = []
    for path in list_samples([workspace / _TARGETS[0] / "validation"]):
        sample = read_sample(path)
        found = np.empty(sample.labels.shape, np.uint32)
        segment_instances(predict(sample), found, method="cell-peaks", threshold=threshold)
        if sample.labels.any():
            matches = compare_labels(found, sample.labels, min_voxels=_SMALLEST).matches
            rows.append([match.f1 for match in matches])
    at_half, at_seven = np.mean(rows, axis=0)
    return threshold, float(at_half), float(at_seven)


if __name__ == "__main__":
    main()
