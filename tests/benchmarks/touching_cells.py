"""Which method parts touching cells best: simulated ellipsoids, two kinds of map, five methods.

Run from the checkout: python -m tests.benchmarks.touching_cells
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cellseg_app.analysis.accuracy import compare_labels
from cellseg_app.analysis.instances import segment_instances
from cellseg_app.core.settings import InstanceSettings
from tests.synthetic_cells import foreground_map, peaked_map, touching_ellipsoids

SCENES: Mapping[str, Mapping[str, Any]] = {
    "touching": {"n": 600, "radius": (5, 8), "closeness": 0.85},
    "overlapping": {"n": 700, "radius": (5, 8), "closeness": 0.7},
    "mixed sizes": {"n": 700, "radius": (3.5, 10), "closeness": 0.75},
    "small": {"n": 2500, "radius": (2.5, 4), "closeness": 0.75},
    "large": {"n": 60, "radius": (12, 20), "closeness": 0.75},
    "long": {"n": 600, "radius": (5, 8), "closeness": 0.75, "stretch": 1.7},
    "z step 3": {"n": 600, "radius": (5, 8), "closeness": 0.75, "spacing": (3.0, 1.0, 1.0)},
}
# The other methods are given the best of several settings for every scene: more than a user has.
TRIES: Mapping[str, tuple[str, tuple[InstanceSettings, ...]]] = {
    "cell-peaks (defaults)": ("cell-peaks", (InstanceSettings(),)),
    "Voronoi-Otsu (defaults)": ("voronoi-otsu", (InstanceSettings(min_size_voxels=20),)),
    "Voronoi-Otsu (best of 4)": (
        "voronoi-otsu",
        tuple(InstanceSettings(spot_sigma=s, min_size_voxels=20) for s in (1, 2, 3, 4)),
    ),
    "watershed (best of 4)": (
        "watershed",
        tuple(InstanceSettings(seed_threshold=t) for t in (0.7, 0.8, 0.9, 0.95)),
    ),
    "connected components": ("connected-components", (InstanceSettings(min_size_voxels=20),)),
}


def main() -> None:
    """Print F1 at IoU 0.5 per map, method and scene."""
    for kind, make in (("centre-peaked", peaked_map), ("foreground", foreground_map)):
        scores: dict[str, list[float]] = {name: [] for name in TRIES}
        for scene in SCENES.values():
            spacing = scene.get("spacing", (1.0, 1.0, 1.0))
            truth = touching_ellipsoids((round(112 / spacing[0]), 112, 112), **scene)
            probability = make(truth, spacing=spacing)
            for name, (method, tries) in TRIES.items():
                best = max(_f1(probability, truth, method, options, spacing) for options in tries)
                scores[name].append(best)
        print(f"\n{kind} map, F1 at IoU 0.5: mean | " + " | ".join(SCENES))
        for name, row in scores.items():
            print(f"{name:26s} {np.mean(row):.3f} | " + " | ".join(f"{f1:.3f}" for f1 in row))


def _f1(
    probability: Any, truth: Any, method: str, options: InstanceSettings, spacing: Any
) -> float:
    labels = np.empty(truth.shape, np.uint32)
    segment_instances(
        probability,
        labels,
        method=method,
        threshold=None if method == "voronoi-otsu" else 0.5,
        options=options,
        spacing_um_zyx=spacing,
    )
    return compare_labels(labels, truth, min_voxels=1).matches[0].f1


if __name__ == "__main__":
    main()
