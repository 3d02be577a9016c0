"""How soon cells follow the threshold slider, on a probability map of 512³ voxels.

    python -m tests.benchmarks.live_threshold [--edge 512]

The map is written as a run writes it, and the very work the window submits is done on it: first
the part in view, which the user sees, then everything, for its number of cells.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from cellseg_app.core.blocks import Region, whole
from cellseg_app.core.progress import CancelToken
from cellseg_app.core.settings import RunSettings
from cellseg_app.io.tiff_write import write_volume_tiff
from cellseg_app.pipeline.choices import CellDefaults
from cellseg_app.pipeline.image_files import open_probability
from cellseg_app.workers.jobs import JobContext
from cellseg_app.workers.live import LiveCells, TunableMap, tuning
from tests.synthetic_cells import foreground_map, peaked_map, touching_ellipsoids

# As `ui.controllers.scene` cuts what is in view.
_IN_VIEW_EDGE = 144
_TILE = 128
_THRESHOLDS = np.linspace(0.3, 0.7, 9)


def main() -> None:
    """Print median and longest seconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--edge", type=int, default=512)
    edge: int = parser.parse_args().edge
    truth = touching_ellipsoids((_TILE,) * 3, 625, closeness=0.85)
    for kind, tile in (("peaked", peaked_map(truth)), ("foreground", foreground_map(truth))):
        with tempfile.TemporaryDirectory() as folder:
            many = np.tile(tile.astype(np.float32), (-(-edge // _TILE),) * 3)[:edge, :edge, :edge]
            path = write_volume_tiff(Path(folder, "map.tif"), many, spacing_um_zyx=(1, 1, 1))
            del many
            probability, spacing = open_probability(path)
            source = TunableMap(probability, None, spacing, CellDefaults(0.5, "cell-peaks", {}))
            start = (edge - _IN_VIEW_EDGE) // 2
            side = slice(start, start + _IN_VIEW_EDGE)
            _report(f"{kind} map, {_IN_VIEW_EDGE}³ in view of {edge}³", source, (side, side, side))
            _report(f"{kind} map, all of {edge}³", source, whole((edge,) * 3), only=1)


def _report(what: str, source: TunableMap, region: Region, only: int | None = None) -> None:
    cells(source, region, 0.5)
    seconds, found = [], 0
    for threshold in _THRESHOLDS[:only]:
        begin = time.perf_counter()
        found = cells(source, region, float(threshold)).n_cells
        seconds.append(time.perf_counter() - begin)
    median, most = 1000 * statistics.median(seconds), 1000 * max(seconds)
    print(f"{what}: median {median:.0f} ms, longest {most:.0f} ms, {found} cells", flush=True)


def cells(source: TunableMap, region: Region, threshold: float) -> LiveCells:
    """What the window's tuning lane does for one position of the slider."""
    values = RunSettings().model_dump()
    values["threshold"]["threshold"] = threshold
    work = tuning(source, RunSettings.model_validate(values), region, measure=False)
    done = work(JobContext(0, CancelToken(), lambda _: None))
    assert isinstance(done, LiveCells)
    return done


if __name__ == "__main__":
    main()
