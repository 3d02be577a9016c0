"""What the parts of a large run cost on this machine, and what a second worker brings.

    python -m tests.benchmarks.scaling_costs FOLDER costs       one process, one thread
    python -m tests.benchmarks.scaling_costs FOLDER workers 1   the same run over Dask
    python -m tests.benchmarks.scaling_costs FOLDER workers 2

Everything is written into `scaling_costs.json` beside this file, which `scaling_model` reads. Costs
are processor time, which other programs on the machine change little; runs over Dask are timed by
the clock, and by the processor time of each worker and of the process that starts the run. From
the latter follows what a second worker brings at best: `cpu_bound_s`, the busiest worker's time
and that of the starting process. The number of blocks is the one that a user's run would have.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import fastremap
import numpy as np
import psutil
from scipy import ndimage

from cellseg_app.analysis.blockwise import BlockPlan
from cellseg_app.analysis.joining import BlockPieces, join_pieces, reach_of
from cellseg_app.analysis.kept import KeptBlocks
from cellseg_app.cluster.connect import cluster_at
from cellseg_app.cluster.dask_runner import DaskCluster
from cellseg_app.core.blocks import Region, block_regions
from cellseg_app.core.progress import Progress
from cellseg_app.core.settings import (
    CellSizeSettings,
    InferenceSettings,
    NetworkSettings,
    OutputSettings,
    RunSettings,
)
from cellseg_app.core.volume import LazyArray
from cellseg_app.inference.devices import use_threads
from cellseg_app.inference.feed import WindowFeed
from cellseg_app.inference.session import NetworkSession
from cellseg_app.inference.windows import sample_starts, window_region
from cellseg_app.io.ome_zarr_layout import Block
from cellseg_app.io.ome_zarr_write import OmeZarrImage
from cellseg_app.pipeline import cell_places, network_stage, preparing, run_volume
from cellseg_app.pipeline.networks import network_for
from cellseg_app.pipeline.remote_blocks import Cluster
from cellseg_app.pipeline.reporting import Reporting
from tests.benchmarks.virtual_volume import write_virtual_volume

COSTS = Path(__file__).with_suffix(".json")
_EDGE, _TISSUE = 512, 0.3
_TASKS = 400


@dataclass
class Timeline:
    """When each stage was first and last heard of, and how long it says it took."""

    first: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)

    def listen(self, report: Progress) -> None:
        now = time.process_time()
        self.first.setdefault(report.stage, now)
        self.last[report.stage] = now

    def seconds(self, stage: str) -> float:
        """Of one stage."""
        return self.last[stage] - self.first[stage]


def main() -> None:
    """Measure what was asked for and add it to the file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("what", choices=["costs", "workers"])
    parser.add_argument("n", type=int, nargs="?", default=1)
    asked = parser.parse_args()
    source = asked.folder / "scaling.zarr"
    if not source.exists():
        write_virtual_volume(source, _EDGE, tissue=_TISSUE)
    known = json.loads(COSTS.read_text(encoding="utf-8")) if COSTS.exists() else {}
    known |= _costs(source) if asked.what == "costs" else _with_workers(source, asked.n)
    COSTS.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(json.dumps(known, indent=1, sort_keys=True))


def _costs(source: Path) -> dict[str, Any]:
    use_threads(1)
    with _timed_writing() as written:
        seconds, timeline, ready = _run(source, None)
    session, n_voxels = ready.session, math.prod(ready.output_shape_zyx)
    filled = _TISSUE * n_voxels
    starts = sample_starts(session.grid, 300)
    feed = WindowFeed(session.image, session.grid, 1, session.empty)
    n_filled = sum(feed.holds_something(start) for start in starts)
    regions = [window_region(session.grid, start) for start in starts]
    begin = time.process_time()
    for region in regions:
        if session.empty is not None:
            session.empty.region_holds_nothing(region)
    looking = (time.process_time() - begin) / len(starts)
    share = n_filled / len(starts)
    pieces = max(1, seconds["n_cells"])
    ending = seconds["processor_end"] - timeline.last["Measuring cells"]
    return {
        **{f"{what}_s_per_voxel": s / n for what, (s, n) in written.items()},
        "ending_s_per_cell": ending / pieces,
        "window_s": _per_filled(timeline.seconds("network"), looking, session, share),
        "window_share_filled": share,
        "look_s_per_window": looking,
        "network_s": timeline.seconds("network"),
        "windows": session.grid.n_windows,
        "merge_s_per_block": _merging(),
        "peaks_s_per_filled_voxel": timeline.seconds("Finding peaks") / filled,
        "graph_s_per_cell": (timeline.first["Numbering cells"] - timeline.last["Finding peaks"])
        / pieces,
        "numbering_s_per_filled_voxel": timeline.seconds("Numbering cells") / filled,
        "measuring_s_per_filled_voxel": timeline.seconds("Measuring cells") / filled,
        "cells_per_filled_voxel": pieces / filled,
        "processor": f"{psutil.cpu_count()} cores",
    }


