"""The 3D pane: controls above the canvas, or a sentence where there is no OpenGL."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import numpy as np
from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtGui import QImage, QPalette
from PySide6.QtOpenGLWidgets import QOpenGLWidget
from PySide6.QtWidgets import QFileDialog, QLabel, QMessageBox, QVBoxLayout, QWidget

from cellseg_app.core.volume import ShapeZYX, SpacingZYX
from cellseg_app.state.display import UNKNOWN_SPACING, Layer, LayerLook, SpaceLook, ViewState
from cellseg_app.state.slicing import cursor_um
from cellseg_app.viewers.colors import LabelColors
from cellseg_app.viewers.ortho.overlays import BACKGROUND
from cellseg_app.viewers.overview import Overview
from cellseg_app.viewers.survey import SMALL_BUDGET, UNLIMITED_SIZE
from cellseg_app.viewers.volume3d.capability import OpenGLReport, probe_opengl
from cellseg_app.viewers.volume3d.controls import SpaceControls

if TYPE_CHECKING:
    from cellseg_app.viewers.volume3d.feeder import SceneFeeder
    from cellseg_app.viewers.volume3d.scene import SpaceScene

# Between two steps of making the scene, in which each is drawn.
_BETWEEN_STEPS_MS: Final = 15


class SpacePane(QWidget):
    """Shows overviews in 3D. The state says how; layers come when their overview is read.

    Parameters
    ----------
    state
        What is shown.
    parent
        Owner, as Qt has it.
    report
        What the graphics driver offers; asked for if not given.
    """

    maximize_asked = Signal()
    _loaded = Signal()

    def __init__(
        self, state: ViewState, parent: QWidget | None = None, *, report: OpenGLReport | None = None
    ) -> None:
        super().__init__(parent)
        self._state = state
        self.report = report or probe_opengl()
        self._layers: tuple[Layer, ...] = ()
        self._overviews: dict[str, Overview] = {}
        self._colors = LabelColors()
        self._box_um: tuple[SpacingZYX, SpacingZYX] | None = None
        self._closed = False
        self.scene: SpaceScene | None = None
        self._feeder: SceneFeeder | None = None
        self.setMinimumSize(60, 60)
        self.setAccessibleName("Volume in 3D")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        self.controls = SpaceControls(state, self)
        self.controls.maximize_asked.connect(self.maximize_asked)
        self.controls.fit_asked.connect(self.fit)
        self.controls.picture_asked.connect(self._save_picture)
        column.addWidget(self.controls)
        self._column = column
        self._loader: ThreadPoolExecutor | None = None
        self._making: Generator[QWidget, None, SpaceScene] | None = None
        self._turns = QTimer(self, interval=_BETWEEN_STEPS_MS)
        self._turns.timeout.connect(self._make_more)
        self._loaded.connect(self._begin_scene, Qt.ConnectionType.QueuedConnection)
        if self.report.problem:
            column.addWidget(self._message(self.report.problem), 1)
            self.controls.set_available(False)
        else:
            self._load()

    @property
    def detail(self) -> tuple[int, int]:
        """Bytes and longest axis of an overview that 3D can show."""
        if self.report.problem:
            return SMALL_BUDGET, UNLIMITED_SIZE
        return self.report.n_bytes, self.report.max_size

    def set_layers(self, layers: Sequence[Layer]) -> None:
        """Take out what is shown no longer; new layers come by `set_overview`."""
        gone = [layer for layer in self._layers if layer not in layers]
        self._layers = tuple(layers)
        keys = {layer.key for layer in layers}
        for layer in gone:
            self._overviews.pop(layer.key, None)
            if self._feeder is not None and layer.key not in keys:
                self._feeder.forget(layer.key)
        if self.scene is not None:
            size = _extent_um(self._layers)
            if size is not None:
                self.scene.set_size(size)
                self._on_cursor(self._state.cursor_zyx)
            self.scene.show_marks(size is not None)
        self._write_badge()

    def set_overview(self, overview: Overview) -> None:
        """Show a layer at this resolution."""
        if self._closed or overview.layer not in self._layers:
            return
        self._overviews[overview.layer.key] = overview
        if self._feeder is not None:
            self._feeder.show(overview, self._colors)
            if overview.layer.kind == "labels":
                self._on_highlighted(self._state.highlighted)
        self._write_badge()

    def set_colors(self, colors: LabelColors) -> None:
        """Colour labels differently."""
        self._colors = colors
        if self._feeder is None:
            return
        for overview in self._overviews.values():
            if overview.layer.kind == "labels":
                self._feeder.show(overview, colors)

    def set_box(self, box_um: tuple[SpacingZYX, SpacingZYX] | None) -> None:
        """Frame the part a preview is computed of."""
        self._box_um = box_um
        if self.scene is not None:
            self.scene.set_box(box_um)

    def fit(self) -> None:
        """Show the whole volume."""
        if self.scene is not None:
            self.scene.fit()

    def picture(self) -> QImage | None:
        """The scene without controls; None without OpenGL."""
        if self.scene is None:
            return None
        pixels = np.ascontiguousarray(self.scene.picture())
        height, width, _ = pixels.shape
        image = QImage(pixels.data, width, height, 4 * width, QImage.Format.Format_RGBA8888)
        return image.copy()

    def draw_whole(self) -> None:
        """Let the next drawing be of the whole picture, however long it takes."""
        if self.scene is not None:
            self.scene.canvas.draw_whole()

    @Slot()
    def _save_picture(self) -> None:
        picture = self.picture()
        if picture is None:
            return
        title, kinds = "Save a picture of the volume", "PNG image (*.png)"
        path, _ = QFileDialog.getSaveFileName(self, title, "volume-3d.png", kinds)
        if path and not picture.save(path if path.lower().endswith(".png") else f"{path}.png"):
            QMessageBox.warning(self, title, f"{path} cannot be written. Choose another folder.")

    def shutdown(self) -> None:
        """Listen to the state no longer; free the graphics card."""
        self._closed = True
        self.controls.close_events()
        if self._loader is not None:
            self._loader.shutdown(wait=True)
        self._turns.stop()
        if self._making is not None:
            self._making.close()
        if self.scene is None or self._feeder is None:
            return
        for name, slot in self._slots().items():
            self._state.events[name].disconnect(slot)
        self._feeder.close()
        self.scene.close()
        self.scene = self._feeder = None

    def _load(self) -> None:
        # Without an OpenGL widget from the start, Qt would make the whole window anew, with a
        # flash, when the first volume is opened.
        self._place_holder = QOpenGLWidget(self)
        self._column.addWidget(self._place_holder, 1)
        # vispy takes a while to load; the window is not kept waiting for it.
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="load-vispy")
        self._loader.submit(_load_vispy).add_done_callback(lambda _: self._loaded.emit())

    @Slot()
    def _begin_scene(self) -> None:
        if self._making is not None or self._closed:
            return
        from cellseg_app.viewers.volume3d.steps import scene_in_steps

        self._making = scene_in_steps(self, in_software=self.report.is_software)
        canvas = next(self._making)
        canvas.setAccessibleName("Volume in 3D")
        canvas.setMinimumSize(40, 40)
        self._column.replaceWidget(self._place_holder, canvas)
        self._place_holder.deleteLater()
        self._turns.start()

    @Slot()
    def _make_more(self) -> None:
        if self._making is None:
            return
        try:
            next(self._making)
        except StopIteration as made:
            self._turns.stop()
            self._fill_scene(made.value)

    def _fill_scene(self, scene: SpaceScene) -> None:
        from cellseg_app.viewers.volume3d.feeder import SceneFeeder

        self.scene = scene
        self._feeder = SceneFeeder(scene, self._looks, self)
        for name, slot in self._slots().items():
            self._state.events[name].connect(slot)
        self._show_all()

    def _show_all(self) -> None:
        if self.scene is None:
            return
        size = _extent_um(self._layers)
        if size is not None:
            self.scene.set_size(size)
            self.scene.fit()
            self._on_cursor(self._state.cursor_zyx)
        self.scene.set_space(self._state.space, self._looks())
        self.scene.set_box(self._box_um)
        for overview in list(self._overviews.values()):
            self.set_overview(overview)

    def _slots(self) -> dict[str, Callable[..., None]]:
        return {
            "looks": self._on_looks,
            "space": self._on_space,
            "cursor_zyx": self._on_cursor,
            "highlighted": self._on_highlighted,
        }

    def _looks(self) -> dict[str, LayerLook]:
        return dict(self._state.looks)

    def _on_looks(self, looks: Mapping[str, LayerLook]) -> None:
        if self.scene is not None:
            self.scene.set_looks(looks)

    def _on_space(self, space: SpaceLook) -> None:
        if self.scene is not None:
            self.scene.set_space(space, self._looks())

    def _on_cursor(self, _: ShapeZYX) -> None:
        if self.scene is not None:
            scale = self._layers[0].scale_zyx if self._layers else UNKNOWN_SPACING
            self.scene.set_cursor(cursor_um(self._state, scale))

    def _on_highlighted(self, label_ids: tuple[int, ...]) -> None:
        labels = [o for o in self._overviews.values() if o.layer.kind == "labels"]
        if self._feeder is not None:
            self._feeder.mesh(labels[-1] if labels else None, label_ids)

    def _write_badge(self) -> None:
        coarsest = max(self._overviews.values(), key=lambda o: max(o.step_zyx), default=None)
        self.controls.set_badge("" if coarsest is None else coarsest.badge)

    def _message(self, text: str) -> QLabel:
        label = QLabel(text, self)
        label.setWordWrap(True)
        label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        label.setMargin(24)
        palette = label.palette()
        palette.setColor(QPalette.ColorRole.Window, BACKGROUND)
        palette.setColor(QPalette.ColorRole.WindowText, Qt.GlobalColor.white)
        label.setPalette(palette)
        label.setAutoFillBackground(True)
        return label


def _extent_um(layers: Sequence[Layer]) -> SpacingZYX | None:
    if not layers:
        return None
    z, y, x = (n * s for n, s in zip(layers[0].shape_zyx, layers[0].scale_zyx, strict=True))
    return z, y, x


def _load_vispy() -> None:
    # vispy imports it with the first volume it sends to the card, which would stop the window.
    import OpenGL.GL  # noqa: F401

    import cellseg_app.viewers.volume3d.feeder
    import cellseg_app.viewers.volume3d.steps  # noqa: F401
