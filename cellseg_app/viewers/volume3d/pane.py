"""The 3D pane: controls above the canvas, or a sentence where there is no OpenGL."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from cellseg_app.core.volume import SpacingZYX
from cellseg_app.state.display import Layer, ViewState
from cellseg_app.viewers.colors import LabelColors
from cellseg_app.viewers.overview import Overview


class SpacePane(QWidget):
    maximize_asked = Signal()
    detail_changed = Signal()

    def __init__(self, state: ViewState, parent: QWidget) -> None:
        super().__init__(parent)
        self.detail = (1 << 25, 2048)

    def set_layers(self, layers: Sequence[Layer]) -> None: ...
    def set_overview(self, overview: Overview) -> None: ...
    def set_colors(self, colors: LabelColors) -> None: ...
    def set_box(self, b: tuple[SpacingZYX, SpacingZYX] | None) -> None: ...
    def fit(self) -> None: ...
    def shutdown(self) -> None: ...