@contextmanager
def _timed_writing() -> Iterator[dict[str, tuple[float, int]]]:
    """Seconds and voxels of the blocks of images, by kind, the finest level and coarser ones."""
    times: dict[str, tuple[float, int]] = {}
    write = OmeZarrImage.write

    def timed(self: OmeZarrImage, number: int, block: Block, source: LazyArray) -> None:
        begin = time.process_time()
        write(self, number, block, source)
        kind = "labels" if self.kind == "labels" else "map"
        name = f"{kind}_{'coarsened' if number else 'written'}"
        seconds, voxels = times.get(name, (0.0, 0))
        n = math.prod(part.stop - part.start for part in block)
        times[name] = (seconds + time.process_time() - begin, voxels + n)

    OmeZarrImage.write = timed
    try:
        yield times
    finally:
        OmeZarrImage.write = write


def _merging() -> float:
    """Seconds the starting process needs to join one block's faces to its neighbours."""
    labels = np.zeros((128, 512, 512), np.uint32)
    labels[::9, ::9, ::9] = 1
    found, _ = ndimage.label(ndimage.binary_dilation(labels, iterations=4))
    plan = BlockPlan((64, 256, 256))
    shape = (labels.shape[0], labels.shape[1], labels.shape[2])
    known = {}
    for core in block_regions(shape, plan.block_zyx):
        part, n = fastremap.renumber(found[reach_of(core, shape)].astype(np.uint32))
        known[core[0].start, core[1].start, core[2].start] = BlockPieces(part, len(n), None)

    def label(reach: Region) -> BlockPieces[None]:
        return known[reach[0].start, reach[1].start, reach[2].start]

    with tempfile.TemporaryDirectory() as folder:
        keeping = replace(plan, kept=KeptBlocks(Path(folder)))
        join_pieces(label, labels, plan=keeping, stage="x")
        begin = time.process_time()
        join_pieces(label, labels, plan=keeping, stage="x")
        return (time.process_time() - begin) / len(known)


def _per_filled(network_s: float, look_s: float, session: NetworkSession, share: float) -> float:
    """Of one window that runs: reading, network, stitching, and writing its part of the map."""
    n = session.grid.n_windows
    return (network_s - look_s * n) / (share * n)


def _with_workers(source: Path, n: int) -> dict[str, Any]:
    with cluster_at(f"local:{n}", print) as found:
        # One thread each, however many workers there are: only then do two compare with one.
        cluster = DaskCluster(found.client, threads=1)
        begin = time.perf_counter()
        assert list(cluster.map(range(_TASKS), _nothing)) == list(range(_TASKS))
        task_s = (time.perf_counter() - begin) / _TASKS
        before, own = _worker_seconds(cluster), time.process_time()
        seconds, timeline, ready = _run(source, cluster)
        own = time.process_time() - own
        after = _worker_seconds(cluster)
    each = sorted(after[worker] - before[worker] for worker in before)
    plan = ready.network_plan
    assert plan is not None
    return {
        f"workers_{n}": {
            "task_s": task_s,
            "processor_s": sum(each),
            "processor_s_by_worker": each,
            "processor_s_of_the_starting_process": own,
            "cpu_bound_s": max(each) + own,
            "starting_process_by_stage": {
                stage: timeline.seconds(stage) for stage in timeline.first
            },
            "network_blocks": len(plan.blocks),
            "windows": plan.n_windows,
            **seconds,
        }
    }


def _worker_seconds(cluster: DaskCluster) -> dict[str, float]:
    return dict(cluster.client.run(time.process_time))


def _nothing(item: int) -> int:
    return item


def _run(
    source: Path, cluster: Cluster | None
) -> tuple[dict[str, float], Timeline, preparing.Prepared]:
    """Seconds by part of a run that is worked on in blocks, however small."""
    settings = RunSettings(
        network=NetworkSettings(name="SegResNet"),
        inference=InferenceSettings(skip_empty=True, runtime="openvino", precision="bfloat16"),
        size=CellSizeSettings(diameter=11.0, diameter_unit="px"),
        output=OutputSettings(format="zarr"),
    )
    out = source.parent / f"scaling-out-{os.getpid()}"
    request = preparing.RunRequest(source, out, settings, datetime.now().astimezone())
    timeline = Timeline()
    report = Reporting(timeline.listen)
    prepared: list[preparing.Prepared] = []
    with _as_large_volumes(prepared):
        loaded = network_for(settings.network)
        begin = time.perf_counter()
        result = run_volume.run_volume(request, loaded, report, cluster)
        total, ended = time.perf_counter() - begin, time.process_time()
    shutil.rmtree(out)
    seconds = {**report.seconds, "total": total, "processor_end": ended}
    return {**seconds, "n_cells": result.n_cells}, timeline, prepared[0]


@contextmanager
def _as_large_volumes(prepared: list[preparing.Prepared]) -> Iterator[None]:
    modules = (network_stage, cell_places, preparing)
    before = [module.MOST_FLAT_VOXELS for module in modules]
    prepare = run_volume.prepare

    def kept(*arguments: Any, **options: Any) -> preparing.Prepared:
        prepared.append(prepare(*arguments, **options))
        return prepared[-1]

    try:
        for module in modules:
            module.MOST_FLAT_VOXELS = 0
        run_volume.prepare = kept
        yield
    finally:
        run_volume.prepare = prepare
        for module, number in zip(modules, before, strict=True):
            module.MOST_FLAT_VOXELS = number


if __name__ == "__main__":
    main()
