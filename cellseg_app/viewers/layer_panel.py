"""The panel that lists the layers and edits how the chosen one is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from PySide6.QtCore import QSignalBlocker, QSize, Qt, QTimer, Slot
from PySide6.QtGui import QIcon, QImage, QPixmap
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from cellseg_app.state.display import Layer, LayerKind, LayerLook
from cellseg_app.viewers.colors import INTENSITY_COLORMAPS, intensity_table
from cellseg_app.viewers.contrast import ContrastEditor
from cellseg_app.viewers.overview import Statistics
from cellseg_app.viewers.viewer import Viewer

_KIND_NAMES: Final = {"image": "image", "probability": "probability", "labels": "cells"}
_SWATCH: Final = QSize(48, 14)


class LayerPanel(QWidget):
    """Edits `ViewState.looks` of a viewer; the list shows the topmost layer first."""

    def __init__(self, viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._state = viewer, viewer.state
        self.empty = QLabel("Layers appear here when a volume is open.", self)
        self.empty.setWordWrap(True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.list = QListWidget(self)
        self.list.setAccessibleName("Layers")
        self.list.setToolTip("The tick shows or hides a layer (Space)")
        self.list.setMaximumHeight(110)
        self.opacity = QSlider(Qt.Orientation.Horizontal, self)
        self.opacity.setRange(0, 100)
        self.opacity.setAccessibleName("Opacity in percent")
        self.opacity.setToolTip("How strongly the layer covers those below it")
        self.colormap = QComboBox(self)
        self.colormap.setAccessibleName("Colormap")
        self.colormap.setToolTip("Colours from dark to bright")
        self.colormap.setIconSize(_SWATCH)
        self.outlines = QCheckBox("Outlines only", self)
        self.outlines.setToolTip("Draw only the borders of cells, to see the image inside them")
        self.contrast = ContrastEditor(self)
        self._arranged_for: LayerKind | None = None
        self._contrast_soon = QTimer(self, singleShot=True, interval=0)
        self._contrast_soon.timeout.connect(self._show_contrast)
        self._arrange()
        self._show_editors(None)
        self.contrast.hide()
        self._connect()
        self._rebuild()

    @property
    def layer(self) -> Layer | None:
        """The layer that is edited."""
        item = self.list.currentItem()
        key = None if item is None else item.data(Qt.ItemDataRole.UserRole)
        return next((layer for layer in self._viewer.layers if layer.key == key), None)

    def choose(self, key: str) -> None:
        """Edit another layer."""
        for row in range(self.list.count()):
            item = self.list.item(row)
            if item is not None and item.data(Qt.ItemDataRole.UserRole) == key:
                self.list.setCurrentItem(item)

    def close_events(self) -> None:
        """Listen to the state no longer."""
        self._state.events.looks.disconnect(self._on_looks)

    def _arrange(self) -> None:
        self._form = QFormLayout()
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.addRow("Opacity", self.opacity)
        self._form.addRow("Colormap", self.colormap)
        column = QVBoxLayout(self)
        column.addWidget(self.empty)
        column.addWidget(self.list)
        column.addLayout(self._form)
        column.addWidget(self.outlines)
        column.addWidget(self.contrast)
        column.addStretch(1)
        for name in INTENSITY_COLORMAPS:
            self.colormap.addItem(_swatch(name), name)

    def _connect(self) -> None:
        # The layers are drawn first, and the panel follows in a turn of its own.
        self._soon = QTimer(self, singleShot=True, interval=0)
        self._soon.timeout.connect(self._rebuild)
        self._viewer.layers_changed.connect(self._soon.start)
        self._viewer.statistics_ready.connect(self._on_statistics)
        self._state.events.looks.connect(self._on_looks)
        self.list.currentItemChanged.connect(self._show)
        self.list.itemChanged.connect(self._on_ticked)
        self.opacity.valueChanged.connect(self._on_opacity)
        self.colormap.currentTextChanged.connect(self._on_colormap)
        self.outlines.toggled.connect(self._on_outlines)
        self.contrast.clims_changed.connect(self._on_clims)
        self.contrast.gamma_changed.connect(self._on_gamma)

    @Slot()
    def _rebuild(self) -> None:
        before = self.layer
        chosen = None if before is None else before.key
        with QSignalBlocker(self.list):
            self.list.clear()
            for layer in reversed(self._viewer.layers):
                self.list.addItem(self._item(layer))
            if self.list.count():
                self.list.setCurrentRow(self.list.count() - 1)
            if chosen is not None:
                self.choose(chosen)
        self._show()

    def _item(self, layer: Layer) -> QListWidgetItem:
        item = QListWidgetItem(layer.title)
        item.setData(Qt.ItemDataRole.UserRole, layer.key)
        item.setToolTip(_described(layer))
        item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
        item.setCheckState(_tick(self._state.looks[layer.key].visible))
        return item

    def _show(self, *_: object) -> None:
        layer = self.layer
        look = None if layer is None else self._state.looks.get(layer.key)
        kind = None if layer is None else layer.kind
        if kind != self._arranged_for:
            # Laying everything out anew takes longer than all the rest, and looks change often.
            self._arranged_for = kind
            self._contrast_soon.stop()
            self._show_editors(kind)
            if self.isVisible() and kind not in (None, "labels"):
                # Contrast, the most laborious part, comes in a turn of its own.
                self._contrast_soon.start()
        if layer is not None and look is not None:
            self._show_look(look)
        if not self._contrast_soon.isActive():
            self._show_contrast()

    @Slot()
    def _show_contrast(self) -> None:
        layer = self.layer
        look = None if layer is None else self._state.looks.get(layer.key)
        self.contrast.setVisible(layer is not None and layer.kind != "labels")
        if layer is not None and look is not None:
            self.contrast.show_layer(self._viewer.statistics(layer.key), look.clims, look.gamma)

    def _show_editors(self, kind: LayerKind | None) -> None:
        has_colors = kind not in (None, "labels")
        self.empty.setVisible(kind is None)
        self.list.setVisible(kind is not None)
        self._form.setRowVisible(self.opacity, kind is not None)
        self._form.setRowVisible(self.colormap, has_colors)
        self.outlines.setVisible(kind == "labels")

    def _show_look(self, look: LayerLook) -> None:
        with QSignalBlocker(self.opacity), QSignalBlocker(self.colormap):
            self.opacity.setValue(round(look.opacity * 100))
            if self.colormap.findText(look.colormap) < 0:
                self.colormap.addItem(_swatch(look.colormap), look.colormap)
            self.colormap.setCurrentText(look.colormap)
        with QSignalBlocker(self.outlines):
            self.outlines.setChecked(look.outlines_only)

    def _on_looks(self, looks: Mapping[str, LayerLook]) -> None:
        with QSignalBlocker(self.list):
            for row in range(self.list.count()):
                item = self.list.item(row)
                look = looks.get(item.data(Qt.ItemDataRole.UserRole)) if item else None
                if item is not None and look is not None:
                    item.setCheckState(_tick(look.visible))
        self._show()

    @Slot(str, object)
    def _on_statistics(self, key: str, _: Statistics) -> None:
        if self.layer is not None and self.layer.key == key:
            self._show()

    def _on_ticked(self, item: QListWidgetItem) -> None:
        visible = item.checkState() == Qt.CheckState.Checked
        self._state.set_look(item.data(Qt.ItemDataRole.UserRole), visible=visible)

    def _on_opacity(self, percent: int) -> None:
        self._change(opacity=percent / 100)

    def _on_colormap(self, name: str) -> None:
        self._change(colormap=name)

    def _on_outlines(self, checked: bool) -> None:
        self._change(outlines_only=checked)

    def _on_clims(self, low: float, high: float) -> None:
        self._change(clims=(low, high))

    def _on_gamma(self, gamma: float) -> None:
        self._change(gamma=gamma)

    def _change(self, **changes: object) -> None:
        if self.layer is not None:
            self._state.set_look(self.layer.key, **changes)


def _tick(visible: bool) -> Qt.CheckState:
    return Qt.CheckState.Checked if visible else Qt.CheckState.Unchecked


def _described(layer: Layer) -> str:
    size = " × ".join(str(n) for n in layer.shape_zyx)
    text = (
        f"{layer.title}: {_KIND_NAMES[layer.kind]}, {size} voxels (Z × Y × X), {layer.data.dtype}"
    )
    if layer.spacing_um_zyx is None:
        return text
    return text + ", " + " × ".join(f"{um:g}" for um in layer.spacing_um_zyx) + " µm"


def _swatch(name: str) -> QIcon:
    table = intensity_table(name, 1.0)
    row = table[np.linspace(0, len(table) - 1, _SWATCH.width()).astype(int)]
    pixels = np.ascontiguousarray(np.tile(row, (_SWATCH.height(), 1)))
    image = QImage(
        pixels.data, _SWATCH.width(), _SWATCH.height(), 4 * _SWATCH.width(),
        QImage.Format.Format_RGB32,
    )  # fmt: skip
    return QIcon(QPixmap.fromImage(image.copy()))
