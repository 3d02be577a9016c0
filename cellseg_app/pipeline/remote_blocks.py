"""Blocks of the network's part computed in other processes, which share the files with this one."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from cellseg_app.analysis.blockwise import BlockRunner
from cellseg_app.core.blocks import Region
from cellseg_app.core.progress import CancelToken, StageProgress
from cellseg_app.core.settings import DataSettings, RunSettings
from cellseg_app.core.sources import absolute, as_source
from cellseg_app.inference.devices import use_threads
from cellseg_app.inference.feed import needed_starts
from cellseg_app.inference.session import NetworkSession, SessionTerms
from cellseg_app.inference.windows import window_region
from cellseg_app.io.open import open_volume
from cellseg_app.pipeline.network_stage import run_block
from cellseg_app.pipeline.networks import network_with_hash
from cellseg_app.pipeline.workspace import Workspace

_LOOK_EVERY_S: Final = 1.0
# Blocks are begun in order: those far behind are not under way.
_LOOKED_AT: Final = 256
_Box = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class NetworkOrder:
    """What a process needs to know to compute blocks of a run.

    Attributes
    ----------
    token
        Tells runs apart.
    weights_sha256, weights, input_size
        The network; a process looks for the hash where it lies and loads it once.
    source, data
        The volume.
    terms
        What was chosen for it.
    workspace
        Folder of the unfinished run, where probability and progress go.
    threads
        For the network of one process; 0 leaves that to the process.
    """

    token: str
    weights_sha256: str
    weights: Path
    input_size: int | None
    source: Path
    data: DataSettings
    terms: SessionTerms
    workspace: Path
    threads: int

    @property
    def stop_path(self) -> Path:
        """While this file is there, nobody works on the run."""
        return self.workspace / f"stop-{self.token}"


@dataclass(frozen=True)
class BlockOrder:
    """One block, and which of its windows anyone needs; None for all."""

    core: Region
    number: int
    needed: frozenset[_Box] | None


class Cluster(BlockRunner, Protocol):
    """Other processes, here or elsewhere, that work on blocks."""

    @property
    def n_workers(self) -> int:
        """How many there are."""
        ...

    @property
    def threads(self) -> int:
        """On how many threads each computes a network; 0 leaves that to them."""
        ...


class _StopFile(CancelToken):
    """A wish to stop that other processes see."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = str(path)

    @property
    def cancelled(self) -> bool:
        return super().cancelled or os.path.exists(self._path)

    def raise_if_cancelled(self) -> None:
        if self.cancelled:
            self.cancel()
        super().raise_if_cancelled()


# The latest run's network; loading and compiling take seconds.
_open_sessions: Final[dict[str, NetworkSession]] = {}


def run_remotely(
    session: NetworkSession,
    blocks: Sequence[Region],
    stage: StageProgress,
    *,
    source: Path,
    settings: RunSettings,
    workspace: Workspace,
    cluster: Cluster,
) -> None:
    """Fill the probability of a run, block by block, in the processes of a cluster.

    Every process must reach the volume and the workspace by the same names.
    """
    order = NetworkOrder(
        uuid.uuid4().hex[:12],
        session.loaded.sha256,
        session.loaded.path,
        settings.network.input_size,
        as_source(absolute(source)),
        settings.data,
        session.terms,
        workspace.folder.absolute(),
        cluster.threads,
    )
    unfinished = [
        BlockOrder(core, number, _needed(session.for_block(core)))
        for number, core in enumerate(blocks)
        if workspace.block_progress(number).planes < core[0].stop - core[0].start
    ]
    watch = _Watch(session, unfinished, workspace, stage)
    with _stopping_at_the_end(order):
        for skipped in cluster.map(unfinished, _Worker(order), waiting=watch.look):
            if session.empty is not None:
                session.empty.count_skipped(skipped)
            watch.look()
        watch.look(now=True)


@contextmanager
def _stopping_at_the_end(order: NetworkOrder) -> Iterator[None]:
    try:
        yield
    except BaseException:
        order.stop_path.touch()
        raise


@dataclass(frozen=True)
class _Worker:
    """The work on a block, as another process does it."""

    order: NetworkOrder

    def __call__(self, block: BlockOrder) -> int:
        order = self.order
        stop = _StopFile(order.stop_path)
        stop.raise_if_cancelled()
        session = _session(order)
        if block.needed is not None:
            session = replace(session, needed=_among(block.needed))
        before = 0 if session.empty is None else session.empty.n_skipped
        workspace = Workspace.at(order.workspace)
        run_block(
            session,
            block.core,
            block.number,
            workspace=workspace,
            probability=workspace.chunked_probability(
                session.card.classes, session.lattice.shape_zyx
            ),
            stage=StageProgress(None, "network", 1, cancel=stop),
        )
        return 0 if session.empty is None else session.empty.n_skipped - before


def _session(order: NetworkOrder) -> NetworkSession:
    known = _open_sessions.get(order.token)
    if known is None:
        _open_sessions.clear()
        if order.threads:
            use_threads(order.threads)
        loaded = network_with_hash(order.weights_sha256, order.weights, order.input_size)
        known = order.terms.reopened(loaded, open_volume(order.source, order.data))
        _open_sessions[order.token] = known
    return known


def _needed(part: NetworkSession) -> frozenset[_Box] | None:
    if part.needed is None:
        return None
    starts = (
        start
        for layer in range(len(part.grid.axes[0].starts))
        for _, start in needed_starts(part.grid, layer, part.needed)
    )
    return frozenset(_box(window_region(part.grid, start)) for start in starts)


def _among(needed: frozenset[_Box]) -> Callable[[Region], bool]:
    return lambda region: _box(region) in needed


def _box(region: Region) -> _Box:
    return tuple((part.start, part.stop) for part in region)


class _Watch:
    """Reports windows that other processes have done, from what they note in the workspace."""

    def __init__(
        self,
        session: NetworkSession,
        blocks: Sequence[BlockOrder],
        workspace: Workspace,
        stage: StageProgress,
    ) -> None:
        self._workspace, self._stage = workspace, stage
        self._next_s = 0.0
        self._parts = {block.number: session.for_block(block.core) for block in blocks}
        self._left = {
            number: part.windows_left(workspace.block_progress(number).planes)
            for number, part in self._parts.items()
        }

    def look(self, *, now: bool = False) -> None:
        """Count what was done since, if it is time; raise `Cancelled` if asked to."""
        self._stage.check()
        if time.monotonic() < self._next_s and not now:
            return
        self._next_s = time.monotonic() + _LOOK_EVERY_S
        for number, part in list(self._parts.items())[: None if now else _LOOKED_AT]:
            left = part.windows_left(self._workspace.block_progress(number).planes)
            done, self._left[number] = self._left[number] - left, left
            if done > 0:
                self._stage.advance(done)
            if left == 0:
                del self._parts[number]
