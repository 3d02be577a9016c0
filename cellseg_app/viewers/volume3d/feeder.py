"""Brings volumes to the scene without stopping the window: prepared in a thread, sent in slabs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QObject, Qt, QTimer, Signal, Slot
from vispy.geometry import MeshData

from cellseg_app.state.display import Change, LayerLook
from cellseg_app.viewers.colors import LabelColors
from cellseg_app.viewers.overview import Overview
from cellseg_app.viewers.volume3d.prepare import (
    Block,
    VolumeTexture,
    cells_mesh,
    changed_blocks,
    make_texture,
    slabs,
)
from cellseg_app.viewers.volume3d.scene import SpaceScene

# Sent within a few milliseconds, so that the window stays alive between two slabs.
_SLAB_BYTES: Final = 2 * 1024**2


@dataclass(frozen=True, slots=True, eq=False)
class _Wanted:
    """What a layer's texture shows when all that was asked for is sent."""

    number: int
    overview: Overview
    colors: LabelColors

    def differs_in(self, overview: Overview, colors: LabelColors) -> bool:
        """Whether it becomes another one by what that says it changed."""
        change = overview.change
        return (
            change is not None
            and change.before is self.overview.layer.data
            and colors is self.colors
        )


@dataclass(slots=True, eq=False)
class _Sending:
    """What goes to the card; where no texture is to be begun, into the one that is there."""

    wanted: _Wanted
    texture: VolumeTexture | None
    blocks: deque[Block]


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
        self._newest: dict[str, _Wanted] = {}
        self._counter, self._mesh_number = 0, 0
        self._queue: list[_Sending] = []
        self._closed = False
        self._timer = QTimer(self, interval=0)
        self._timer.timeout.connect(self._send_slab)
        self._prepared.connect(self._on_prepared, Qt.ConnectionType.QueuedConnection)
        self._meshed.connect(self._on_meshed, Qt.ConnectionType.QueuedConnection)
        self._broken.connect(self._on_broken, Qt.ConnectionType.QueuedConnection)

    def show(self, overview: Overview, colors: LabelColors) -> None:
        """Bring a layer into the scene; what it showed before stays until then.

        Where only boxes changed and the colours did not, only these are sent.
        """
        key = overview.layer.key
        before = self._newest.get(key)
        if before is not None and before.differs_in(overview, colors):
            # Goes to the card after what it changes, and is dropped with it.
            number, change = before.number, overview.change
        else:
            self._counter += 1
            number, change = self._counter, None
        wanted = self._newest[key] = _Wanted(number, overview, colors)
        self._submit(self._prepare, wanted, change)

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
        self._queue = [s for s in self._queue if s.wanted.overview.layer.key != layer_key]
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

    def _is_wanted(self, wanted: _Wanted) -> bool:
        newest = self._newest.get(wanted.overview.layer.key)
        return newest is not None and newest.number == wanted.number

    def _prepare(self, wanted: _Wanted, change: Change | None) -> None:
        if not self._is_wanted(wanted):
            return
        texture = None
        if change is None:
            texture = make_texture(wanted.overview, wanted.colors)
            blocks = slabs(texture.data, (0, 0, 0), _SLAB_BYTES)
        else:
            blocks = changed_blocks(wanted.overview, change, wanted.colors, _SLAB_BYTES)
        self._prepared.emit(_Sending(wanted, texture, deque(blocks)))

    def _make_mesh(self, number: int, overview: Overview, label_ids: tuple[int, ...]) -> None:
        if number == self._mesh_number:
            mesh = cells_mesh(overview, label_ids)
            self._meshed.emit(number, None if mesh is None else mesh.lit())

    @Slot(object)
    def _on_prepared(self, sending: _Sending) -> None:
        if not self._closed and self._is_wanted(sending.wanted):
            self._queue.append(sending)
            self._timer.start()

    @Slot()
    def _send_slab(self) -> None:
        if not self._queue:
            self._timer.stop()
            return
        # What fails is not tried again: it would fail at every turn.
        sending = self._queue.pop(0)
        if not self._is_wanted(sending.wanted):
            return
        layer = sending.wanted.overview.layer
        if sending.texture is not None:
            self._scene.begin(layer, sending.texture, sending.wanted.colors)
            sending.texture = None
        if sending.blocks:
            self._scene.fill(layer.key, *sending.blocks.popleft())
        if sending.blocks:
            self._queue.insert(0, sending)
        else:
            self._scene.finish(layer.key, self._looks())
            self.shown.emit(layer.key)

    @Slot(int, object)
    def _on_meshed(self, number: int, mesh: MeshData | None) -> None:
        if number == self._mesh_number and not self._closed:
            self._scene.set_mesh(mesh)

    @Slot(object)
    def _on_broken(self, error: BaseException) -> None:
        raise error
