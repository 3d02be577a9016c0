"""What is drawn over the slices, in pixels of the screen."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPen

from cellseg_app.viewers.ortho.camera import length_text, scale_bar

# Slices are seen on black in both themes: a bright surround would hide the dark parts.
BACKGROUND: Final = QColor("#0b0c0e")
_TEXT: Final = QColor("#f2f2f2")
_SHADE: Final = QColor(0, 0, 0, 150)
_CROSSHAIR: Final = QColor(255, 214, 80, 190)
_FOCUS: Final = QColor("#4aa3ff")
_PREVIEW_BOX: Final = QColor("#ff9f43")
_MARGIN: Final = 10.0
_GAP: Final = 9.0


def draw_crosshair(painter: QPainter, at: QPointF, size: QRectF) -> None:
    """Two lines that leave the crossing itself free to be seen."""
    painter.setPen(QPen(_CROSSHAIR, 1))
    x, y = round(at.x()) + 0.5, round(at.y()) + 0.5
    painter.drawLine(QPointF(size.left(), y), QPointF(x - _GAP, y))
    painter.drawLine(QPointF(x + _GAP, y), QPointF(size.right(), y))
    painter.drawLine(QPointF(x, size.top()), QPointF(x, y - _GAP))
    painter.drawLine(QPointF(x, y + _GAP), QPointF(x, size.bottom()))


def draw_scale_bar(painter: QPainter, size: QRectF, px_um: float, *, calibrated: bool) -> None:
    """A bar of round length at the lower right, with its length."""
    if size.width() < 80 or size.height() < 60:
        return
    length_um, length_px = scale_bar(px_um, longest_px=min(140.0, size.width() / 3))
    text = length_text(length_um, calibrated=calibrated)
    metrics = QFontMetricsF(painter.font())
    width = max(length_px, metrics.horizontalAdvance(text))
    box = QRectF(0, 0, width + 12, metrics.height() + 14)
    box.moveBottomRight(QPointF(size.right() - _MARGIN, size.bottom() - _MARGIN))
    _shade(painter, box)
    bar = QRectF(box.center().x() - length_px / 2, box.bottom() - 8, length_px, 3)
    painter.fillRect(bar, _TEXT)
    painter.setPen(_TEXT)
    top = QRectF(box.left(), box.top() + 2, box.width(), metrics.height())
    painter.drawText(top, Qt.AlignmentFlag.AlignCenter, text)


def draw_caption(painter: QPainter, size: QRectF, text: str, *, strong: str = "") -> None:
    """A line at the upper left: the pane's name, shortened to fit, and where it cuts."""
    font = painter.font()
    bold = painter.font()
    bold.setBold(True)
    metrics, bold_metrics = QFontMetricsF(font), QFontMetricsF(bold)
    text_width = metrics.horizontalAdvance(text)
    gap = bold_metrics.horizontalAdvance("  ") if strong else 0.0
    room = size.width() - text_width - gap - 14 - 2 * 8
    strong = bold_metrics.elidedText(strong, Qt.TextElideMode.ElideRight, max(0.0, room))
    wide = bold_metrics.horizontalAdvance(strong) + gap
    box = QRectF(8, 8, wide + text_width + 14, metrics.height() + 6)
    _shade(painter, box)
    painter.setPen(_TEXT)
    line = box.adjusted(7, 0, 0, 0)
    painter.setFont(bold)
    painter.drawText(line, Qt.AlignmentFlag.AlignVCenter, strong)
    painter.setFont(font)
    painter.drawText(line.adjusted(wide, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, text)


def draw_message(painter: QPainter, size: QRectF, text: str) -> None:
    """A sentence in the middle of an empty pane."""
    painter.setPen(_TEXT)
    area = size.adjusted(24, 24, -24, -24)
    painter.drawText(area, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, text)


def draw_box(painter: QPainter, box: QRectF, *, cut: bool) -> None:
    """The part that a preview is computed of; dashed where the slice does not pass through it."""
    style = Qt.PenStyle.SolidLine if cut else Qt.PenStyle.DashLine
    painter.setPen(QPen(_PREVIEW_BOX, 1.5, style))
    painter.drawRect(box)


def draw_focus(painter: QPainter, size: QRectF) -> None:
    """A frame round the pane that the keys act on."""
    painter.setPen(QPen(_FOCUS, 2))
    painter.drawRect(size.adjusted(1, 1, -1, -1))


def _shade(painter: QPainter, box: QRectF) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(_SHADE)
    painter.drawRoundedRect(box, 4, 4)
    painter.setBrush(Qt.BrushStyle.NoBrush)
