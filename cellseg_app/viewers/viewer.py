"""The viewer of the main window: slices, 3D, results side by side, and the strip below them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import Signal, Slot
from PySide6.QtGui import QImage, QKeyEvent, Qt
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from cellseg_app.core.blocks import Region, whole
from cellseg_app.core.volume import ShapeZYX, SpacingZYX
from cellseg_app.state.display import DEFAULT_LOOKS, UNKNOWN_SPACING, Layer, Mode, ViewState
from cellseg_app.viewers.colors import LabelColors
from cellseg_app.viewers.grid_view import GridTile, GridView, tiles_of
from cellseg_app.viewers.ortho.view import OrthoView
from cellseg_app.viewers.overview import Overview, Statistics
from cellseg_app.viewers.probe import Probe, Readout
from cellseg_app.viewers.reader import SliceReader
from cellseg_app.viewers.survey import Survey
from cellseg_app.viewers.view_strip import ClassSlider, ViewStrip


class Viewer(QWidget):
    """Shows layers; everything about how is in `state`, which others may read and change.

    Attributes
    ----------
    state
        The view state; change it on the GUI thread only.

    Signals
    -------
    cell_clicked(int)
        Label id under a click; 0 where there is no cell.
    cell_toggled(int)
        The same under a click with Ctrl held.
    cursor_moved(object)
        Voxel Z, Y, X of the first layer the panes cut through.
    class_changed(int)
        The user moved the class slider.
    layers_changed()
        After `set_layers`.
    statistics_ready(str, object)
        Histogram and auto contrast of a layer, by its key, as a `Statistics`.
    """

    cell_clicked = Signal(int)
    cell_toggled = Signal(int)
    cursor_moved = Signal(object)
    class_changed = Signal(int)
    layers_changed = Signal()
    statistics_ready = Signal(str, object)

    def __init__(self, parent: QWidget | None = None, *, state: ViewState | None = None) -> None:
        super().__init__(parent)
        self.state = state or ViewState()
        self.reader, self.survey, self.probe = SliceReader(self), Survey(self), Probe(self)
        self.ortho = OrthoView(self.state, self.reader, parent=self)
        self.grid = GridView(self.state, self.reader, parent=self)
        self.class_slider = ClassSlider(self.state, self)
        self.strip = ViewStrip(self.state, self)
        self._pages = QStackedWidget(self)
        self._pages.addWidget(self.ortho)
        self._pages.addWidget(self.grid)
        self._layers: tuple[Layer, ...] = ()
        self._tiles: tuple[GridTile, ...] | None = None
        self._statistics: dict[str, Statistics] = {}
        self._colors = self._drawn_colors = LabelColors()
        self._only: npt.NDArray[np.int64] | None = None
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self._pages, 1)
        column.addWidget(self.class_slider)
        column.addWidget(self.strip)
        self._connect()

    # ---- What is shown ----

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, drawn from first to last; the first gives the cursor its voxels."""
        return self._layers

    def set_layers(self, layers: Sequence[Layer]) -> None:
        """Show these layers.

        A layer that is the same object as before is not read again; one that replaces another of
        its key keeps how that was drawn. The cursor goes to the middle if the first layer has
        another shape than the one before.
        """
        before, self._layers = self._layers, tuple(layers)
        self._forget(layer for layer in before if layer not in self._layers)
        is_new_volume = _reference_shape(before) != _reference_shape(self._layers)
        self._add_looks(layer for layer in self._layers if layer not in before)
        if is_new_volume:
            self._restart_at_middle()
        self.class_slider.set_n_classes(max((x.n_classes for x in self._layers), default=1))
        self.ortho.set_layers(self._layers)
        self._show_own_tiles()
        if is_new_volume:
            self.fit()
        self._survey(layer for layer in self._layers if layer not in before)
        self.layers_changed.emit()

    def set_grid(self, tiles: Sequence[GridTile] | None) -> None:
        """Compare these in grid mode; None for the image and each result of the layers."""
        before = [layer for tile in self._tiles or () for layer in tile.layers]
        self._tiles = None if tiles is None else tuple(tiles)
        shown = [layer for tile in self._tiles or () for layer in tile.layers]
        self._forget(x for x in before if x not in shown and x not in self._layers)
        self._add_looks(shown)
        if self._tiles is None:
            self._show_own_tiles()
        else:
            self._show_tiles(self._tiles)
        fresh = {id(x): x for x in shown if x not in before and x not in self._layers}
        self._survey(fresh.values())

    def statistics(self, key: str) -> Statistics | None:
        """Histogram and auto contrast of a layer, once they are known."""
        return self._statistics.get(key)

    def set_label_colors(self, colors: LabelColors | None) -> None:
        """Colour labels, as by a value of each cell; None for distinct colours."""
        if colors is not None:
            self._colors = colors
        elif self._colors.numbers is not None:
            self._colors = LabelColors()
        self._color_labels()

    def show_only(self, label_ids: npt.NDArray[np.int64] | None) -> None:
        """Draw only some cells; None for all."""
        self._only = label_ids
        self._color_labels()

    def _color_labels(self) -> None:
        colors = self._colors.only(self._only)
        if colors is self._drawn_colors:
            return
        self._drawn_colors = colors
        self.ortho.set_colors(colors)
        # What is compared are other results, whose ids mean other cells.
        self.grid.set_colors(self._colors if self._tiles is not None else colors)

    def highlight(self, label_ids: Sequence[int]) -> None:
        """Make cells stand out in every pane."""
        self.state.highlighted = tuple(label_ids)

    def set_preview_box(self, region: Region | None) -> None:
        """Frame a part of the first layer in the panes; None for no frame."""
        if region is None:
            self.ortho.set_box(None)
            return
        low, high = (
            tuple(getattr(s, edge) * um for s, um in zip(region, self._scale(), strict=True))
            for edge in ("start", "stop")
        )
        self.ortho.set_box(((low[0], low[1], low[2]), (high[0], high[1], high[2])))

    # ---- Where it is shown ----

    def center_on(self, voxel_zyx: Sequence[float]) -> None:
        """Move the crosshair to a voxel of the first layer, and into the middle of the panes."""
        shape = _reference_shape(self._layers) or (1, 1, 1)
        z, y, x = (min(max(0, int(v)), n - 1) for v, n in zip(voxel_zyx, shape, strict=True))
        self.state.cursor_zyx = (z, y, x)
        self.ortho.center_on_cursor()
        if self.grid.linked is not None:
            self.grid.linked.set_camera(
                self.grid.linked.camera.centered(self.ortho.linked.camera.center_um)
            )

    def visible_region(self) -> Region:
        """Voxels of the first layer that the XY pane shows, and around the crosshair along Z.

        Along Z it is as deep as the other two panes show.
        """
        shape = _reference_shape(self._layers)
        if shape is None:
            return whole((0, 0, 0))
        return self.ortho.visible_region(shape, self._scale())

    def fit(self) -> None:
        """Show the whole volume."""
        self.ortho.fit()
        if self.grid.linked is not None:
            self.grid.linked.fit()

    def screenshot(self) -> QImage:
        """The panes as they are on the screen, without the strip."""
        self.ortho.space.draw_whole()
        page = self.grid if self.state.mode == "grid" else self.ortho
        return page.grab().toImage()

    def shutdown(self) -> None:
        """Stop the reading threads; nothing is shown afterwards."""
        self.ortho.shutdown()
        self.grid.close_panes()
        self.class_slider.close_events()
        self.strip.close_events()
        self.state.events.mode.disconnect(self._on_mode_changed)
        self.state.events.cursor_zyx.disconnect(self._on_cursor_changed)
        self.state.events.class_index.disconnect(self._on_class_changed)
        for worker in (self.reader, self.survey, self.probe):
            worker.close()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.state.maximized is not None:
            self.state.maximized = None
        else:
            super().keyPressEvent(event)

    # ---- Private ----

    def _connect(self) -> None:
        self.class_slider.class_changed.connect(self.class_changed)
        self.strip.fit_asked.connect(self.fit)
        for view in (self.ortho, self.grid):
            view.hovered.connect(self._on_hovered)
            view.clicked.connect(self._on_clicked)
        self.probe.hovered.connect(self._on_hover_read)
        self.probe.clicked.connect(self._on_click_read)
        self.survey.statistics_ready.connect(self._on_statistics)
        self.survey.overview_ready.connect(self._on_overview)
        self.state.events.mode.connect(self._on_mode_changed)
        self.state.events.cursor_zyx.connect(self._on_cursor_changed)
        self.state.events.class_index.connect(self._on_class_changed)
        self.survey.n_bytes, self.survey.max_size = self.ortho.space.detail
        self._on_mode_changed(self.state.mode)

    def _scale(self) -> SpacingZYX:
        return self._layers[0].scale_zyx if self._layers else UNKNOWN_SPACING

    def _add_looks(self, layers: Iterable[Layer]) -> None:
        looks = dict(self.state.looks)
        for layer in layers:
            look = looks.setdefault(layer.key, DEFAULT_LOOKS[layer.kind])
            if layer.kind == "image":
                # Another image has another range of intensities.
                looks[layer.key] = replace(look, clims=None)
        self.state.looks = looks

    def _forget(self, layers: Iterable[Layer]) -> None:
        for layer in layers:
            self.reader.forget(layer)
            self._statistics.pop(layer.key, None)
            # What only changed has its overview made from the one before.
            if not any(new.key == layer.key and new.follows(layer) for new in self._layers):
                self.survey.forget(layer.key)

    def _survey(self, layers: Iterable[Layer]) -> None:
        self.survey.start(layers, self.state.class_index)

    def _restart_at_middle(self) -> None:
        shape = _reference_shape(self._layers)
        if shape is not None:
            self.state.cursor_zyx = (shape[0] // 2, shape[1] // 2, shape[2] // 2)

    def _show_own_tiles(self) -> None:
        """Image and results side by side; panes that nobody looks at are not made."""
        if self._tiles is not None:
            return
        if self.state.mode == "grid":
            self._show_tiles(tiles_of(self._layers))
        else:
            self.grid.close_panes()

    def _show_tiles(self, tiles: Sequence[GridTile]) -> None:
        self.grid.set_tiles(tiles, self._scale())

    def _layers_of(self, pane_key: str) -> tuple[Layer, ...]:
        if self.state.mode == "grid" and self.grid.linked is not None:
            return self.grid.linked.layers_of(pane_key)
        return self._layers

    @Slot(str, object)
    def _on_hovered(self, pane_key: str, point_um: SpacingZYX | None) -> None:
        if point_um is None:
            self.probe.leave()
            self.strip.set_readout("")
        else:
            self.probe.hover(self._layers_of(pane_key), point_um, self.state.class_index)

    @Slot(str, object, bool)
    def _on_clicked(self, pane_key: str, point_um: SpacingZYX, adds: bool) -> None:
        layers = self._layers_of(pane_key)
        self.probe.click(layers, point_um, self.state.class_index, adds=adds)

    @Slot(object)
    def _on_hover_read(self, readout: Readout) -> None:
        self.strip.set_readout(readout.text())

    @Slot(object, bool)
    def _on_click_read(self, readout: Readout, adds: bool) -> None:
        clicked = self.cell_toggled if adds else self.cell_clicked
        clicked.emit(readout.label)

    @Slot(str, object)
    def _on_statistics(self, key: str, found: Statistics) -> None:
        self._statistics[key] = found
        if key in self.state.looks and self.state.looks[key].clims is None:
            self.state.set_look(key, clims=found.auto_clims)
        self.statistics_ready.emit(key, found)

    @Slot(object)
    def _on_overview(self, overview: Overview) -> None:
        self.reader.overviews[overview.layer.key, overview.class_index] = overview
        self.ortho.set_overview(overview)

    def _on_mode_changed(self, mode: Mode) -> None:
        self._show_own_tiles()
        self._pages.setCurrentWidget(self.grid if mode == "grid" else self.ortho)

    def _on_cursor_changed(self, voxel_zyx: ShapeZYX) -> None:
        self.cursor_moved.emit(voxel_zyx)

    def _on_class_changed(self, _: int) -> None:
        self._survey(layer for layer in self._layers if layer.n_classes > 1)


def _reference_shape(layers: Sequence[Layer]) -> ShapeZYX | None:
    return layers[0].shape_zyx if layers else None
