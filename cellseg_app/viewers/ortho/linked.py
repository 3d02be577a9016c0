"""Panes that show the same place: one camera, one crosshair, slices asked for as they change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from cellseg_app.core.volume import SpacingZYX
from cellseg_app.state.display import Layer, ViewState
from cellseg_app.state.slicing import PLANES, SliceRequest, cursor_um, resolve_slice
from cellseg_app.viewers.colors import LabelColors
from cellseg_app.viewers.ortho.camera import Camera, fitting
from cellseg_app.viewers.ortho.pane import SlicePane
from cellseg_app.viewers.reader import Delivery, SliceReader

_AXIS_NAMES = "ZYX"
_SLICE_FIELDS = ("cursor_zyx", "looks", "class_index", "slab_planes", "highlighted")


class LinkedPanes(QObject):
    """Feeds panes from the state: resolves what each shows and asks the reader for what changed.

    Parameters
    ----------
    panes
        Panes with distinct keys.
    state, reader
        What is shown, and where slices come from.
    parent
        Owner, as Qt has it.
    show_hidden
        Show layers whatever their visibility.
    """

    hovered = Signal(str, object)
    clicked = Signal(str, object, bool)
    camera_changed = Signal(object)

    def __init__(
        self,
        panes: Sequence[SlicePane],
        state: ViewState,
        *,
        reader: SliceReader,
        parent: QObject,
        show_hidden: bool = False,
    ) -> None:
        super().__init__(parent)
        self._panes = {pane.key: pane for pane in panes}
        self._layers: dict[str, tuple[Layer, ...]] = {}
        self._state, self._reader = state, reader
        self._show_hidden = show_hidden
        self._scale: SpacingZYX = (1.0, 1.0, 1.0)
        self._asked: dict[tuple[str, str], tuple[SliceRequest, LabelColors]] = {}
        self._camera, self._fits = Camera(), True
        self.colors = LabelColors()
        # Many changes of one moment become one round of requests.
        self._soon = QTimer(self, singleShot=True, interval=0)
        self._soon.timeout.connect(self._refresh)
        for pane in panes:
            self._connect(pane)
        reader.arrived.connect(self._on_arrived)
        self._events = [state.events[name] for name in _SLICE_FIELDS]
        for event in self._events:
            event.connect(self.refresh)

    @property
    def camera(self) -> Camera:
        """Where the panes look."""
        return self._camera

    def set_layers(self, layers: Mapping[str, Sequence[Layer]], scale_zyx: SpacingZYX) -> None:
        """Give each pane, by its key, its layers; `scale_zyx` is that of the cursor's voxels.

        A layer that replaces one of its key is seen as soon as it is read, not blank before.
        """
        stay = {(key, layer.key) for key, own in layers.items() for layer in own}
        for place in set(self._asked) - stay:
            self._drop(place)
        self._layers = {key: tuple(own) for key, own in layers.items()}
        self._scale = scale_zyx
        for key, pane in self._panes.items():
            own = self._layers.get(key, ())
            pane.order = tuple(layer.key for layer in own)
            pane.message = ""
            pane.calibrated = bool(own) and own[0].spacing_um_zyx is not None
            pane.update()
        self.refresh()

    def layers_of(self, pane_key: str) -> tuple[Layer, ...]:
        """The layers of a pane."""
        return self._layers.get(pane_key, ())

    def set_camera(self, camera: Camera) -> None:
        """Look elsewhere, in all panes."""
        self._fits = False
        self._apply(camera)

    def fit(self) -> None:
        """Show the whole volume, and go on doing so when the panes change their size."""
        self._fits = True
        sizes = {pane.plane: (pane.height(), pane.width()) for pane in self._shown()}
        extent = self._extent_um()
        if sizes and extent is not None:
            self._apply(fitting(extent, sizes))

    @Slot()
    def refresh(self, *_: object) -> None:
        """Ask for what changed, at the next turn of the event loop."""
        self._soon.start()

    def close(self) -> None:
        """Listen no longer."""
        self._soon.stop()
        for event in self._events:
            event.disconnect(self.refresh)

    def _connect(self, pane: SlicePane) -> None:
        pane.camera_moved.connect(self.set_camera)
        pane.planes_stepped.connect(self._on_stepped)
        pane.cursor_asked.connect(self._on_cursor_asked)
        pane.clicked.connect(self._on_clicked)
        pane.hovered.connect(self.hovered)
        pane.fit_asked.connect(self.fit)
        pane.resized.connect(self._on_resized)

    def _shown(self) -> list[SlicePane]:
        return [pane for pane in self._panes.values() if pane.isVisible()]

    def _extent_um(self) -> SpacingZYX | None:
        firsts = [own[0] for own in self._layers.values() if own]
        if not firsts:
            return None
        z, y, x = (
            max(layer.shape_zyx[axis] * layer.scale_zyx[axis] for layer in firsts)
            for axis in range(3)
        )
        return z, y, x

    def _apply(self, camera: Camera) -> None:
        self._camera = camera
        for pane in self._panes.values():
            pane.camera = camera
            pane.update()
        self.camera_changed.emit(camera)
        self.refresh()

    @Slot()
    def _refresh(self) -> None:
        at = cursor_um(self._state, self._scale)
        for pane in self._panes.values():
            pane.cursor_um = at
            pane.caption = self._caption(pane)
            pane.update()
        for pane in self._shown():
            for layer in self._layers.get(pane.key, ()):
                self._ask(pane, layer, at)

    def _ask(self, pane: SlicePane, layer: Layer, at: SpacingZYX) -> None:
        place = (pane.key, layer.key)
        size = (pane.height(), pane.width())
        viewport = self._camera.viewport(pane.plane, size, pane.devicePixelRatioF())
        look = self._state.looks.get(layer.key)
        if look is not None and self._show_hidden:
            look = replace(look, visible=True)
        request = resolve_slice(
            layer, self._state, look=look, plane=pane.plane, viewport=viewport, point_um=at
        )
        if request is None:
            self._drop(place)
            return
        pane.set_opacity(layer.key, self._state.looks[layer.key].drawn_opacity)
        if self._asked.get(place) != (request, self.colors):
            self._asked[place] = (request, self.colors)
            self._reader.submit(place, request, self.colors)

    def _drop(self, place: tuple[str, str]) -> None:
        if self._asked.pop(place, None) is not None:
            self._reader.drop(place)
            self._panes[place[0]].clear_picture(place[1])

    def _caption(self, pane: SlicePane) -> str:
        own = self._layers.get(pane.key, ())
        if not own:
            return ""
        axis = PLANES[pane.plane].normal
        index, size = self._state.cursor_zyx[axis], own[0].shape_zyx[axis]
        text = f"{_AXIS_NAMES[axis]} {index + 1}/{size}"
        if own[0].spacing_um_zyx is not None:
            text += f"  {(index + 0.5) * self._scale[axis]:.1f} µm"
        if self._state.slab_planes > 1:
            text += f"  max of {self._state.slab_planes}"
        return text

    @Slot(object)
    def _on_arrived(self, delivery: Delivery) -> None:
        pane_key, layer_key = delivery.place
        pane = self._panes.get(pane_key)
        if pane is None or delivery.place not in self._asked:
            return
        if delivery.image is not None:
            pane.message = ""
            opacity = self._state.looks[layer_key].drawn_opacity
            pane.set_picture(layer_key, delivery.image, opacity)
        elif delivery.error is not None:
            pane.message = str(delivery.error)
            pane.clear_picture(layer_key)
            pane.update()

    @Slot(int, int)
    def _on_stepped(self, axis: int, n: int) -> None:
        point = list(self._state.cursor_zyx)
        point[axis] += n
        self._move_cursor((point[0], point[1], point[2]))

    @Slot(object)
    def _on_cursor_asked(self, point_um: SpacingZYX) -> None:
        z, y, x = (int(p // s) for p, s in zip(point_um, self._scale, strict=True))
        self._move_cursor((z, y, x))

    @Slot(str, object, bool)
    def _on_clicked(self, pane_key: str, point_um: SpacingZYX, adds: bool) -> None:
        self._on_cursor_asked(point_um)
        self.clicked.emit(pane_key, point_um, adds)

    @Slot()
    def _on_resized(self) -> None:
        if self._fits:
            self.fit()
        else:
            self.refresh()

    def _move_cursor(self, point_zyx: tuple[int, int, int]) -> None:
        extent = self._extent_um()
        if extent is None:
            return
        sizes = (max(1, round(e / s)) for e, s in zip(extent, self._scale, strict=True))
        z, y, x = (min(max(0, p), n - 1) for p, n in zip(point_zyx, sizes, strict=True))
        self._state.cursor_zyx = (z, y, x)
