"""Running one function over the blocks of a volume, results in block order.

On a few threads of this process, or wherever a `BlockRunner` takes it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import psutil

from cellseg_app.core.blocks import Region, block_regions
from cellseg_app.core.errors import InputError, SettingsError
from cellseg_app.core.progress import CancelToken, ProgressSink, StageProgress
from cellseg_app.core.volume import LazyArray, ShapeZYX

if TYPE_CHECKING:
    from cellseg_app.analysis.kept import KeptBlocks

Item = TypeVar("Item")
Result = TypeVar("Result")
Labels = npt.NDArray[np.uint32]
Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Ids = npt.NDArray[np.signedinteger[Any]]

# Small enough for the caches, large enough that what is done per block does not count.
DEFAULT_BLOCK_ZYX: ShapeZYX = (64, 256, 256)


def all_cores() -> int:
    """As many workers as keep the processor busy: the arithmetic gains nothing from more."""
    return psutil.cpu_count(logical=False) or 1


class WritableArray(LazyArray, Protocol):
    """An array in memory, a memory map or a Zarr array: blocks are read and written by slices."""

    def __setitem__(self, key: tuple[slice, ...], value: npt.NDArray[Any], /) -> None: ...


class BlockRunner(Protocol):
    """Where the work on blocks is done, if not on threads of this process.

    What is sent to another process is pickled: `work` must take effect through files alone.
    """

    def map(
        self,
        items: Sequence[Item],
        work: Callable[[Item], Result],
        /,
        *,
        waiting: Callable[[], None] | None = None,
    ) -> Iterator[Result]:
        """Yield `work(item)` in the order of `items`; only a bounded number is under way.

        `waiting` is called now and then while none is ready; what it raises ends the work.
        """
        ...


@dataclass(frozen=True, slots=True)
class Threads:
    """The usual place: threads. The libraries used leave the interpreter free as they compute."""

    workers: int = 1

    def map(
        self,
        items: Sequence[Item],
        work: Callable[[Item], Result],
        /,
        *,
        waiting: Callable[[], None] | None = None,
    ) -> Iterator[Result]:
        """Yield `work(item)` in order; at most `workers` + 1 results exist at a time."""
        if self.workers <= 1 or len(items) <= 1:
            yield from map(work, items)
            return
        with ThreadPoolExecutor(max_workers=self.workers) as pool:
            running: deque[Future[Result]] = deque()
            try:
                for item in items:
                    running.append(pool.submit(work, item))
                    if len(running) > self.workers:
                        yield running.popleft().result()
                while running:
                    yield running.popleft().result()
            finally:
                for future in running:
                    future.cancel()


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """How the work on a volume is cut and spread.

    Attributes
    ----------
    block_zyx
        Voxels of a block; memory grows with it, results do not depend on it.
    workers
        Threads.
    progress, cancel
        Where every block is reported, and how to stop.
    runner
        Where blocks are worked on instead of on threads here.
    kept
        Where results of blocks are kept for a run that is taken up again.
    considerate
        A window in this process goes on meanwhile: no call keeps Python's lock for long.
    """

    block_zyx: ShapeZYX = DEFAULT_BLOCK_ZYX
    workers: int = 1
    progress: ProgressSink | None = None
    cancel: CancelToken | None = None
    runner: BlockRunner | None = None
    kept: KeptBlocks | None = None
    considerate: bool = False

    def __reduce__(self) -> tuple[type[BlockPlan], tuple[ShapeZYX]]:
        # In another process the cut is all that means something.
        return BlockPlan, (self.block_zyx,)

    def map(
        self, shape_zyx: ShapeZYX, work: Callable[[Region], Result], *, stage: str
    ) -> Iterator[Result]:
        """Yield `work(core)` for every block, in raster order."""
        return self.map_items(block_regions(shape_zyx, self.block_zyx), work, stage=stage)

    def map_items(
        self, items: Sequence[Item], work: Callable[[Item], Result], *, stage: str
    ) -> Iterator[Result]:
        """Yield `work(item)` for some of the blocks, or for what belongs to them, in order.

        Parameters
        ----------
        items
            What to work on.
        work
            Must not depend on the order of the calls.
        stage
            Name of the progress reports.

        Raises
        ------
        Cancelled
            Between two blocks, once cancelling was asked for.
        """
        steps = StageProgress(self.progress, stage, len(items), cancel=self.cancel)
        steps.check()
        runner = self.runner or Threads(self.workers)
        for result in runner.map(items, work, waiting=steps.check):
            steps.advance()
            yield result

    def run(self, shape_zyx: ShapeZYX, work: Callable[[Region], None], *, stage: str) -> None:
        """Call `work` for every block, for its effect."""
        for _ in self.map(shape_zyx, work, stage=stage):
            pass


def shape_zyx(array: LazyArray) -> ShapeZYX:
    """The shape of a three-dimensional array.

    Raises
    ------
    InputError
        If the array has not exactly three axes, or no voxels.
    """
    if array.ndim != 3 or 0 in array.shape:
        problem = f"Expected a volume with axes Z, Y, X, got an array of shape {array.shape}."
        raise InputError(problem, "Choose one channel and one time point.")
    z, y, x = array.shape
    return z, y, x


def read_probability(probability: LazyArray, region: tuple[slice, ...]) -> Floats:
    """Read part of a probability map as float32.

    Raises
    ------
    InputError
        If a voxel is not a number: thresholds would silently drop it.
    """
    block = np.asarray(probability[region])
    values = block.astype(np.float32, copy=False)
    if values.size and np.isnan(values.max()):
        raise InputError(
            "The probability map holds voxels that are not a number (NaN).",
            "Run the network again, or repair the file.",
        )
    return values


def check_labels_array(labels_out: WritableArray, expected: ShapeZYX) -> None:
    """Refuse an output that cannot hold every label.

    Raises
    ------
    SettingsError
        If the shape differs from the volume's, or ids above 65,535 would not fit.
    """
    if tuple(labels_out.shape) != expected:
        problem = f"The label array has shape {labels_out.shape}, the volume {expected}."
        raise SettingsError(problem)
    if labels_out.dtype.kind not in "ui" or labels_out.dtype.itemsize < 4:
        problem = f"Labels need 32-bit integers while they are made, not {labels_out.dtype}."
        raise SettingsError(problem, "Narrow them when they are written.")
