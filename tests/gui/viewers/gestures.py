"""What a hand does."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import (
    QApplication,
)

from cellseg_app.viewers.ortho.pane import SlicePane

NONE = Qt.KeyboardModifier.NoModifier
CONTROL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


def turn_wheel(
    pane: SlicePane, notches: int, *, at: QPointF | None = None, held: Any = NONE
) -> None:
    place = at or QPointF(pane.rect().center())
    event = QWheelEvent(
        place, QPointF(pane.mapToGlobal(place)), QPoint(), QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton, held, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(pane, event)


def at_um(pane: SlicePane, z: float, y: float, x: float) -> QPoint:
    return pane.to_px((z, y, x)).toPoint()
