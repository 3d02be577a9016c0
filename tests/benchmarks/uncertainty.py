"""Whether the column `uncertainty` tells which cells are wrong.

    python tests/benchmarks/uncertainty.py ../shared/data [--networks SegResNet]

Of every pair of a wrong cell (no true one that it overlaps with an IoU above 0.5) and a right one,
the share in which the wrong one is the more uncertain: 0.5 is chance, 1 is perfect. Beside it the
same for one minus the mean probability, over all instance-labelled volumes together.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import mannwhitneyu

from tests.benchmarks.accuracy import MINIMUM_VOXELS, Labels, bundled_networks, quietly
from tests.benchmarks.judged_volumes import Judge, held_out_embryo, read, real_judges


def best_overlap(found: Labels, truth: Labels, labels: Sequence[int]) -> npt.NDArray[np.float64]:
    """The largest IoU of each found cell with any true one."""
    true_sizes = np.bincount(truth.ravel())
    overlaps = []
    for label in labels:
        inside = truth[found == label]
        shared = np.bincount(inside, minlength=len(true_sizes))
        shared[0] = 0
        overlaps.append(float((shared / (len(inside) + true_sizes - shared)).max()))
    return np.array(overlaps)


def cells_of(judge: Judge, network: str) -> pd.DataFrame:
    """One row per cell: uncertainty, mean probability, and whether it is wrong."""
    with tempfile.TemporaryDirectory() as scratch:
        command = ["run", str(judge.image), "-o", scratch, "--weights", network, "--no-surface"]
        command += ["--diameter", f"{judge.diameter}um", "--voxel-size"]
        quietly([*command, *(str(step) for step in judge.voxel_size)])
        table = pd.read_csv(next(Path(scratch).glob("*_pred1.csv")))
        found = read(next(Path(scratch).glob("Instance_seg*.tif")))
    table = table[table["n_voxels"] >= MINIMUM_VOXELS]
    if judge.labels is None:
        raise ValueError(f"{judge.name} has no labels")
    overlap = best_overlap(found, read(judge.labels), list(table["label"]))
    return table.assign(wrong=overlap <= 0.5)[["uncertainty", "mean_probability", "wrong"]]


def main() -> None:
    """Print one line per network."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--networks", nargs="+", help="weights; all bundled ones without")
    arguments = parser.parse_args()
    judges = [j for j in real_judges(arguments.data) if not j.detection_only]
    judges += held_out_embryo(arguments.data)
    for network in arguments.networks or bundled_networks():
        cells = pd.concat([cells_of(judge, network) for judge in judges])
        wrong, right = cells[cells["wrong"]], cells[~cells["wrong"]]
        shares = []
        for sign, column in ((1, "uncertainty"), (-1, "mean_probability")):
            statistic = mannwhitneyu(sign * wrong[column], sign * right[column]).statistic
            shares.append(statistic / (len(wrong) * len(right)))
        print(
            f"{Path(network).stem:<12} {len(wrong)} wrong, {len(right)} right: uncertainty "
            f"{shares[0]:.3f}, one minus mean probability {shares[1]:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
