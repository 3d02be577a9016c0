"""What `speed.py` measures, each task in a process of its own so that its peak memory is known.

The baseline is the way of napari-cellseg3d 0.2.4, written from its description: MONAI's sliding
windows of 64³ with an overlap of 0.25, one at a time, float32, every window stretched to 0…1, then
scikit-image's watershed and regionprops on the whole volume.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
from torch.utils.flop_counter import FlopCounterMode

from cellseg_app.inference.runtime.agreement import dice_of
from cellseg_app.inference.runtime.forwards import open_forward
from cellseg_app.io.tiff_write import TiffSlabWriter, write_volume_tiff
from tests.benchmarks.bundled_runs import WINDOW, bundled_run, plugin_windows
from tests.benchmarks.postprocess import (
    AS_THE_PLUGIN,
    measure,
    ours,
    plugin_statistics,
    plugin_watershed,
)
from tests.seeded_networks import seeded_network, stored_network
from tests.simulated_volume import crowded_volume, sparse_volume
from tests.synthetic_cells import peaked_map, touching_ellipsoids

Result = dict[str, Any]
# On a machine that cannot be kept free, processor time on one thread is what can be trusted.
_clock = time.process_time if os.environ.get("SPEED_CLOCK") == "cpu" else time.perf_counter
_REPEATS = 3
_AT_ONCE = 2
_TILE = 256


def windows(network: str) -> Result:
    """One published-size network on single windows: PyTorch as the baseline, then OpenVINO."""
    with tempfile.TemporaryDirectory() as folder:
        module = _seeded(network)
        loaded = stored_network(network, {}, Path(folder), module=module, window_default=64)
    batch = torch.rand(_AT_ONCE, 1, *WINDOW, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        baseline_s, exact = _median(lambda: loaded.module(batch[:1]))
        result: Result = {"baseline_s": baseline_s, "gflop": _gflop(loaded.module, batch[:1])}
        for precision in ("float32", "bfloat16"):
            forward = open_forward(
                loaded, "openvino", device="cpu", precision=precision, window=WINDOW,
                at_once=_AT_ONCE,
            )  # fmt: skip
            seconds, found = _median(lambda f=forward: f(batch))
            difference = _stretched(exact[:1]) - _stretched(found[:1])
            masks = [_stretched(each[:1]) > 0.5 for each in (exact, found)]
            result[precision] = {
                "s": seconds / _AT_ONCE,
                "dice": round(dice_of(*masks), 5),
                "max_difference": float(difference.abs().max()),
            }
    return result


def peak() -> Result:
    """Most that this machine computes: a 1×1×1 convolution, by precision, in GFLOP per second."""
    found: Result = {}
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        best = 0.0
        for channels, edge in ((256, 32), (512, 24), (1024, 16)):
            layer = torch.nn.Conv3d(channels, channels, 1).to(dtype)
            layer = layer.to(memory_format=torch.channels_last_3d)
            values = torch.rand(2, channels, edge, edge, edge).to(dtype)
            values = values.to(memory_format=torch.channels_last_3d)
            with torch.inference_mode():
                seconds, _ = _median(lambda run=layer, on=values: run(on), repeats=9)
                best = max(best, _gflop(layer, values) / seconds)
        found[name] = best
    return found


def cells(edge: int) -> Result:
    """Watershed and the plugin's statistics on a realistic map, both ways."""
    truth = touching_ellipsoids((edge,) * 3, round(5000 * (edge / 256) ** 3), closeness=0.85)
    probability = peaked_map(truth)
    workers = os.cpu_count() or 1

    def theirs() -> Any:
        labels = plugin_watershed(probability)
        return labels, plugin_statistics(labels)

    def own() -> Any:
        labels = ours(probability, "watershed", workers)
        return labels, measure(labels, AS_THE_PLUGIN, workers)

    baseline_s, (expected, _) = _median(theirs)
    own_s, (found, _) = _median(own)
    masks = [torch.from_numpy(np.asarray(labels > 0)) for labels in (expected, found)]
    return {
        "baseline_s": baseline_s,
        "own_s": own_s,
        "dice": round(dice_of(*masks), 5),
        "baseline_cells": int(len(np.unique(expected)) - 1),
        "own_cells": int(found.max()),
    }


def make_volumes(edge: int, folder: str) -> Result:
    """Write what the runs read, in a process that no peak of memory is taken from."""
    image, truth = crowded_volume(edge)
    write_volume_tiff(Path(folder, "crowded.tif"), image, spacing_um_zyx=(1, 1, 1))
    np.save(Path(folder, "map.npy"), peaked_map(truth))
    del image, truth
    write_volume_tiff(Path(folder, "sparse.tif"), sparse_volume(edge), spacing_um_zyx=(1, 1, 1))
    return {}


