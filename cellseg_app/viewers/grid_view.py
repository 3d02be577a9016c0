"""Results or volumes side by side, all at the same place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QGridLayout, QWidget

from cellseg_app.core.volume import SpacingZYX
from cellseg_app.state.display import Layer, ViewState
from cellseg_app.state.slicing import Plane
from cellseg_app.viewers.colors import LabelColors
from cellseg_app.viewers.ortho.linked import LinkedPanes
from cellseg_app.viewers.ortho.overlays import BACKGROUND
from cellseg_app.viewers.ortho.pane import SlicePane
from cellseg_app.viewers.reader import SliceReader


@dataclass(frozen=True, slots=True)
class GridTile:
    """One picture of the grid.

    Attributes
    ----------
    title
        What the user reads in its corner.
    layers
        Drawn from first to last, whatever their visibility. All tiles are aligned by their first
        voxels, in µm; volumes of unknown voxel size by voxels.
    """

    title: str
    layers: tuple[Layer, ...]


def tiles_of(layers: Sequence[Layer]) -> list[GridTile]:
    """One tile for each image, and one for each result over the image before it."""
    tiles: list[GridTile] = []
    image: Layer | None = None
    for layer in layers:
        if layer.kind == "image":
            image = layer
            tiles.append(GridTile(layer.title, (layer,)))
        else:
            tiles.append(GridTile(layer.title, (layer,) if image is None else (image, layer)))
    return tiles


class GridView(QWidget):
    """A pane for each tile, linked; made anew only when their number changes."""

    hovered = Signal(str, object)
    clicked = Signal(str, object, bool)
    maximize_asked = Signal()

    def __init__(
        self, state: ViewState, reader: SliceReader, *, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._state, self._reader = state, reader
        palette = self.palette()
        palette.setColor(QPalette.ColorRole.Window, BACKGROUND)
        self.setPalette(palette)
        self.setAutoFillBackground(True)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(3)
        self.panes: list[SlicePane] = []
        self.linked: LinkedPanes | None = None
        self._plane: Plane = "xy"
        self._colors = LabelColors()

    def set_tiles(
        self, tiles: Sequence[GridTile], scale_zyx: SpacingZYX, *, plane: Plane = "xy"
    ) -> None:
        """Show tiles; `scale_zyx` is that of the cursor's voxels."""
        if len(tiles) != len(self.panes) or plane != self._plane:
            self._make_panes(len(tiles), plane)
        for pane, tile in zip(self.panes, tiles, strict=True):
            pane.title = tile.title
        if self.linked is not None:
            layers = {pane.key: tile.layers for pane, tile in zip(self.panes, tiles, strict=True)}
            self.linked.set_layers(layers, scale_zyx)

    def set_colors(self, colors: LabelColors) -> None:
        """Colour labels differently."""
        self._colors = colors
        if self.linked is not None:
            self.linked.colors = colors
            self.linked.refresh()

    def close_panes(self) -> None:
        """Let go of all panes."""
        if self.linked is not None:
            self.linked.set_layers({}, (1.0, 1.0, 1.0))
            self.linked.close()
            self.linked.deleteLater()
        self.linked = None
        for pane in self.panes:
            self._grid.removeWidget(pane)
            pane.hide()
            pane.deleteLater()
        self.panes = []

    def _make_panes(self, n: int, plane: Plane) -> None:
        self.close_panes()
        self._plane = plane
        columns = max(1, math.ceil(math.sqrt(n)))
        for number in range(n):
            pane = SlicePane(f"tile {number}", plane, self)
            pane.maximize_button.hide()
            pane.maximize_asked.connect(self.maximize_asked)
            self._grid.addWidget(pane, number // columns, number % columns)
            pane.show()
            self.panes.append(pane)
        linked = LinkedPanes(
            self.panes, self._state, reader=self._reader, parent=self, show_hidden=True
        )
        linked.colors = self._colors
        linked.clicked.connect(self.clicked)
        linked.hovered.connect(self.hovered)
        linked.fit()
        self.linked = linked
