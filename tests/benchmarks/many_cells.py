"""What very many cells cost in memory where the blocks of a volume are put together.

    python -m tests.benchmarks.many_cells FOLDER [--cells 1000000 10000000] [--part measuring peaks]

Balls on a lattice of eight voxels fill a volume of as many cells as asked for; every block holds
8,192 of them, of which 18 % are cut by its faces. `measuring` begins where the sums of every block
stand on disk, as a run of a large volume leaves them, joins them and writes the table. `peaks`
begins where the summits of every block are known, keeps them on disk as such a run does, joins
and numbers them. Nothing else is computed: every block is the same. Each part runs in a process of
its own; printed are the largest memory it took beyond what it held when its work began, that per
cell, and processor time.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import multiprocessing
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

from cellseg_app.analysis import measure
from cellseg_app.analysis.instances import cell_peaks, segment_instances
from cellseg_app.analysis.kept import KeptBlocks
from cellseg_app.analysis.measure import measure_cells
from cellseg_app.analysis.moments import Moments, move_origin
from cellseg_app.core.blocks import Region, block_regions, region_origin, region_shape
from cellseg_app.core.volume import ShapeZYX, SpacingZYX
from cellseg_app.io.parquet_table import has_pyarrow
from cellseg_app.pipeline.cell_table import write_table
from cellseg_app.pipeline.reporting import Reporting

_BLOCK: ShapeZYX = (64, 256, 256)
_PITCH = 8
_RADIUS = 3.2
_PER_BLOCK = 8 * 32 * 32
_SPACING: SpacingZYX = (2.0, 1.0, 1.0)


@dataclass(frozen=True)
class Lattice:
    """Balls around every eighth voxel of a volume of so many blocks along Z, Y, X."""

    blocks_zyx: ShapeZYX

    @classmethod
    def of(cls, n_cells: int) -> Lattice:
        """About so many balls in about a cube."""
        n_blocks = n_cells / _PER_BLOCK
        side = max(1, round((n_blocks / 4) ** (1 / 3)))
        return cls((max(1, round(n_blocks / side**2)), side, side))

    @property
    def shape_zyx(self) -> ShapeZYX:
        """Voxels of the volume."""
        z, y, x = (n * step for n, step in zip(self.blocks_zyx, _BLOCK, strict=True))
        return z, y, x

    @property
    def n_cells(self) -> int:
        """How many balls there are."""
        return math.prod(n // _PITCH + 1 for n in self.shape_zyx)

    def ids(self, origin: ShapeZYX) -> npt.NDArray[np.int64]:
        """Of the balls that a block has a part of, in their raster order."""
        _, n_y, n_x = (n // _PITCH + 1 for n in self.shape_zyx)
        z, y, x = (
            np.arange(start // _PITCH, (start + step) // _PITCH + 1, dtype=np.int64)
            for start, step in zip(origin, _BLOCK, strict=True)
        )
        ids = (z[:, None, None] * n_y + y[:, None]) * n_x + x + 1
        return np.asarray(ids.ravel(), np.int64)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cells", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--part", nargs="+", choices=["measuring", "peaks"], default=["measuring"])
    asked = parser.parse_args()
    for n in asked.cells:
        for part in asked.part:
            folder = asked.folder / f"{part}-{n}"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            lattice = Lattice.of(n)
            if part == "measuring":
                _keep_sums(lattice, folder)
            work = _measuring if part == "measuring" else _peaks
            context = multiprocessing.get_context("spawn")
            process = context.Process(target=_measured, args=(work, lattice, folder))
            process.start()
            process.join()
            shutil.rmtree(folder)


def _measured(work: Callable[[Lattice, Path], int], lattice: Lattice, folder: Path) -> None:
    if has_pyarrow():
        # Its libraries take 150 MB, however many cells there are.
        importlib.import_module("pyarrow.parquet")
    before, begin = psutil.Process().memory_info().rss, time.process_time()
    with _watched() as memory:
        n = work(lattice, folder)
    peak = max(memory) - before
    told = {
        "part": work.__name__.strip("_"),
        "cells": n,
        "peak_mb": round(peak / 1e6),
        "bytes_per_cell": round(peak / n),
        "processor_s": round(time.process_time() - begin, 1),
    }
    print(json.dumps(told), flush=True)


@contextmanager
def _watched() -> Iterator[list[int]]:
    """Resident memory of this process, looked at often."""
    seen, ended = [0], threading.Event()

    def look() -> None:
        process = psutil.Process()
        while not ended.wait(0.01):
            seen.append(max(seen[-1], process.memory_info().rss))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        ended.set()
        watcher.join()


class _Unread:
    """An array that nobody needs to look into, for everything about it is known."""

    def __init__(self, shape_zyx: ShapeZYX, dtype: npt.DTypeLike) -> None:
        self.shape: tuple[int, ...] = shape_zyx
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.ndim = 3

    def __getitem__(self, key: tuple[slice, ...], /) -> npt.NDArray[Any]:
        raise AssertionError(key)


def _numbers(region: Region) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Of every voxel, the ball around the nearest centre, counted from 0, and how far that is."""
    voxels = [np.arange(part.start, part.stop) for part in region]
    nearest = [np.rint(v / _PITCH).astype(np.int64) for v in voxels]
    z, y, x = (n - n.min() for n in nearest)
    number = (z[:, None, None] * (y.max() + 1) + y[:, None]) * (x.max() + 1) + x
    z, y, x = ((v - n * _PITCH) ** 2 for v, n in zip(voxels, nearest, strict=True))
    return number, np.sqrt(z[:, None, None] + y[:, None] + x)


