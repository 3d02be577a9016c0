"""Reading threads of the viewer: one for each direction, so that none waits for another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from PySide6.QtCore import QObject, Qt, Signal, Slot

from cellseg_app.core.errors import UserError
from cellseg_app.state.display import Layer
from cellseg_app.state.slicing import SliceRequest
from cellseg_app.viewers.colors import LabelColors
from cellseg_app.viewers.ortho.rendering import SliceImage, paint
from cellseg_app.viewers.overview import Overview, coarse_slice
from cellseg_app.viewers.voxels import SLOW_S, Abandoned, VoxelReader

# Pane and layer.
Place = tuple[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """A picture for a pane, or the reason why there is none."""

    place: Place
    generation: int
    image: SliceImage | None = None
    error: UserError | None = None


class SliceReader(QObject):
    """Turns requests into pictures off the GUI thread.

    Of each pane's layer only the newest request waits; a picture arrives only if it is newer than
    the one before it.
    """

    arrived = Signal(object)
    _done = Signal(object)
    _broken = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.voxels = VoxelReader()
        self.overviews: dict[tuple[str, int], Overview] = {}
        self._threads = {
            lane: ThreadPoolExecutor(1, thread_name_prefix=f"slices-{lane}")
            for lane in ("xy", "yz", "xz", "coarse")
        }
        self._lock = threading.Lock()
        self._counter = 0
        self._newest: dict[Place, int] = {}
        self._rank: dict[Place, int] = {}
        self._closed = False
        self._done.connect(self._on_done, Qt.ConnectionType.QueuedConnection)
        self._broken.connect(self._on_broken, Qt.ConnectionType.QueuedConnection)

    @property
    def n_asked(self) -> int:
        """How often anything was asked for, or dropped, so far."""
        return self._counter

    def submit(self, place: Place, request: SliceRequest, colors: LabelColors) -> None:
        """Ask for a picture; it comes by `arrived`."""
        generation = self._next(place)
        expected = self.voxels.expected_s(request)
        overview = self.overviews.get((request.layer.key, request.class_index))
        if (
            overview is not None
            and overview.layer is request.layer
            and (expected is None or expected > SLOW_S)
        ):
            self._start("coarse", self._coarse, place, generation, request, colors, overview)
        self._start(request.plane, self._exact, place, generation, request, colors)

    def drop(self, place: Place) -> None:
        """Nothing is wanted there any more: what is still being read will not arrive."""
        self._rank[place] = _exact_rank(self._next(place))

    def forget(self, layer: Layer) -> None:
        """Let go of what was read of a layer that is shown no longer."""
        for level in (layer, *layer.coarser):
            self.voxels.forget(level)
        for key in [key for key, own in self.overviews.items() if own.layer is layer]:
            del self.overviews[key]

    def close(self) -> None:
        """Stop the threads; what they are reading now is waited for, since it may be a file."""
        self._closed = True
        for thread in self._threads.values():
            thread.shutdown(wait=True, cancel_futures=True)

    def _start(self, lane: str, work: Callable[..., None], *arguments: object) -> None:
        future = self._threads[lane].submit(work, *arguments)
        future.add_done_callback(self._report_bug)

    def _report_bug(self, future: Future[None]) -> None:
        # Raised on the GUI thread, where bugs are shown; a pool would keep it to itself.
        error = None if future.cancelled() else future.exception()
        if error is not None and not self._closed:
            self._broken.emit(error)

    def _next(self, place: Place) -> int:
        with self._lock:
            self._counter += 1
            self._newest[place] = self._counter
            return self._counter

    def _is_stale(self, place: Place, generation: int) -> bool:
        return self._closed or self._newest.get(place) != generation

    def _exact(
        self, place: Place, generation: int, request: SliceRequest, colors: LabelColors
    ) -> None:
        if self._is_stale(place, generation):
            return
        try:
            flat = self.voxels.read(request, lambda: self._is_stale(place, generation))
        except Abandoned:
            return
        except UserError as error:
            self._emit(Delivery(place, generation, error=error))
            return
        image = SliceImage(paint(flat, request, colors), request.rect_um)
        self._emit(Delivery(place, generation, image))

    def _coarse(
        self,
        place: Place,
        generation: int,
        request: SliceRequest,
        colors: LabelColors,
        overview: Overview,
    ) -> None:
        if self._is_stale(place, generation):
            return
        coarse = coarse_slice(overview, request)
        if coarse is not None:
            flat, rect_um = coarse
            image = SliceImage(paint(flat, request, colors), rect_um, preview=True)
            self._emit(Delivery(place, generation, image))

    def _emit(self, delivery: Delivery) -> None:
        if not self._closed:
            self._done.emit(delivery)

    @Slot(object)
    def _on_done(self, delivery: Delivery) -> None:
        is_preview = delivery.image is not None and delivery.image.preview
        rank = _exact_rank(delivery.generation) - is_preview
        if self._closed or rank <= self._rank.get(delivery.place, 0):
            return
        self._rank[delivery.place] = rank
        self.arrived.emit(delivery)

    @Slot(object)
    def _on_broken(self, error: BaseException) -> None:
        raise error


def _exact_rank(generation: int) -> int:
    """Order of arrival; the number below is that of the coarser picture that may come before."""
    return 2 * generation
