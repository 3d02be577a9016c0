"""Leads a network over a volume and yields the stitched probability, slab by slab along Z.

Memory holds one layer of windows whatever the depth of the volume. Every slab can be computed
without the ones before it, with bit-identical values, which is what makes runs resumable.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from cellseg_app.core.progress import StageProgress
from cellseg_app.core.volume import LazyArray, ShapeZYX
from cellseg_app.inference.predictor import WindowPredictor
from cellseg_app.inference.windows import (
    WindowGrid,
    first_layer_of_slab,
    layer_starts,
    read_reflected,
    slab_bounds,
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the work is done: device of the network, windows at once, where they are stitched."""

    device: str
    batch: int
    stitch: Literal["device", "cpu", "disk"]

    def smaller(self) -> Placement | None:
        """The next thing to try when memory ran out; None when nothing is left to try."""
        if self.batch > 1:
            return replace(self, batch=self.batch // 2)
        if self.stitch == "device" and self.device != "cpu":
            return replace(self, stitch="cpu")
        if self.stitch != "disk":
            return replace(self, stitch="disk")
        if self.device != "cpu":
            return replace(self, device="cpu")
        return None


@dataclass(frozen=True, slots=True)
class Slab:
    """A finished range of planes.

    Attributes
    ----------
    number
        Its place in the order of slabs.
    begin, end
        First plane, and the plane after the last.
    probability
        float16, shape (C, end − begin, Y, X).
    """

    number: int
    begin: int
    end: int
    probability: npt.NDArray[np.float16]


def predict_slabs(
    image: LazyArray,
    make_predictor: Callable[[str], WindowPredictor],
    grid: WindowGrid,
    *,
    placement: Placement,
    stage: StageProgress,
    first_slab: int = 0,
    spill_folder: Path | None = None,
) -> Iterator[Slab]:
    """Yield the slabs of the probability from `first_slab` on.

    When memory runs out the work goes on at the unfinished slab with a smaller batch, then with
    stitching in main memory, then on disk, then with the network on the CPU; each step is logged.

    Parameters
    ----------
    image
        The volume as the network is to see it, axes Z, Y, X, raw intensities.
    make_predictor
        Gives the network on a device.
    grid
        The windows; `grid.shape_zyx` equals the image's shape.
    placement
        Where to begin with.
    stage
        Counts one step per window (`windows_to_run`) and raises `Cancelled` when asked to.
    first_slab
        Slabs before it exist already.
    spill_folder
        Where stitching goes when main memory is too small; None means the system's own place.

    Raises
    ------
    MemoryError
        Nothing smaller is left to try.
    """
    next_slab, attempt = first_slab, placement
    while True:
        try:
            predictor = make_predictor(attempt.device)
            stitcher = _Stitcher(grid, attempt, spill_folder)
            for slab in _slabs(image, predictor, stitcher, next_slab, stage):
                yield slab
                next_slab = slab.number + 1
            return
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            attempt = _step_down(attempt, error)


def windows_to_run(grid: WindowGrid, first_slab: int = 0) -> int:
    """How many windows are left when slabs before `first_slab` exist."""
    bounds = slab_bounds(grid)
    if first_slab >= len(bounds):
        return 0
    per_layer = len(grid.axes[1].starts) * len(grid.axes[2].starts)
    return per_layer * (len(bounds) - first_layer_of_slab(grid, first_slab))


def _is_out_of_memory(error: BaseException) -> bool:
    # oneDNN and the CPU allocator announce exhaustion as plain RuntimeErrors.
    words = ("out of memory", "can't allocate memory", "could not allocate", "bad_alloc")
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(
        word in str(error).lower() for word in words
    )


def _step_down(attempt: Placement, error: BaseException) -> Placement:
    smaller = attempt.smaller()
    if smaller is None:
        raise MemoryError(str(error)) from error
    _log.warning(
        "Memory ran out (%s, %d windows at once, stitching on %s); going on with %s, "
        "%d windows at once, stitching on %s.",
        *(attempt.device, attempt.batch, attempt.stitch),
        *(smaller.device, smaller.batch, smaller.stitch),
    )
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return smaller


def _slabs(
    image: LazyArray,
    predictor: WindowPredictor,
    stitcher: _Stitcher,
    first_slab: int,
    stage: StageProgress,
) -> Iterator[Slab]:
    grid = stitcher.grid
    bounds = slab_bounds(grid)
    if first_slab >= len(bounds):
        return
    with ThreadPoolExecutor(1, "window-reader") as reader:
        for number in range(first_layer_of_slab(grid, first_slab), len(bounds)):
            stitcher.begin_layer(number)
            for indices, windows in _read_ahead(image, grid, number, stitcher.batch, reader):
                stage.check()
                stitcher.add(indices, predictor(windows))
                stage.advance(len(indices))
            begin, end = bounds[number]
            if number >= first_slab:
                yield Slab(number, begin, end, stitcher.finished(begin, end))


def _read_ahead(
    image: LazyArray, grid: WindowGrid, number: int, batch: int, reader: ThreadPoolExecutor
) -> Iterator[tuple[list[ShapeZYX], npt.NDArray[Any]]]:
    """Batches of one layer, the next one being read while the network is busy with this one."""
    windows = layer_starts(grid, number)
    batches = [windows[i : i + batch] for i in range(0, len(windows), batch)]

    def read(part: list[tuple[ShapeZYX, tuple[int, int, int]]]) -> npt.NDArray[Any]:
        return np.stack([read_reflected(image, start, grid.window_zyx) for _, start in part])

    pending = reader.submit(read, batches[0])
    for part, following in zip(batches, [*batches[1:], None], strict=True):
        block = pending.result()
        if following is not None:
            pending = reader.submit(read, following)
        yield [index for index, _ in part], block


class _Stitcher:
    """Adds weighted windows into a buffer one window deep that moves down the volume."""

    def __init__(self, grid: WindowGrid, placement: Placement, spill_folder: Path | None) -> None:
        self.grid = grid
        self.batch = placement.batch
        self._on_disk = placement.stitch == "disk"
        self._device = placement.device if placement.stitch == "device" else "cpu"
        self._spill_folder = spill_folder
        self._buffer: torch.Tensor | None = None
        self._top = grid.axes[0].starts[0]

    def begin_layer(self, number: int) -> None:
        """Move the buffer down to a layer, keeping what overlaps with it."""
        top = self.grid.axes[0].starts[number]
        shift, self._top = top - self._top, top
        if self._buffer is None or shift == 0:
            return
        kept = self._buffer.shape[1] - shift
        if kept > 0:
            self._buffer[:, :kept] = self._buffer[:, shift:].clone()
        self._buffer[:, max(kept, 0) :] = 0

    def add(self, indices: list[ShapeZYX], probabilities: torch.Tensor) -> None:
        """Add windows (N, C, Z, Y, X), each weighted by its place in the grid."""
        for index, probability in zip(indices, probabilities.to(self._device), strict=True):
            weighted = probability
            target, source = [slice(None)], [slice(None)]
            for dim, (axis, i) in enumerate(zip(self.grid.axes, index, strict=True)):
                weights = torch.from_numpy(axis.weights[i]).to(self._device)
                shape = [-1 if d == dim else 1 for d in range(3)]
                weighted = weighted * weights.view(1, *shape)
                # The buffer is as deep as a window; along Y and X it holds the volume alone.
                start = 0 if dim == 0 else axis.starts[i]
                stop = axis.window if dim == 0 else axis.size
                low, high = max(0, start), min(stop, start + axis.window)
                target.append(slice(low, high))
                source.append(slice(low - start, high - start))
            self._ready(probability.shape[0])[tuple(target)] += weighted[tuple(source)]

    def finished(self, begin: int, end: int) -> npt.NDArray[np.float16]:
        """Planes begin…end of the volume, which no later layer reaches."""
        if self._buffer is None:
            raise ValueError("no window was added")
        part = self._buffer[:, begin - self._top : end - self._top]
        planes: npt.NDArray[np.float16] = part.to(torch.float16).cpu().numpy()
        return planes

    def _ready(self, classes: int) -> torch.Tensor:
        if self._buffer is None:
            depth, (_, height, width) = self.grid.window_zyx[0], self.grid.shape_zyx
            shape = (classes, depth, height, width)
            self._buffer = self._on_spill(shape) if self._on_disk else self._zeros(shape)
        return self._buffer

    def _zeros(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.zeros(shape, dtype=torch.float32, device=self._device)

    def _on_spill(self, shape: tuple[int, ...]) -> torch.Tensor:
        with tempfile.TemporaryFile(dir=self._spill_folder) as file:
            return torch.from_numpy(np.memmap(file, np.float32, "w+", shape=shape))