def make_large(edge: int, volumes: str) -> Result:
    """Write a volume made of mirrored copies of a crowded one of 256³, a slab at a time."""
    tile, _ = crowded_volume(min(edge, _TILE))
    n = edge // len(tile)
    assert n * len(tile) == edge, "edges are 256 or less, or multiples of 256"
    beyond = (0, edge - len(tile))
    slab = np.pad(tile, ((0, 0), beyond, beyond), mode="symmetric")
    path, shape = Path(volumes, "crowded.tif"), (edge, edge, edge)
    with TiffSlabWriter(path, shape, dtype=tile.dtype, spacing_um_zyx=(1, 1, 1)) as file:
        for number in range(n):
            file.write(slab[:: (-1) ** number])
    return {}


def published_run(volumes: str, network: str, precision: str) -> Result:
    """A whole run of a published-size network with seeded weights, without its cells.

    Seeded weights find none: the cells of the default network's run are added by `speed.py`.
    """
    with tempfile.TemporaryDirectory() as folder:
        module = _seeded(network)
        stored_network(network, {}, Path(folder), module=module, window_default=64)
        weights = str(Path(folder, f"{network}.json"))
        nothing = ("--threshold", "0.999999", "--no-stats", "--precision", precision)
        return own_run(volumes, "--weights", weights, *nothing)


def baseline_run(volumes: str, network: str = "SegResNet") -> Result:
    """A whole run the baseline's way: network, map, watershed, statistics, files."""
    module = _seeded(network)
    # Seeded weights find no cells, so what comes after the network works on a realistic map.
    realistic = np.load(Path(volumes, "map.npy"))
    begin = _clock()
    image = tifffile.imread(Path(volumes, "crowded.tif"))
    volume = torch.from_numpy(image.astype(np.float32))[None, None]
    plugin_windows(volume, lambda window: _stretched(module(window)))
    network_s = _clock() - begin
    labels = plugin_watershed(realistic)
    rows = plugin_statistics(labels)
    with tempfile.TemporaryDirectory() as folder:
        write_volume_tiff(
            Path(folder, "map.tif"), realistic.astype(np.float32), spacing_um_zyx=None
        )
        write_volume_tiff(Path(folder, "labels.tif"), labels.astype(np.uint32), spacing_um_zyx=None)
        np.savetxt(Path(folder, "cells.csv"), np.asarray(rows), delimiter=",")
    return {"s": _clock() - begin, "network_s": network_s, "cells": len(rows)}


def own_run(volumes: str, *options: str, name: str = "crowded.tif", again: bool = True) -> Result:
    """`cellseg run` on a file; the second run is the one that counts.

    The first one converts the network, once per machine, and is told too.
    """
    from cellseg_app.cli import main

    path = Path(volumes, name)
    with tempfile.TemporaryDirectory() as folder:
        seconds = []
        for attempt in ("first", "again") if again else ("only",):
            out = Path(folder, attempt)
            begin = _clock()
            code = main(["run", str(path), "-o", str(out), "--diameter", "none", *options])
            seconds.append(_clock() - begin)
            if code:
                raise RuntimeError(f"cellseg run ended with {code}")
        (record,) = [p for p in out.glob("*.json") if "_pred1" in p.name]
        content = json.loads(record.read_text(encoding="utf-8"))
    return {
        "s": seconds[-1],
        "first_s": seconds[0],
        "network_s": content["seconds"]["network"],
        "preparing_s": content["seconds"]["preparing"],
        "stages": content["seconds"],
        "cells": content["n_cells"],
        "runtime": content["used"]["runtime"],
        "precision": content["used"]["precision"],
        "notes": content["notes"],
    }


def single_run(volumes: str) -> Result:
    """The only run of its process, as a user's: its memory is not that of a second one."""
    return own_run(volumes, again=False)


def sparse_run(volumes: str, *options: str) -> Result:
    """The same on a volume in which few windows hold cells."""
    return own_run(volumes, "--skip-empty", *options, name="sparse.tif")


def _seeded(network: str) -> torch.nn.Module:
    return seeded_network(network, {}, edge=64 if network == "SwinUNetR" else 48)


def _median(work: Callable[[], Any], repeats: int = _REPEATS) -> tuple[float, Any]:
    result = work()
    seconds = []
    for _ in range(repeats):
        begin = _clock()
        result = work()
        seconds.append(_clock() - begin)
    return statistics.median(seconds), result


def _gflop(module: torch.nn.Module, window: torch.Tensor) -> float:
    with FlopCounterMode(display=False) as counter:
        module(window)
    return float(counter.get_total_flops()) / 1e9


def _stretched(answer: torch.Tensor) -> torch.Tensor:
    low, high = answer.min(), answer.max()
    return (answer - low) / (high - low)


TASKS: dict[str, Callable[..., Result]] = {
    task.__name__: task
    for task in (
        *(peak, windows, cells, make_volumes, make_large),
        *(baseline_run, bundled_run, published_run, own_run, single_run, sparse_run),
    )
}


def run_task(name: str, *arguments: Any) -> Result:
    """Run a task here and add the process's peak memory (MiB)."""
    result = TASKS[name](*arguments)
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return result | {"peak_mib": peak_kib / (1024 if sys.platform != "darwin" else 1024**2)}


if __name__ == "__main__":
    done = run_task(sys.argv[1], *json.loads(sys.argv[2]))
    Path(sys.argv[3]).write_text(json.dumps(done), encoding="utf-8")
