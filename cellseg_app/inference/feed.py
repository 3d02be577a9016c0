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
_Read = tuple[ShapeZYX, npt.NDArray[Any] | None]
Needed = Callable[[Region], bool]


class WindowBatch(NamedTuple):
    """Windows of one layer; `windows` is None for those that are empty, which are skipped."""

    layer: int
    indices: list[ShapeZYX]
    windows: npt.NDArray[Any] | None


@dataclass(frozen=True)
class WindowFeed:
    """Reads windows ahead of the network, in the order in which they are stitched."""

    image: LazyArray
    grid: WindowGrid
    batch: int
    empty: EmptyWindows | None
    needed: Needed | None = None

    def batches(self, layers: range, reader: ThreadPoolExecutor) -> Iterator[WindowBatch]:
        waiting: deque[tuple[int, Future[list[_Read]]]] = deque()
        kept: list[_Read] = []
        for number in layers:
            starts = needed_starts(self.grid, number, self.needed)
            for first in range(0, len(starts), self.batch):
                part = starts[first : first + self.batch]
                waiting.append((number, reader.submit(self._read, part)))
                if len(waiting) > _READ_AHEAD:
                    yield from self._filled(waiting, kept)
        while waiting:
            yield from self._filled(waiting, kept)

    def _filled(
        self, waiting: deque[tuple[int, Future[list[_Read]]]], kept: list[_Read]
    ) -> Iterator[WindowBatch]:
        """Batches that one more part completes; at the end of a layer, the rest too."""
        layer, future = waiting.popleft()
        for index, window in future.result():
            if window is None:
                yield WindowBatch(layer, [index], None)
                continue
            kept.append((index, window))
            if len(kept) == self.batch:
                yield _joined(layer, kept)
        if kept and (not waiting or waiting[0][0] != layer):
            yield _joined(layer, kept)

    def _read(self, part: list[tuple[ShapeZYX, tuple[int, int, int]]]) -> list[_Read]:
        read: list[_Read] = []
        for index, start in part:
            window = read_reflected(self.image, start, self.grid.window_zyx)
            nothing = self.empty is not None and self.empty.holds_nothing(window)
            read.append((index, None if nothing else window))
        return read


def needed_starts(
    grid: WindowGrid, layer: int, needed: Needed | None
) -> list[tuple[ShapeZYX, tuple[int, int, int]]]:
    """The windows of a layer, as `layer_starts` gives them, without those nobody needs."""
    starts = layer_starts(grid, layer)
    if needed is None:
        return starts
    return [one for one in starts if needed(window_region(grid, one[1]))]


def _joined(layer: int, kept: list[_Read]) -> WindowBatch:
    batch = WindowBatch(
        layer,
        [index for index, _ in kept],
        np.stack([window for _, window in kept if window is not None]),
    )
    kept.clear()
    return batch
