"""Passes over whole layers in the background: contrast first, then the lower resolution."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QObject, Qt, Signal, Slot

from cellseg_app.core.blocks import Region
from cellseg_app.core.errors import UserError
from cellseg_app.core.volume import LazyArray
from cellseg_app.state.display import Layer
from cellseg_app.viewers.changed_overview import changed_overview
from cellseg_app.viewers.overview import (
    Overview,
    Statistics,
    build_overview,
    choose_step,
    glance,
    statistics,
)

# Without OpenGL overviews only stand in for slow slices.
SMALL_BUDGET: Final = 32 * 1024**2
UNLIMITED_SIZE: Final = 1 << 30

_Job = tuple[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class _Finding:
    job: _Job
    layer: Layer
    number: int
    statistics: Statistics | None = None
    overview: Overview | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Made:
    """An overview, and in what the newest voxels known differ from those it was made of."""

    overview: Overview
    newest: LazyArray
    boxes: tuple[Region, ...] = ()


class Survey(QObject):
    """Makes statistics and overviews; for a layer and class the newest request replaces others."""

    statistics_ready = Signal(str, object)
    overview_ready = Signal(object)
    _found = Signal(object)
    _broken = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.n_bytes, self.max_size = SMALL_BUDGET, UNLIMITED_SIZE
        self._quick = ThreadPoolExecutor(1, thread_name_prefix="contrast")
        self._slow = ThreadPoolExecutor(1, thread_name_prefix="overview")
        self._newest: dict[_Job, int] = {}
        # Of labels, which may change in places; only the slow thread looks at it.
        self._made: dict[_Job, _Made] = {}
        self._counter = 0
        self._closed = False
        self._found.connect(self._on_found, Qt.ConnectionType.QueuedConnection)
        self._broken.connect(self._on_broken, Qt.ConnectionType.QueuedConnection)

    def start(self, layers: Iterable[Layer], class_index: int) -> None:
        """Look at layers; of those with several classes, at one of them."""
        for layer in layers:
            channel = min(class_index, layer.n_classes - 1)
            self._counter += 1
            job = (layer.key, channel)
            self._newest[job] = self._counter
            if layer.kind != "labels":
                self._submit(self._quick, self._glance, job, layer, self._counter)
            self._submit(self._slow, self._build, job, layer, self._counter)

    def forget(self, key: str) -> None:
        """Give up what is under way for a layer."""
        for job in [job for job in self._newest if job[0] == key]:
            del self._newest[job]
            if not self._closed:
                self._submit(self._slow, self._let_go, job)

    def close(self) -> None:
        """Stop the threads."""
        self._closed = True
        self._newest.clear()
        for thread in (self._quick, self._slow):
            thread.shutdown(wait=True, cancel_futures=True)

    def _submit(
        self, thread: ThreadPoolExecutor, work: Callable[..., None], *arguments: object
    ) -> None:
        future = thread.submit(work, *arguments)
        future.add_done_callback(self._report_bug)

    def _report_bug(self, future: Future[None]) -> None:
        error = None if future.cancelled() else future.exception()
        # What cannot be read is told by the pane that shows it.
        if error is not None and not self._closed and not isinstance(error, UserError):
            self._broken.emit(error)

    def _is_stale(self, job: _Job, number: int) -> bool:
        return self._closed or self._newest.get(job) != number

    def _glance(self, job: _Job, layer: Layer, number: int) -> None:
        if not self._is_stale(job, number):
            found = statistics(glance(layer, job[1]))
            self._emit(_Finding(job, layer, number, statistics=found))

    def _build(self, job: _Job, layer: Layer, number: int) -> None:
        made = self._followed(job, layer)
        if self._is_stale(job, number):
            return
        step = choose_step(
            layer.shape_zyx,
            layer.data.dtype.itemsize,
            scale_zyx=layer.scale_zyx,
            n_bytes=self.n_bytes,
            max_size=self.max_size,
        )

        def stale() -> bool:
            return self._is_stale(job, number)

        found = None
        if made is not None:
            found = changed_overview(made.overview, layer, made.boxes, step_zyx=step, stale=stale)
        if found is None and not stale():
            found = build_overview(layer, job[1], step_zyx=step, stale=stale)
        if found is None:
            return
        if layer.kind == "labels":
            self._made[job] = _Made(found, layer.data)
        self._emit(_Finding(job, layer, number, overview=found))

    def _followed(self, job: _Job, layer: Layer) -> _Made | None:
        """The overview that a layer's can be made from, and in what they differ.

        What changed is remembered even if nobody waits for this layer's any more.
        """
        made, change = self._made.get(job), layer.change
        if made is None or change is None or change.before is not made.newest:
            return None
        made = _Made(made.overview, layer.data, (*made.boxes, *change.boxes))
        self._made[job] = made
        return made

    def _let_go(self, job: _Job) -> None:
        self._made.pop(job, None)

    def _emit(self, finding: _Finding) -> None:
        if not self._closed:
            self._found.emit(finding)

    @Slot(object)
    def _on_found(self, finding: _Finding) -> None:
        if self._is_stale(finding.job, finding.number):
            return
        if finding.statistics is not None:
            self.statistics_ready.emit(finding.layer.key, finding.statistics)
        if finding.overview is not None:
            self.overview_ready.emit(finding.overview)

    @Slot(object)
    def _on_broken(self, error: BaseException) -> None:
        raise error
