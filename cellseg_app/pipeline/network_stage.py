"""The network's part of a run: fills the workspace with the probability, slab by slab.

Volumes too large for one layer of windows in memory are filled block by block; the voxels come out
the same, and every block can go on where it was interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cellseg_app.core.blocks import Region, region_shape, whole
from cellseg_app.core.progress import StageProgress
from cellseg_app.core.volume import LazyArray
from cellseg_app.inference.balance import find_work, shared_blocks
from cellseg_app.inference.feed import WindowFeed
from cellseg_app.inference.session import NetworkSession
from cellseg_app.inference.window_blocks import network_blocks
from cellseg_app.inference.windows import sample_starts
from cellseg_app.io.bands import BandedArray
from cellseg_app.io.chunked import CHUNK_ZYX, ChunkedArray, chunk_maxima
from cellseg_app.pipeline.reporting import Reporting
from cellseg_app.pipeline.workspace import MOST_FLAT_VOXELS, BlockProgress, Workspace

# What stitching one layer of windows may take; blocks are narrower where it would take more.
LAYER_BYTES: Final = 256 * 1024**2

# What a run will take is told from so many windows, as if a few more of them held something.
_LOOKED_INTO: Final = 96
_DOUBT: Final = 3

RunBlocks = Callable[[Sequence[Region], StageProgress], None]


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """How a volume is cut for the network, and what an interrupted run has left to do.

    Attributes
    ----------
    blocks
        What is worked on one by one; empty for a volume small enough to be one flat file.
    windows_left, n_windows
        How many windows are still to run, of how many. Those shared by two blocks count twice.
    """

    blocks: tuple[Region, ...]
    windows_left: int
    n_windows: int

    @property
    def is_begun(self) -> bool:
        """Whether an interrupted run has left something."""
        return self.windows_left < self.n_windows


def plan_network(session: NetworkSession, workspace: Workspace, *, workers: int = 0) -> NetworkPlan:
    """Cut the volume, or find how an interrupted run has cut it.

    Parameters
    ----------
    session, workspace
        Network and volume, and where its output goes.
    workers
        How many other processes share the work; blocks are cut so that there are some for each.
    """
    blocks = _remembered_blocks(workspace)
    if not blocks:
        voxels = session.card.classes * math.prod(session.lattice.shape_zyx)
        if not workers and (workspace.slabs_done or voxels <= MOST_FLAT_VOXELS):
            left = session.windows_to_run(workspace.slabs_done)
            return NetworkPlan((), left, session.windows_to_run())
        blocks = _shared_blocks(session, workers) if workers else _own_blocks(session)
    parts = [session.for_block(core) for core in blocks]
    left = sum(
        part.windows_left(workspace.block_progress(number).planes)
        for number, part in enumerate(parts)
    )
    return NetworkPlan(tuple(blocks), left, sum(part.windows_to_run() for part in parts))


def filled_share(session: NetworkSession, *, chunked: bool = False) -> float | None:
    """About how much of a large volume needs the network; None for volumes in flat files."""
    voxels = session.card.classes * math.prod(session.lattice.shape_zyx)
    if not chunked and voxels <= MOST_FLAT_VOXELS:
        return None
    starts = sample_starts(session.grid, _LOOKED_INTO)
    feed = _feed(session)
    asked = [start for start in starts if feed.needs(start)]
    filled = sum(feed.holds_something(start) for start in asked)
    return min(1.0, (filled + _DOUBT) / max(1, len(asked)))


def _own_blocks(session: NetworkSession) -> list[Region]:
    classes = session.card.classes
    return network_blocks(session.grid, CHUNK_ZYX, classes=classes, layer_bytes=LAYER_BYTES)


def _shared_blocks(session: NetworkSession, workers: int) -> list[Region]:
    """A block or more for each worker, of about equal work."""
    work = find_work(_feed(session))
    classes = session.card.classes
    return shared_blocks(
        session.grid, CHUNK_ZYX, work, workers, classes=classes, layer_bytes=LAYER_BYTES
    )


def _feed(session: NetworkSession) -> WindowFeed:
    """For looking at windows without counting them."""
    empty = None if session.empty is None else session.empty.uncounted()
    return WindowFeed(session.image, session.grid, 1, empty, session.needed)


def run_network(
    session: NetworkSession,
    workspace: Workspace,
    report: Reporting,
    plan: NetworkPlan | None = None,
    run_blocks: RunBlocks | None = None,
) -> LazyArray:
    """Return the probability (C, Z, Y, X), float16, on the network's lattice, lying on disk.

    Slabs and blocks that an interrupted run has finished are kept.

    Parameters
    ----------
    session, workspace, report
        Network and volume, where the output goes, who is told.
    plan
        See `plan_network`.
    run_blocks
        Fills the blocks of the plan elsewhere, given the stage to report to.

    Raises
    ------
    Cancelled
        Within one batch of windows; finished slabs stay for the next run.
    """
    plan = plan or plan_network(session, workspace)
    stage = StageProgress(
        report.progress,
        "network",
        plan.n_windows,
        cancel=report.cancel,
        done=plan.n_windows - plan.windows_left,
    )
    if not plan.blocks:
        return _run_flat(session, workspace, stage)
    _remember_blocks(workspace, plan.blocks)
    classes, shape = session.card.classes, session.lattice.shape_zyx
    probability = workspace.chunked_probability(classes, shape)
    if run_blocks is not None:
        run_blocks(plan.blocks, stage)
    else:
        for number, core in enumerate(plan.blocks):
            run_block(
                session, core, number, workspace=workspace, probability=probability, stage=stage
            )
    return workspace.bounded_probability(classes, shape, plan.blocks)


def _run_flat(
    session: NetworkSession, workspace: Workspace, stage: StageProgress
) -> npt.NDArray[np.float16]:
    probability = workspace.probability(session.card.classes, session.lattice.shape_zyx)
    first_slab = workspace.slabs_done
    for slab in session.slabs(stage, first_slab=first_slab, spill_folder=workspace.folder):
        # What is never written takes no room on disk, and reads as 0.
        if session.needed is None or slab.probability.any():
            probability[:, slab.begin : slab.end] = slab.probability
        workspace.slab_finished(slab.number + 1, probability)
    return probability


def run_block(
    session: NetworkSession,
    core: Region,
    number: int,
    *,
    workspace: Workspace,
    probability: ChunkedArray,
    stage: StageProgress,
) -> None:
    """Fill one block of the probability, from the plane on where it was interrupted."""
    known = workspace.block_progress(number)
    depth, height, width = region_shape(core)
    if known.planes >= depth:
        return
    part = session.for_block(core)
    part = replace(part, image=BandedArray(part.image, core, part.grid.window_zyx))
    empty = part.empty
    if empty is not None and empty.coarse is not None:
        z, y, x = empty.coarse.voxels.shape
        banded = BandedArray(empty.coarse.voxels, whole((z, y, x)), (0, 0, 0))
        part = replace(part, empty=replace(empty, coarse=replace(empty.coarse, voxels=banded)))
    rows = _chunk_rows(part, known.planes, stage, workspace)
    done, maxima = known.planes, known.maxima
    chunks = [-(-n // step) for n, step in zip((height, width), CHUNK_ZYX[1:], strict=True)]
    if not done:
        maxima = np.zeros((session.card.classes, 0, *chunks), np.float16)
    z0 = core[0].start
    for row in rows:
        end = done + row.shape[1]
        probability[(slice(None), slice(z0 + done, z0 + end), *core[1:])] = row
        maxima = np.concatenate([maxima, chunk_maxima(row)], axis=1)
        done = end
        workspace.block_advanced(number, BlockProgress(done, maxima))


def _chunk_rows(
    part: NetworkSession, done: int, stage: StageProgress, workspace: Workspace
) -> Iterator[npt.NDArray[np.float16]]:
    """The planes of a block from `done` on, as deep as a chunk at a time."""
    depth, step = part.grid.shape_zyx[0], CHUNK_ZYX[0]
    pending: list[npt.NDArray[Any]] = []
    first = part.slab_of(done)
    for slab in part.slabs(stage, first_slab=first, spill_folder=workspace.folder):
        pending.append(slab.probability[:, max(0, done - slab.begin) :])
        planes = sum(one.shape[1] for one in pending)
        if planes >= step or slab.end == depth:
            joined = np.concatenate(pending, axis=1)
            ready = planes if slab.end == depth else planes // step * step
            for begin in range(0, ready, step):
                yield joined[:, begin : min(begin + step, ready)]
            pending = [joined[:, ready:]]


def _remember_blocks(workspace: Workspace, blocks: Sequence[Region]) -> None:
    """Keep how the volume is cut, for a run that takes this one up on another machine."""
    if not workspace.remembered("blocks"):
        workspace.remember(blocks=[[[s.start, s.stop] for s in core] for core in blocks])


def _remembered_blocks(workspace: Workspace) -> list[Region]:
    blocks: list[Region] = []
    for core in workspace.remembered("blocks") or ():
        z, y, x = (slice(int(start), int(stop)) for start, stop in core)
        blocks.append((z, y, x))
    return blocks
