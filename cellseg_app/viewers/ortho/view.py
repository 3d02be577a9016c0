"""Three linked panes and the volume in 3D, two by two; any one may fill the view."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QWidget

from cellseg_app.core.blocks import Region
from cellseg_app.core.volume import ShapeZYX, SpacingZYX
from cellseg_app.state.display import UNKNOWN_SPACING, Layer, PaneName, ViewState
from cellseg_app.state.slicing import PLANES, Plane, cursor_um
from cellseg_app.viewers.colors import LabelColors
from cellseg_app.viewers.ortho.linked import LinkedPanes
from cellseg_app.viewers.ortho.pane import SlicePane
from cellseg_app.viewers.overview import Overview
from cellseg_app.viewers.reader import SliceReader
from cellseg_app.viewers.volume3d.pane import SpacePane

_PLACES: dict[PaneName, tuple[int, int]] = {"xy": (0, 0), "yz": (0, 1), "xz": (1, 0), "3d": (1, 1)}
_PLANES: tuple[Plane, ...] = ("xy", "yz", "xz")
_EMPTY = "Drop a volume here, or open one from the File menu."


class OrthoView(QWidget):
    """The 2 × 2 view; XY above XZ share X, XY beside YZ share Y, since all are equally wide."""

    hovered = Signal(str, object)
    clicked = Signal(str, object, bool)

    def __init__(self, state: ViewState, reader: SliceReader, *, parent: QWidget) -> None:
        super().__init__(parent)
        self._state = state
        self._empty = _EMPTY
        self._layers: tuple[Layer, ...] = ()
        self.panes: dict[Plane, SlicePane] = {p: SlicePane(p, p, self) for p in _PLANES}
        self.space = SpacePane(state, self)
        self._arrange()
        self.linked = LinkedPanes(list(self.panes.values()), state, reader=reader, parent=self)
        self.linked.hovered.connect(self.hovered)
        self.linked.clicked.connect(self.clicked)
        self.panes["xy"].maximize_asked.connect(self._on_xy_asked)
        self.panes["yz"].maximize_asked.connect(self._on_yz_asked)
        self.panes["xz"].maximize_asked.connect(self._on_xz_asked)
        self.space.maximize_asked.connect(self._on_space_asked)
        state.events.maximized.connect(self._on_maximized)
        self.set_layers(())

    def set_layers(self, layers: Sequence[Layer]) -> None:
        """Show layers in all panes; the first gives the cursor its voxels."""
        self._layers = tuple(layers)
        scale = self._layers[0].scale_zyx if self._layers else UNKNOWN_SPACING
        self.linked.set_layers(dict.fromkeys(self.panes, self._layers), scale)
        self.space.set_layers(self._layers)
        if not self._layers:
            self.panes["xy"].message = self._empty

    def set_empty_message(self, sentence: str) -> None:
        """Say why there is nothing to see; "" for what to do about it."""
        self._empty = sentence or _EMPTY
        if not self._layers:
            self.panes["xy"].message = self._empty
            self.panes["xy"].update()

    def set_overview(self, overview: Overview) -> None:
        """Show a layer in 3D."""
        self.space.set_overview(overview)

    def set_colors(self, colors: LabelColors) -> None:
        """Colour labels differently."""
        self.linked.colors = colors
        self.linked.refresh()
        self.space.set_colors(colors)

    def set_box(self, box_um: tuple[SpacingZYX, SpacingZYX] | None) -> None:
        """Frame a box given by two corners, or none."""
        for pane in self.panes.values():
            pane.box_um = box_um
            pane.update()
        self.space.set_box(box_um)

    def fit(self) -> None:
        """Show the whole volume."""
        self.linked.fit()
        self.space.fit()

    def center_on_cursor(self) -> None:
        """Move the crosshair into the middle of the panes."""
        if self._layers:
            point = cursor_um(self._state, self._layers[0].scale_zyx)
            self.linked.set_camera(self.linked.camera.centered(point))

    def visible_region(self, shape_zyx: ShapeZYX, scale_zyx: SpacingZYX) -> Region:
        """Voxels in view; along an axis that no visible pane shows, all of them."""
        low, high = [0.0, 0.0, 0.0], [math.inf] * 3
        for pane in self.panes.values():
            if not pane.isVisible():
                continue
            axes = PLANES[pane.plane]
            view = self.linked.camera.viewport(pane.plane, (pane.height(), pane.width()))
            for axis, side in ((axes.vertical, 0), (axes.horizontal, 1)):
                low[axis] = max(low[axis], view.low_um[side])
                high[axis] = min(high[axis], view.high_um[side])
        z, y, x = (
            _voxels(low[axis] / scale_zyx[axis], high[axis] / scale_zyx[axis], shape_zyx[axis])
            for axis in range(3)
        )
        return z, y, x

    def shutdown(self) -> None:
        """Listen to the state no longer; free what the graphics card holds."""
        self.linked.close()
        self._state.events.maximized.disconnect(self._on_maximized)
        self.space.shutdown()

    def _arrange(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(3)
        for plane, pane in self.panes.items():
            grid.addWidget(pane, *_PLACES[plane])
        grid.addWidget(self.space, *_PLACES["3d"])
        self._grid = grid
        self._share_space()

    def _share_space(self) -> None:
        for n in (0, 1):
            self._grid.setRowStretch(n, 1)
            self._grid.setColumnStretch(n, 1)

    def _on_maximized(self, name: PaneName | None) -> None:
        for plane, pane in self.panes.items():
            pane.setVisible(name in (None, plane))
        self.space.setVisible(name in (None, "3d"))
        # A hidden row would keep its half of the height.
        row, column = _PLACES[name or "xy"]
        self._share_space()
        if name is not None:
            self._grid.setRowStretch(1 - row, 0)
            self._grid.setColumnStretch(1 - column, 0)
        self.linked.refresh()

    def _toggle(self, name: PaneName) -> None:
        self._state.maximized = None if self._state.maximized == name else name

    def _on_xy_asked(self) -> None:
        self._toggle("xy")

    def _on_yz_asked(self) -> None:
        self._toggle("yz")

    def _on_xz_asked(self) -> None:
        self._toggle("xz")

    def _on_space_asked(self) -> None:
        self._toggle("3d")


def _voxels(low: float, high: float, size: int) -> slice:
    start = min(max(0, math.floor(low)), size - 1)
    stop = size if math.isinf(high) else min(max(start + 1, math.ceil(high)), size)
    return slice(start, stop)
