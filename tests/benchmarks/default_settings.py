"""Which threshold and seed depth a network should have by default, sought on held-out volumes.

    python tests/benchmarks/default_settings.py OUT/SegResNet.json OUT/samples/validation

The samples are those that `cellseg train` keeps to judge by. Real volumes (any whose name does
not start with "simulated") and simulated ones count alike, whatever their numbers.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cellseg_app.analysis.accuracy import compare_labels
from cellseg_app.analysis.instances import segment_instances
from cellseg_app.core.settings import InstanceSettings
from cellseg_app.inference.weights import LoadedNetwork, load_network
from cellseg_app.training.evaluation import Activation, predictor
from cellseg_app.training.network_input import NetworkInput
from cellseg_app.training.samples import Sample, list_samples, read_sample

THRESHOLDS = (0.35, 0.4, 0.45, 0.5, 0.55, 0.6)
SEED_DEPTHS = (0.05, 0.1, 0.15, 0.2, 0.3)
ACTIVATIONS: dict[str, Activation] = {
    "sigmoid": "sigmoid",
    "softmax": "softmax",
    "identity": "identity",
}


def predict(network: LoadedNetwork, sample: Sample) -> npt.NDArray[np.float32]:
    """The first class, (Z, Y, X), over a sample."""
    activation = ACTIVATIONS[network.card.output.activation]
    seen_as = NetworkInput(network.card.normalization, network.card.input_axes)
    return predictor(network.module, activation=activation, fast=False, seen_as=seen_as)(sample)


def quality(
    probability: npt.NDArray[np.float32], sample: Sample, threshold: float, depth: float
) -> float:
    """Mean of F1 at IoU 0.5 and at 0.7."""
    labels = np.zeros(probability.shape, np.uint32)
    segment_instances(
        probability, labels, threshold=threshold, options=InstanceSettings(seed_depth=depth)
    )
    result = compare_labels(labels, sample.labels, min_voxels=30)
    return float(np.mean([match.f1 for match in result.matches]))


def main() -> None:
    """Print the table, best first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("card", type=Path)
    parser.add_argument("samples", type=Path)
    arguments = parser.parse_args()
    network = load_network(arguments.card)
    scores: dict[tuple[float, float], dict[bool, list[float]]] = {}
    for path in list_samples([arguments.samples]):
        sample = read_sample(path)
        probability = predict(network, sample)
        for threshold, depth in itertools.product(THRESHOLDS, SEED_DEPTHS):
            kinds = scores.setdefault((threshold, depth), {True: [], False: []})
            simulated = path.name.startswith("simulated")
            kinds[simulated].append(quality(probability, sample, threshold, depth))
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
