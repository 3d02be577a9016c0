"""One pane: a slice of every layer, the crosshair, a scale bar; wheel, mouse and keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QApplication, QToolButton, QWidget

from cellseg_app.core.volume import SpacingZYX
from cellseg_app.state.slicing import PLANES, Plane
from cellseg_app.viewers.ortho import overlays
from cellseg_app.viewers.ortho.camera import Camera
from cellseg_app.viewers.ortho.rendering import SliceImage

_WHEEL_NOTCH: Final = 120
_ZOOM_STEP: Final = 1.25
_MANY_PLANES: Final = 10
_NO_KEYS: Final = Qt.KeyboardModifier.NoModifier

_PLANE_KEYS: Final = {
    Qt.Key.Key_PageUp: 1,
    Qt.Key.Key_PageDown: -1,
    Qt.Key.Key_Period: 1,
    Qt.Key.Key_Comma: -1,
}
# Steps down and along the pane.
_ARROW_KEYS: Final = {
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
}
_ZOOM_KEYS: Final = {
    Qt.Key.Key_Plus: _ZOOM_STEP,
    Qt.Key.Key_Equal: _ZOOM_STEP,
    Qt.Key.Key_Minus: 1 / _ZOOM_STEP,
}


@dataclass(slots=True, eq=False)
class _Picture:
    image: QImage
    # Owns the pixels that the QImage only points to.
    source: SliceImage
    opacity: float


class SlicePane(QWidget):
    """Shows pictures where it is told to and says what the user did; it knows no state.

    Parameters
    ----------
    key
        Names the pane among those it is linked with.
    plane
        Which way it cuts.
    """

    camera_moved = Signal(object)
    planes_stepped = Signal(int, int)
    cursor_asked = Signal(object)
    clicked = Signal(str, object, bool)
    hovered = Signal(str, object)
    maximize_asked = Signal()
    fit_asked = Signal()
    resized = Signal()

    def __init__(self, key: str, plane: Plane, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.key, self.plane = key, plane
        self.camera = Camera()
        self.calibrated = True
        self.title, self.caption, self.message = plane.upper(), "", ""
        self.order: tuple[str, ...] = ()
        self.cursor_um: SpacingZYX | None = None
        self.box_um: tuple[SpacingZYX, SpacingZYX] | None = None
        self._pictures: dict[str, _Picture] = {}
        self._pressed: QPointF | None = None
        self._dragged = False
        self._wheel = 0
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(60, 60)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName(f"{plane.upper()} slices")
        self.setAccessibleDescription(
            "Wheel or Page keys change the slice, Ctrl and wheel zoom, drag moves, click sets the "
            "crosshair and chooses the cell, Ctrl and click one more, double click fills the "
            "viewer."
        )
        self.maximize_button = _maximize_button(self, plane)
        self.maximize_button.clicked.connect(self.maximize_asked)

    def set_picture(self, layer_key: str, source: SliceImage, opacity: float) -> None:
        """Show a layer's slice."""
        height, width = source.pixels.shape
        image = QImage(
            source.pixels.data, width, height, 4 * width, QImage.Format.Format_ARGB32_Premultiplied
        )
        self._pictures[layer_key] = _Picture(image, source, opacity)
        self.update()

    def clear_picture(self, layer_key: str) -> None:
        """Show nothing of a layer."""
        if self._pictures.pop(layer_key, None) is not None:
            self.update()

    def set_opacity(self, layer_key: str, opacity: float) -> None:
        """Change how strongly a layer shows, without a new picture."""
        picture = self._pictures.get(layer_key)
        if picture is not None and picture.opacity != opacity:
            picture.opacity = opacity
            self.update()

    def has_picture(self, layer_key: str, *, exact: bool = True) -> bool:
        """Whether a layer's slice has arrived; at full resolution, if `exact`."""
        picture = self._pictures.get(layer_key)
        return picture is not None and not (exact and picture.source.preview)

    def to_um(self, at: QPointF) -> SpacingZYX:
        """The point of the world under a position; across the pane, where it cuts."""
        axes, point = PLANES[self.plane], list(self.cursor_um or self.camera.center_um)
        center, px = self.camera.center_um, self.camera.px_um
        point[axes.horizontal] = center[axes.horizontal] + (at.x() - self.width() / 2) * px
        point[axes.vertical] = center[axes.vertical] + (at.y() - self.height() / 2) * px
        return point[0], point[1], point[2]

    def to_px(self, point_um: SpacingZYX) -> QPointF:
        """Where a point of the world is drawn."""
        axes, center, px = PLANES[self.plane], self.camera.center_um, self.camera.px_um
        return QPointF(
            (point_um[axes.horizontal] - center[axes.horizontal]) / px + self.width() / 2,
            (point_um[axes.vertical] - center[axes.vertical]) / px + self.height() / 2,
        )

    # ---- Painting ----

    def paintEvent(self, event: QPaintEvent) -> None:
        size = QRectF(self.rect())
        painter = QPainter(self)
        painter.fillRect(size, overlays.BACKGROUND)
        for key in self.order:
            if key in self._pictures:
                self._draw_picture(painter, self._pictures[key])
        painter.setOpacity(1)
        if self.message:
            overlays.draw_message(painter, size, self.message)
        if self.box_um is not None:
            self._draw_box(painter, *self.box_um)
        if self.cursor_um is not None and self.order:
            overlays.draw_crosshair(painter, self.to_px(self.cursor_um), size)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.order:
            overlays.draw_scale_bar(painter, size, self.camera.px_um, calibrated=self.calibrated)
            overlays.draw_caption(painter, size, self.caption, strong=self.title)
        if self.hasFocus():
            overlays.draw_focus(painter, size)
        painter.end()

    def _draw_picture(self, painter: QPainter, picture: _Picture) -> None:
        top, left, height, width = picture.source.rect_um
        axes, px = PLANES[self.plane], self.camera.px_um
        corner_um = [0.0, 0.0, 0.0]
        corner_um[axes.vertical], corner_um[axes.horizontal] = top, left
        corner = self.to_px((corner_um[0], corner_um[1], corner_um[2]))
        target = QRectF(corner.x(), corner.y(), width / px, height / px)
        shrunk = target.width() * self.devicePixelRatioF() < picture.image.width()
        smooth = shrunk or picture.source.preview
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, smooth)
        painter.setOpacity(picture.opacity)
        painter.drawImage(target, picture.image)

    def _draw_box(self, painter: QPainter, low: SpacingZYX, high: SpacingZYX) -> None:
        normal = PLANES[self.plane].normal
        at = (self.cursor_um or low)[normal]
        box = QRectF(self.to_px(low), self.to_px(high)).normalized()
        overlays.draw_box(painter, box, cut=low[normal] <= at <= high[normal])

    # ---- What the user does ----

    def wheelEvent(self, event: QWheelEvent) -> None:
        self._wheel += event.angleDelta().y() or event.angleDelta().x()
        notches, self._wheel = int(self._wheel / _WHEEL_NOTCH), self._wheel % _WHEEL_NOTCH
        event.accept()
        if not notches:
            return
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            fixed = self.to_um(event.position())
            self.camera_moved.emit(self.camera.zoomed(_ZOOM_STEP**notches, fixed))
        else:
            many = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            self._step(notches * (_MANY_PLANES if many else 1))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._pressed, self._dragged = event.position(), False
        if self._moves_cursor(event):
            self.cursor_asked.emit(self.to_um(event.position()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        at = event.position()
        self.hovered.emit(self.key, self.to_um(at))
        if self._pressed is None or event.buttons() == Qt.MouseButton.NoButton:
            return
        way = at - self._pressed
        if way.manhattanLength() >= QApplication.startDragDistance():
            self._dragged = True
        if self._moves_cursor(event):
            self.cursor_asked.emit(self.to_um(at))
        elif self._dragged:
            self._pressed = at
            self.camera_moved.emit(self.camera.moved(self.plane, way.y(), way.x()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        is_click = self._pressed is not None and not self._dragged
        self._pressed = None
        if is_click and event.button() == Qt.MouseButton.LeftButton:
            adds = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
            self.clicked.emit(self.key, self.to_um(event.position()), adds)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self._pressed = None
        self.maximize_asked.emit()

    def leaveEvent(self, event: object) -> None:
        self.hovered.emit(self.key, None)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key, shifted = event.key(), bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if key in _PLANE_KEYS:
            self._step(_PLANE_KEYS[Qt.Key(key)] * (_MANY_PLANES if shifted else 1))
        elif key in _ARROW_KEYS:
            down, along = _ARROW_KEYS[Qt.Key(key)]
            axes, many = PLANES[self.plane], _MANY_PLANES if shifted else 1
            axis, n = (axes.vertical, down) if down else (axes.horizontal, along)
            self.planes_stepped.emit(axis, n * many)
        elif key in _ZOOM_KEYS:
            zoomed = self.camera.zoomed(_ZOOM_KEYS[Qt.Key(key)], self.cursor_um)
            self.camera_moved.emit(zoomed)
        elif key == Qt.Key.Key_Home:
            self.fit_asked.emit()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.maximize_asked.emit()
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        button = self.maximize_button
        button.move(self.width() - button.width() - 8, 8)
        self.resized.emit()

    def showEvent(self, event: object) -> None:
        # Hidden panes are not fed.
        self.resized.emit()

    def _step(self, n: int) -> None:
        self.planes_stepped.emit(PLANES[self.plane].normal, n)

    def _moves_cursor(self, event: QMouseEvent) -> bool:
        held = event.buttons()
        with_shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        return bool(held & Qt.MouseButton.RightButton) or (
            with_shift and bool(held & Qt.MouseButton.LeftButton)
        )


def _maximize_button(pane: QWidget, plane: Plane) -> QToolButton:
    button = QToolButton(pane)
    button.setText("⤢")
    button.setAutoRaise(True)
    button.setFixedSize(26, 26)
    button.setToolTip("Fill the viewer with this pane, or show all panes again (double click)")
    button.setAccessibleName(f"Maximize {plane.upper()}")
    button.setCursor(Qt.CursorShape.PointingHandCursor)
    # The panes are black in both themes.
    palette = button.palette()
    palette.setColor(QPalette.ColorRole.ButtonText, Qt.GlobalColor.white)
    button.setPalette(palette)
    font = button.font()
    font.setPointSizeF(font.pointSizeF() * 1.3)
    button.setFont(font)
    return button
