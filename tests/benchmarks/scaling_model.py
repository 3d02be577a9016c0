"""How a run scales from 1 to 1000 workers: a discrete-event model with the costs measured here.

    python -m tests.benchmarks.scaling_model [--storage 2.0] [--tissue 0.5] [--gpu 1]

Reads `scaling_costs.json` (see `scaling_costs`). Workers take tasks from one queue; each reads and
writes through one shared storage of so many GB/s, which serves one request after another; the
process that started the run hands out tasks and takes their results, one after another. What
`cellseg run --scheduler` does on that process alone (uniting cells, the table, removing unfinished
work) runs there here too. Prints hours by number of workers, where the time goes, and where it
stops scaling.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cellseg_app.inference.balance import BLOCKS_PER_WORKER, LATENESS
from tests.benchmarks.scaling_costs import COSTS

_WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
_WINDOW, _STEP = 64, 48
_VOXEL_BYTES, _MAP_BYTES, _LABEL_BYTES = 2, 2, 4
# Chunks shrink to about these shares of their voxels' bytes.
_IMAGE_SHARE, _LABEL_SHARE = 0.7, 0.1
_CELL_BLOCK = 64 * 256 * 256
_WRITTEN_BLOCK = 64 * 512 * 512
# Stitching keeps blocks of the network this narrow along Y and X.
_WIDEST = 1024
# A block that tells cells apart reads its surroundings too.
_HALO = 2.0
_MOST_TASKS = 20_000


@dataclass(frozen=True)
class Part:
    """Tasks of one kind: how many, and what one costs each who has a hand in it.

    Attributes
    ----------
    compute_s
        On a worker.
    storage_bytes
        Read and written.
    merge_s
        On the process that started the run, when the result arrives.
    alone_s
        There, once all have ended.
    """

    name: str
    n: int
    compute_s: float
    storage_bytes: float
    merge_s: float
    alone_s: float = 0.0


def simulate(part: Part, workers: int, *, task_s: float, bytes_per_s: float) -> float:
    """Seconds until the last task of a part has ended and was merged.

    Tasks are bundled where there are very many, which only makes the last ones end less evenly.
    """
    bundle = max(1, part.n // max(_MOST_TASKS, 8 * workers))
    n = math.ceil(part.n / bundle)
    free: list[tuple[float, int]] = [(0.0, worker) for worker in range(workers)]
    arrivals: list[float] = []
    storage, hand = 0.0, 0.0
    for _ in range(n):
        ready, worker = heapq.heappop(free)
        # Handing a task out and taking its result cost the starting process about the same.
        hand = max(hand, 0.0) + bundle * task_s / 2
        begin = max(ready, hand)
        storage = max(storage, begin) + bundle * part.storage_bytes / bytes_per_s
        end = max(begin + bundle * part.compute_s, storage)
        heapq.heappush(free, (end, worker))
        heapq.heappush(arrivals, end)
    merged = 0.0
    while arrivals:
        merged = max(merged, heapq.heappop(arrivals)) + bundle * (part.merge_s + task_s / 2)
    return max(merged, hand) + part.alone_s


def parts_of(voxels: float, tissue: float, workers: int, costs: dict[str, Any]) -> Iterator[Part]:
    """What a volume takes, from the network to the written labels."""
    blocks, per_block, twice = _network_blocks(voxels, workers)
    filled = tissue * voxels
    per_window = tissue * costs["window_s"] + (1 - tissue) * costs["look_s_per_window"]
    network_bytes = filled * (_VOXEL_BYTES * _IMAGE_SHARE * twice + _MAP_BYTES)
    yield Part(
        "network",
        blocks,
        twice * per_block * per_window,
        network_bytes / blocks,
        0.0,
    )
    n = max(1, math.ceil(filled / _CELL_BLOCK))
    cells = filled * costs["cells_per_filled_voxel"]
    yield Part(
        "finding cells",
        n,
        _CELL_BLOCK * costs["peaks_s_per_filled_voxel"],
        _CELL_BLOCK * (_MAP_BYTES * _HALO + _LABEL_BYTES * _LABEL_SHARE),
        costs["merge_s_per_block"],
        cells * costs["graph_s_per_cell"],
    )
    yield Part(
        "numbering",
        n,
        _CELL_BLOCK * costs["numbering_s_per_filled_voxel"],
        _CELL_BLOCK * 2 * _LABEL_BYTES * _LABEL_SHARE,
        0.0,
    )
    yield Part(
        "measuring",
        n,
        _CELL_BLOCK * costs["measuring_s_per_filled_voxel"],
        _CELL_BLOCK * (_LABEL_BYTES * _LABEL_SHARE + _MAP_BYTES + _VOXEL_BYTES * _IMAGE_SHARE),
        costs["merge_s_per_block"],
        cells * costs["ending_s_per_cell"],
    )
    yield from _writing("map", filled, _MAP_BYTES, costs)
    yield from _writing("labels", filled, _LABEL_BYTES * _LABEL_SHARE, costs)


def _network_blocks(voxels: float, workers: int) -> tuple[int, float, float]:
    """How many blocks, windows of each, and how often a window runs on average."""

    def end(plan: tuple[int, float, float]) -> float:
        blocks, per_block, twice = plan
        return (math.ceil(blocks / workers) + LATENESS) * per_block * twice

    return min((_cut(voxels, n * workers) for n in BLOCKS_PER_WORKER), key=end)


def _cut(voxels: float, n: int) -> tuple[int, float, float]:
    """About `n` blocks, as near to cubes as memory lets them be."""
    windows = voxels / _STEP**3
    per_block = windows / n
    edge = min(_WIDEST, (per_block * _STEP**3) ** (1 / 3))
    depth = per_block * _STEP**3 / edge**2
    if edge == _WIDEST:
        # Deep blocks are cut along Z only as far as there are not enough for all workers.
        depth = min(depth, voxels ** (1 / 3))
        per_block = depth * edge**2 / _STEP**3
    # Windows shared by two blocks run twice.
    twice = math.prod((side + _WINDOW) / side for side in (depth, edge, edge))
    return math.ceil(windows / per_block), per_block, twice


def _writing(what: str, filled: float, n_bytes: float, costs: dict[str, Any]) -> Iterator[Part]:
    """An image, level after level: each waits for the one before."""
    n, level = max(1, math.ceil(filled / _WRITTEN_BLOCK)), 0
    while True:
        done = "coarsened" if level else "written"
        yield Part(
            f"writing {what}",
            n,
            _WRITTEN_BLOCK * costs[f"{what}_{done}_s_per_voxel"],
            # A coarser level reads eight times what it writes.
            _WRITTEN_BLOCK * n_bytes * (9 if level else 2),
            0.0,
        )
        if n == 1:
            return
        n, level = math.ceil(n / 8), level + 1


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--storage", type=float, default=2.0, help="GB/s of all workers together")
    parser.add_argument("--tissue", type=float, default=0.5, help="share of the volume with cells")
    parser.add_argument("--gpu", type=float, default=1.0, help="times faster is the network")
    asked = parser.parse_args()
    costs = _prepared(json.loads(COSTS.read_text(encoding="utf-8")), asked.gpu)
    for name, n_bytes in (("2048³ (17 GB)", 2 * 2048**3), ("0.2 TB", 2e11), ("10 TB", 1e13)):
        _table(name, n_bytes / _VOXEL_BYTES, asked, costs)


def _table(name: str, voxels: float, asked: argparse.Namespace, costs: dict[str, Any]) -> None:
    print(f"\n{name}, {asked.tissue:.0%} tissue, storage {asked.storage:g} GB/s")
    last, told = math.inf, False
    for workers in _WORKERS:
        seconds: dict[str, float] = {}
        for part in parts_of(voxels, asked.tissue, workers, costs):
            took = simulate(part, workers, task_s=costs["task_s"], bytes_per_s=1e9 * asked.storage)
            seconds[part.name] = seconds.get(part.name, 0.0) + took
        total = sum(seconds.values())
        shares = ", ".join(f"{part} {s / total:.0%}" for part, s in seconds.items())
        stops = not told and last / total < 1.5
        told = told or stops
        mark = "  <- twice the workers bring less than 1.5 times" if stops else ""
        print(f"{workers:5d} workers {total / 3600:10.2f} h  ({shares}){mark}")
        last = total


def _prepared(known: dict[str, Any], gpu: float) -> dict[str, Any]:
    return {
        **known,
        "window_s": known["window_s"] / gpu,
        "task_s": known["workers_2"]["task_s"],
    }


if __name__ == "__main__":
    main()
