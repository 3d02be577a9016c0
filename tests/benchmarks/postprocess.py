"""Seconds after the network: every instance method and the measurements, on 256³ with 5,000 cells.

Beside them the way napari-cellseg3d 0.2.4 goes (scikit-image label, watershed and regionprops with
their defaults, in float64, on the whole volume), written from its description.

Run from the checkout: python -m tests.benchmarks.postprocess [edge] [workers]
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.measure import label, regionprops
from skimage.morphology import remove_small_objects
from skimage.segmentation import watershed

from cellseg_app.analysis.instances import INSTANCE_METHODS, segment_instances
from cellseg_app.analysis.measure import measure_cells
from cellseg_app.core.settings import InstanceSettings, StatisticsSettings
from tests.synthetic_cells import foreground_map, peaked_map, touching_ellipsoids

_REPEATS = 3
_SEED_THRESHOLD = 0.8
# What the plugin's table holds: no surface, no intensity.
AS_THE_PLUGIN = StatisticsSettings(surface=False, intensity=False)


def main(edge: int = 256, workers: int = 2) -> None:
    """Print medians."""
    truth = touching_ellipsoids((edge,) * 3, round(5000 * (edge / 256) ** 3), closeness=0.85)
    print(f"{edge}³, {truth.max()} cells filling {np.mean(truth > 0):.0%}, {workers} workers")
    probability = peaked_map(truth)
    image = (60_000 * probability.astype(np.float32)).astype(np.uint16)
    for kind, shown in (("peaked", probability), ("foreground", foreground_map(truth))):
        for method in INSTANCE_METHODS:
            seconds, n = timed(lambda m=method, p=shown: ours(p, m, workers).max())
            print(f"{method:22s} {kind:10s} {seconds:7.3f} s  {n} cells")
    labels = ours(probability, "watershed", workers)
    table, _ = timed(lambda: measure(labels, AS_THE_PLUGIN, workers))
    full, _ = timed(lambda: measure(labels, StatisticsSettings(), workers, image, probability))
    print(f"measure, columns of the plugin   {table:7.3f} s")
    print(f"measure, all columns             {full:7.3f} s")
    found, _ = timed(lambda: ours(probability, "watershed", workers))
    theirs, _ = timed(lambda: plugin_watershed(probability))
    their_table, _ = timed(lambda: plugin_statistics(plugin_watershed(probability)))
    print(f"the plugin's way: watershed {theirs:.3f} s, with statistics {their_table:.3f} s")
    print(f"ratio: watershed {theirs / found:.1f}, ", end="")
    print(f"with statistics {their_table / (found + table):.1f}, ", end="")
    print(f"with all our columns {their_table / (found + full):.1f}")


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Median seconds and the last result."""
    seconds = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), result


def ours(probability: npt.NDArray[np.float16], method: str, workers: int) -> npt.NDArray[np.uint32]:
    """Labels by one of our methods."""
    labels = np.empty(probability.shape, np.uint32)
    options = InstanceSettings(seed_threshold=_SEED_THRESHOLD)
    segment_instances(
        probability, labels, method=method, threshold=0.5, options=options, workers=workers
    )
    return labels


def measure(labels: Any, settings: StatisticsSettings, workers: int, *images: Any) -> Any:
    """Our table."""
    return measure_cells(
        labels, *images, spacing_um_zyx=(2, 1, 1), settings=settings, workers=workers
    )


def plugin_watershed(probability: npt.NDArray[np.float16]) -> npt.NDArray[np.int64]:
    """Seeds above one threshold, flooding of what lies above another, small parts removed."""
    values = probability.astype(np.float64)
    seeds = remove_small_objects(label(values > _SEED_THRESHOLD), max_size=2)
    labels = watershed(-values, seeds, mask=values > 0.5)
    return np.asarray(remove_small_objects(labels, max_size=29))


def plugin_statistics(labels: npt.NDArray[np.int64]) -> list[tuple[float, ...]]:
    """Volume, centroid and sphericity by axes of every object, one object at a time."""
    rows = []
    for region in regionprops(labels):
        a, b = region.axis_major_length / 2, region.axis_minor_length / 2
        focal = np.sqrt(max(a**2 - b**2, 0))
        with np.errstate(all="ignore"):
            arc = b**2 / focal * np.log((a + focal) / b)
        rows.append((region.area, *region.centroid, 2 * np.cbrt(a * b**2) / (a + arc)))
    return rows


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