def _keep_sums(lattice: Lattice, folder: Path) -> None:
    """Write what measuring finds in each block, from one that was measured."""
    # The block at 0, and one voxel around it.
    number, far = _numbers((slice(-1, 65), slice(-1, 257), slice(-1, 257)))
    labels = np.where(far < _RADIUS, number + 1, 0).astype(np.uint32)
    heights = np.where(labels, 1 - far / _PITCH, 0).astype(np.float32)
    image = (heights * 1000 + labels % 251).astype(np.uint16)
    core = (slice(1, 65), slice(1, 257), slice(1, 257))
    sources = measure._Sources(labels, image, heights)
    shape: ShapeZYX = (labels.shape[0], labels.shape[1], labels.shape[2])
    sums = measure._sum_block(core, sources, shape=shape, surface_spacing=_SPACING)
    found = folder / "found" / "Measuring cells"
    found.mkdir(parents=True)
    for block in block_regions(lattice.shape_zyx, _BLOCK):
        origin = region_origin(block)
        shift = np.asarray(origin, np.int64) - 1
        own = sums.moments
        moments = Moments(
            lattice.ids(origin), move_origin(own.sums, shift), own.low + shift, own.high + shift
        )
        arrays = {**sums.arrays(), **{f"moments_{k}": v for k, v in moments.arrays().items()}}
        np.savez(found / ("_".join(map(str, origin)) + ".npz"), allow_pickle=False, **arrays)


def _measuring(lattice: Lattice, folder: Path) -> int:
    shape = lattice.shape_zyx
    table = measure_cells(
        _Unread(shape, np.uint32),
        _Unread(shape, np.uint16),
        _Unread(shape, np.float32),
        spacing_um_zyx=_SPACING,
        n_cells=lattice.n_cells,
        block_zyx=_BLOCK,
        kept=KeptBlocks(folder / "found"),
    )
    write_table(folder / "cells.csv", table, lattice.n_cells, Reporting())
    return lattice.n_cells


class _Map(_Unread):
    """A probability with a summit at every ball; the floods of neighbours meet."""

    def __getitem__(self, key: tuple[slice, ...], /) -> npt.NDArray[Any]:
        z, y, x = key
        return (1 - _numbers((z, y, x))[1] / _PITCH).astype(np.float32)


class _SameBlocks(_Unread):
    """Remembers only the first block that is written."""

    def __init__(self, shape_zyx: ShapeZYX) -> None:
        super().__init__(shape_zyx, np.uint32)
        self._block: npt.NDArray[Any] | None = None

    def __getitem__(self, key: tuple[slice, ...], /) -> npt.NDArray[Any]:
        assert self._block is not None
        return self._block

    def __setitem__(self, key: tuple[slice, ...], value: npt.NDArray[Any], /) -> None:
        if self._block is None:
            self._block = value.copy()


def _peaks(lattice: Lattice, folder: Path) -> int:
    shape, label_block = lattice.shape_zyx, cell_peaks._label_block
    found: list[Any] = []

    def same(job: Any, landscape: Any, reach: Region, depth: float) -> Any:
        if not found:
            first = (slice(0, 65), slice(0, 257), slice(0, 257))
            found.append(label_block(job, landscape, first, depth))
        z, y, x = region_shape(reach)
        return replace(found[0], labels=found[0].labels[:z, :y, :x])

    cell_peaks._label_block = same
    result = segment_instances(
        _Map(shape, np.float32),
        _SameBlocks(shape),
        threshold=0.3,
        block_zyx=_BLOCK,
        kept=KeptBlocks(folder / "found"),
    )
    return result.n_cells


if __name__ == "__main__":
    main()
