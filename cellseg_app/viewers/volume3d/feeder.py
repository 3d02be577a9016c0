"""Brings volumes to the scene without stopping the window: prepared in a thread, sent in slabs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QObject, Qt, QTimer, Signal, Slot

from cellseg_app.state.display import LayerLook
from cellseg_app.viewers.colors import LabelColors
from cellseg_app.viewers.overview import Overview
from cellseg_app.viewers.volume3d.prepare import CellMesh, VolumeTexture, cells_mesh, make_texture
from cellseg_app.viewers.volume3d.scene import SpaceScene

# Sent within a few milliseconds, so that the window stays alive between two slabs.
_SLAB_BYTES: Final = 2 * 1024**2


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    number: int
    overview: Overview
    texture: VolumeTexture
    colors: LabelColors


@dataclass(slots=True, eq=False)
class _Sending:
    prepared: _Prepared
    next_plane: int = 0


class SceneFeeder(QObject):
    """Prepares and sends overviews; of each layer the newest replaces others on their way."""

    shown = Signal(str)
    _prepared = Signal(object)
    _meshed = Signal(int, object)
    _broken = Signal(object)

    def __init__(
        self, scene: SpaceScene, looks: Callable[[], Mapping[str, LayerLook]], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._scene, self._looks = scene, looks
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="volume3d")
        self._newest: dict[str, int] = {}
        self._counter, self._mesh_number = 0, 0
        self._queue: list[_Sending] = []
        self._closed = False
        self._timer = QTimer(self, interval=0)
        self._timer.timeout.connect(self._send_slab)
        self._prepared.connect(self._on_prepared, Qt.ConnectionType.QueuedConnection)
        self._meshed.connect(self._on_meshed, Qt.ConnectionType.QueuedConnection)
        self._broken.connect(self._on_broken, Qt.ConnectionType.QueuedConnection)

    def show(self, overview: Overview, colors: LabelColors) -> None:
        """Bring a layer into the scene; what it showed before stays until then."""
        self._counter += 1
        self._newest[overview.layer.key] = self._counter
        self._submit(self._prepare, self._counter, overview, colors)

    def mesh(self, overview: Overview | None, label_ids: tuple[int, ...]) -> None:
        """Show the surfaces of cells."""
        self._mesh_number += 1
        if overview is None or not label_ids:
            self._scene.set_mesh(None)
        else:
            self._submit(self._make_mesh, self._mesh_number, overview, label_ids)

    def forget(self, layer_key: str) -> None:
        """Take a layer out of the scene."""
        self._newest.pop(layer_key, None)
        self._queue = [s for s in self._queue if s.prepared.overview.layer.key != layer_key]
        self._scene.remove(layer_key)

    def close(self) -> None:
        """Stop."""
        self._closed = True
        self._timer.stop()
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _submit(self, work: Callable[..., None], *arguments: object) -> None:
        future = self._thread.submit(work, *arguments)
        future.add_done_callback(self._report_bug)

    def _report_bug(self, future: Future[None]) -> None:
        error = None if future.cancelled() else future.exception()
        if error is not None and not self._closed:
            self._broken.emit(error)

    def _prepare(self, number: int, overview: Overview, colors: LabelColors) -> None:
        if self._newest.get(overview.layer.key) == number:
            texture = make_texture(overview, colors)
            self._prepared.emit(_Prepared(number, overview, texture, colors))

    def _make_mesh(self, number: int, overview: Overview, label_ids: tuple[int, ...]) -> None:
        if number == self._mesh_number:
            self._meshed.emit(number, cells_mesh(overview, label_ids))

    @Slot(object)
    def _on_prepared(self, prepared: _Prepared) -> None:
        if not self._closed and self._newest.get(prepared.overview.layer.key) == prepared.number:
            self._queue.append(_Sending(prepared))
            self._timer.start()

    @Slot()
    def _send_slab(self) -> None:
        if not self._queue:
            self._timer.stop()
            return
        sending = self._queue[0]
        layer, texture = sending.prepared.overview.layer, sending.prepared.texture
        if self._newest.get(layer.key) != sending.prepared.number:
            self._queue.pop(0)
            return
        if sending.next_plane == 0:
            self._scene.begin(layer, texture, sending.prepared.colors)
        data, first = texture.data, sending.next_plane
        planes = max(1, _SLAB_BYTES // max(1, data[0].nbytes))
        self._scene.fill(layer.key, first, data[first : first + planes])
        sending.next_plane += planes
        if sending.next_plane >= len(data):
            self._queue.pop(0)
            self._scene.finish(layer.key, self._looks())
            self.shown.emit(layer.key)

    @Slot(int, object)
    def _on_meshed(self, number: int, mesh: CellMesh | None) -> None:
        if number == self._mesh_number and not self._closed:
            self._scene.set_mesh(mesh)

    @Slot(object)
    def _on_broken(self, error: BaseException) -> None:
        raise error
