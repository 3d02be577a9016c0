"""Reads windows ahead of the network and tells those that need none."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from cellseg_app.core.blocks import Region
from cellseg_app.core.volume import LazyArray, ShapeZYX
from cellseg_app.inference.emptiness import EmptyWindows
from cellseg_app.inference.windows import WindowGrid, layer_starts, read_reflected, window_region

# Batches read before the network asks for them.
_READ_AHEAD: Final = 2
# Where a volume was padded there is one value only; so many such values get one answer each.
_KNOWN_CONSTANTS: Final = 8
Needed = Callable[[Region], bool]


class WindowRead(NamedTuple):
    """One window as it was read.

    Attributes
    ----------
    number
        Its number per axis.
    voxels
        Raw (Z, Y, X); None if it need not run.
    constant
        The one value of a window that holds nothing else.
    """

    number: ShapeZYX
    voxels: npt.NDArray[Any] | None
    constant: float | None = None


class WindowPlace(NamedTuple):
    """Where the answer of a window is: in its batch, else known for its constant, else nowhere."""

    number: ShapeZYX
    in_batch: int | None
    constant: float | None


class WindowBatch(NamedTuple):
    """Windows of one layer.

    Attributes
    ----------
    layer
        Its number in the grid.
    places
        All of them, in the order in which they are stitched.
    windows
        Raw, (N, Z, Y, X), those that run; the last ones may only fill the batch. None if none runs.
    """

    layer: int
    places: list[WindowPlace]
    windows: npt.NDArray[Any] | None


@dataclass(frozen=True)
class WindowFeed:
    """Reads windows ahead of the network, in the order in which they are stitched."""

    image: LazyArray
    grid: WindowGrid
    batch: int
    empty: EmptyWindows | None
    needed: Needed | None = None

    @property
    def at_once(self) -> int:
        """How many windows the network is given, always: its last bits depend on it."""
        return max(1, min(self.batch, self.grid.at_once or self.batch))

    def batches(self, layers: range, reader: ThreadPoolExecutor) -> Iterator[WindowBatch]:
        waiting: deque[tuple[int, Future[list[WindowRead]]]] = deque()
        gathered = _Gathered(self.at_once)
        for number in layers:
            starts = needed_starts(self.grid, number, self.needed)
            for first in range(0, len(starts), self.batch):
                part = starts[first : first + self.batch]
                waiting.append((number, reader.submit(self._read, part)))
                if len(waiting) > _READ_AHEAD:
                    yield from _filled(waiting, gathered)
        while waiting:
            yield from _filled(waiting, gathered)

    def needs(self, start_zyx: tuple[int, int, int]) -> bool:
        """Whether anyone looks at a window."""
        return self.needed is None or self.needed(window_region(self.grid, start_zyx))

    def holds_something(self, start_zyx: tuple[int, int, int]) -> bool:
        """Whether a window has to run; a coarser copy tells it without reading the window."""
        if self.empty is not None and self.empty.coarse is not None:
            return not self.empty.region_holds_nothing(window_region(self.grid, start_zyx))
        (read,) = self._read([((0, 0, 0), start_zyx)])
        return read.voxels is not None and read.constant is None

    def _read(self, part: list[tuple[ShapeZYX, tuple[int, int, int]]]) -> list[WindowRead]:
        read = []
        for number, start in part:
            empty = self.empty
            if empty is not None and empty.region_holds_nothing(window_region(self.grid, start)):
                read.append(WindowRead(number, None))
                continue
            voxels = read_reflected(self.image, start, self.grid.window_zyx)
            if empty is not None and empty.coarse is None and empty.holds_nothing(voxels):
                read.append(WindowRead(number, None))
            else:
                read.append(WindowRead(number, voxels, _constant(voxels)))
        return read


def needed_starts(
    grid: WindowGrid, layer: int, needed: Needed | None
) -> list[tuple[ShapeZYX, tuple[int, int, int]]]:
    """The windows of a layer, as `layer_starts` gives them, without those nobody needs."""
    starts = layer_starts(grid, layer)
    if needed is None:
        return starts
    return [one for one in starts if needed(window_region(grid, one[1]))]


class _Gathered:
    """Windows that wait until there are enough of them for a batch."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._places: list[WindowPlace] = []
        self._voxels: list[npt.NDArray[Any]] = []
        self._constants: set[float] = set()

    def add(self, read: WindowRead) -> None:
        runs = read.voxels is not None and read.constant not in self._constants
        self._places.append(
            WindowPlace(read.number, len(self._voxels) if runs else None, read.constant)
        )
        if runs and read.voxels is not None:
            self._voxels.append(read.voxels)
            if read.constant is not None and len(self._constants) < _KNOWN_CONSTANTS:
                self._constants.add(read.constant)

    @property
    def is_complete(self) -> bool:
        """Whether what is here need not wait for more: a full batch, or nothing that runs."""
        return len(self._voxels) in (0, self._at_once)

    def batch(self, layer: int) -> WindowBatch:
        voxels = self._voxels
        fill = self._at_once - len(voxels)
        windows = np.stack([*voxels, *[voxels[-1]] * fill]) if voxels else None
        places, self._places, self._voxels = self._places, [], []
        return WindowBatch(layer, places, windows)

    def __bool__(self) -> bool:
        return bool(self._places)


def _filled(
    waiting: deque[tuple[int, Future[list[WindowRead]]]], gathered: _Gathered
) -> Iterator[WindowBatch]:
    """Batches that one more part completes; at the end of a layer, the rest too."""
    layer, future = waiting.popleft()
    for read in future.result():
        gathered.add(read)
        if gathered.is_complete:
            yield gathered.batch(layer)
    if gathered and (not waiting or waiting[0][0] != layer):
        yield gathered.batch(layer)


def _constant(window: npt.NDArray[Any]) -> float | None:
    first = window.flat[0]
    if first != window.flat[-1] or window.min() != window.max():
        return None
    return float(first)
