"""Leads a network over a volume and yields the stitched probability, slab by slab along Z.

Memory holds one layer of windows whatever the depth of the volume, or of the block of it that is
asked for (`window_blocks`). Every slab can be computed
without the ones before it, with bit-identical values, which is what makes runs resumable.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from cellseg_app.core.progress import StageProgress
from cellseg_app.core.volume import LazyArray
from cellseg_app.inference.emptiness import EmptyWindows
from cellseg_app.inference.feed import (
    Needed,
    WindowBatch,
    WindowFeed,
    WindowPlace,
    needed_starts,
)
from cellseg_app.inference.predictor import WindowPredictor
from cellseg_app.inference.stitching import Placement, Stitcher
from cellseg_app.inference.windows import (
    WindowGrid,
    first_layer_of_slab,
    slab_bounds,
)

_log = logging.getLogger(__name__)


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
    empty: EmptyWindows | None = None,
    needed: Needed | None = None,
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
    empty
        Tells windows that are skipped; None computes every window.
    needed
        Tells which regions of the image anyone looks at; windows that meet none are neither read
        nor computed, and what only they cover is 0. None computes every window.

    Raises
    ------
    MemoryError
        Nothing smaller is left to try.
    """
    next_slab, attempt = first_slab, placement
    while True:
        try:
            predictor = make_predictor(attempt.device)
            stitcher = Stitcher(grid, attempt, spill_folder)
            feed = WindowFeed(image, grid, attempt.batch, empty, needed)
            for slab in _slabs(feed, predictor, stitcher, next_slab, stage):
                yield slab
                next_slab = slab.number + 1
            return
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            attempt = _step_down(attempt, error)


def windows_to_run(grid: WindowGrid, first_slab: int = 0, needed: Needed | None = None) -> int:
    """How many windows are left when slabs before `first_slab` exist."""
    bounds = slab_bounds(grid)
    if first_slab >= len(bounds):
        return 0
    layers = range(first_layer_of_slab(grid, first_slab), len(bounds))
    return sum(len(needed_starts(grid, layer, needed)) for layer in layers)


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
    feed: WindowFeed,
    predictor: WindowPredictor,
    stitcher: Stitcher,
    first_slab: int,
    stage: StageProgress,
) -> Iterator[Slab]:
    """Slabs, while one thread reads ahead and another keeps the network busy."""
    bounds = slab_bounds(feed.grid)
    if first_slab >= len(bounds):
        return
    reader, network = ThreadPoolExecutor(1, "window-reader"), ThreadPoolExecutor(1, "network")
    layers = range(first_layer_of_slab(feed.grid, first_slab), len(bounds))
    known = _KnownAnswers()
    try:
        answers = _answers(feed.batches(layers, reader), predictor, network, stage)
        groups = itertools.groupby(answers, lambda answer: answer[0].layer)
        upcoming = next(groups, None)
        for number in layers:
            stitcher.begin_layer(number)
            # A layer in which nobody needs a window has no answers.
            if upcoming is not None and upcoming[0] == number:
                for batch, answer in upcoming[1]:
                    _stitch(stitcher, batch, answer, known=known, empty=feed.empty)
                    stage.advance(len(batch.places))
                upcoming = next(groups, None)
            begin, end = bounds[number]
            if number >= first_slab:
                planes = stitcher.finished(begin, end, classes=predictor.card.classes)
                yield Slab(number, begin, end, planes)
    finally:
        network.shutdown(cancel_futures=True)
        reader.shutdown(cancel_futures=True)


def _stitch(
    stitcher: Stitcher,
    batch: WindowBatch,
    answer: torch.Tensor | None,
    *,
    known: _KnownAnswers,
    empty: EmptyWindows | None,
) -> None:
    for place in batch.places:
        own = known.of(place, answer)
        if own is not None:
            stitcher.add(place.number, own)
        elif empty is not None:
            stitcher.add_constant(place.number, empty.fill)


class _KnownAnswers:
    """Answers of windows: their own, or that of an earlier window of the same single value."""

    def __init__(self) -> None:
        self._constants: dict[float, torch.Tensor] = {}

    def of(self, place: WindowPlace, answer: torch.Tensor | None) -> torch.Tensor | None:
        """The answer (C, Z, Y, X) of one window of a batch; None if it was skipped."""
        if place.in_batch is not None and answer is not None:
            own = answer[place.in_batch]
            if place.constant is not None:
                self._constants[place.constant] = own.clone()
            return own
        return None if place.constant is None else self._constants[place.constant]


def _answers(
    batches: Iterator[WindowBatch],
    predictor: WindowPredictor,
    network: ThreadPoolExecutor,
    stage: StageProgress,
) -> Iterator[tuple[WindowBatch, torch.Tensor | None]]:
    """Batches with the network's answers; it works on the next one while one is stitched."""

    broken: list[BaseException] = []

    def answered(windows: npt.NDArray[Any]) -> torch.Tensor:
        # What waits in the queue when cancelling is asked for, or after a failure, runs no more.
        stage.check()
        if broken:
            raise broken[0]
        try:
            return predictor(windows)
        except BaseException as error:
            broken.append(error)
            raise

    before: tuple[WindowBatch, Future[torch.Tensor] | None] | None = None
    for batch in batches:
        stage.check()
        future = None if batch.windows is None else network.submit(answered, batch.windows)
        if before is not None:
            yield before[0], None if before[1] is None else before[1].result()
        before = (batch, future)
    if before is not None:
        yield before[0], None if before[1] is None else before[1].result()
