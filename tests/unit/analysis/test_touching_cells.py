"""Our own method parts touching cells better than the other three, on both kinds of map."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from cellseg_app.analysis.accuracy import compare_labels
from cellseg_app.analysis.instances import segment_instances
from cellseg_app.core.settings import InstanceSettings
from tests.synthetic_cells import foreground_map, peaked_map, touching_ellipsoids

Labels = npt.NDArray[np.uint32]


def f1(
    probability: npt.NDArray[np.float16],
    truth: Labels,
    method: str,
    spacing: tuple[float, float, float],
    options: InstanceSettings | None = None,
) -> float:
    labels = np.empty(truth.shape, np.uint32)
    threshold = None if method == "voronoi-otsu" else 0.5
    segment_instances(
        probability,
        labels,
        method=method,
        threshold=threshold,
        options=options,
        spacing_um_zyx=spacing,
    )
    return compare_labels(labels, truth, min_voxels=1).matches[0].f1


@pytest.mark.parametrize("make", [peaked_map, foreground_map])
@pytest.mark.parametrize(
    ("radius", "spacing"),
    [((5, 8), (1.0, 1.0, 1.0)), ((4, 10), (1.0, 1.0, 1.0)), ((5, 8), (3.0, 1.0, 1.0))],
)
def test_cell_peaks_parts_touching_cells_best(
    make: Callable[..., npt.NDArray[np.float16]],
    radius: tuple[float, float],
    spacing: tuple[float, float, float],
) -> None:
    shape = (round(72 / spacing[0]), 72, 72)
    truth = touching_ellipsoids(shape, 200, radius=radius, closeness=0.78, spacing=spacing)
    probability = make(truth, spacing=spacing)
    ours = f1(probability, truth, "cell-peaks", spacing)
    assert ours > 0.9
    for method, options in {
        "voronoi-otsu": InstanceSettings(spot_sigma=2),
        "watershed": InstanceSettings(),
        "connected-components": InstanceSettings(),
    }.items():
        assert ours >= f1(probability, truth, method, spacing, options), method
