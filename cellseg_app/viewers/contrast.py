"""Contrast: a histogram with a range slider below it."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QPointF, QRectF, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QPalette, QPolygonF
from PySide6.QtWidgets import (
    QAbstractSlider,
    QAbstractSpinBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QLabeledDoubleRangeSlider, QLabeledSlider

from cellseg_app.viewers.overview import Statistics

_HEIGHT: Final = 56
_MIN_SPAN_FRACTION: Final = 1e-4


class HistogramBars(QWidget):
    """A histogram (counts on a logarithmic scale), with the part outside the limits dimmed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._counts: npt.NDArray[np.float64] = np.zeros(0)
        self._range, self._limits = (0.0, 1.0), (0.0, 1.0)
        self.setMinimumHeight(_HEIGHT)
        self.setAccessibleName("Histogram of intensities")
        self.setToolTip("How often each intensity occurs (logarithmic)")

    def sizeHint(self) -> QSize:
        return QSize(200, _HEIGHT)

    def set_statistics(self, found: Statistics | None) -> None:
        """Show a histogram; none for an empty frame."""
        self._counts = np.zeros(0) if found is None else np.log1p(found.counts)
        self._range = (0.0, 1.0) if found is None else found.range
        self.update()

    def set_limits(self, low: float, high: float) -> None:
        """Mark the contrast limits."""
        self._limits = (low, high)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, size = QPainter(self), QRectF(self.rect())
        painter.fillRect(size, self.palette().color(QPalette.ColorRole.Base))
        if self._counts.size and self._counts.max() > 0:
            self._draw(painter, size)
        painter.end()

    def _draw(self, painter: QPainter, size: QRectF) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        curve = self._counts / self._counts.max() * (size.height() - 4)
        x = np.linspace(0, size.width(), len(curve))
        points = [QPointF(0, size.height())]
        points += [QPointF(a, size.height() - b) for a, b in zip(x, curve, strict=True)]
        points.append(QPointF(size.width(), size.height()))
        shape = QPolygonF(points)
        bright = self.palette().color(QPalette.ColorRole.Highlight)
        faint = self.palette().color(QPalette.ColorRole.Mid)
        painter.setBrush(faint)
        painter.drawPolygon(shape)
        low, high = (self._place(value, size.width()) for value in self._limits)
        painter.setClipRect(QRectF(low, 0, max(1.0, high - low), size.height()))
        painter.setBrush(bright)
        painter.drawPolygon(shape)

    def _place(self, value: float, width: float) -> float:
        low, high = self._range
        return (value - low) / ((high - low) or 1.0) * width


class ContrastEditor(QWidget):
    """Contrast limits, auto contrast and gamma of one layer."""

    clims_changed = Signal(float, float)
    gamma_changed = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._found: Statistics | None = None
        self._shown: tuple[tuple[float, float], tuple[float, float]] | None = None
        self.bars = HistogramBars(self)
        self.slider = _range_slider(self)
        self.auto = QToolButton(self)
        self.auto.setText("Auto")
        self.auto.setToolTip("Choose the limits so that most of the image is seen well")
        self.auto.setAccessibleName("Auto contrast")
        self.auto.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.full = QToolButton(self)
        self.full.setText("Full")
        self.full.setToolTip("From the smallest to the largest intensity")
        self.full.setAccessibleName("Full contrast range")
        self.full.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.gamma = _gamma_slider(self)
        gamma_label = QLabel("Gamma", self)
        gamma_label.setBuddy(self.gamma)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.bars)
        column.addWidget(self.slider)
        column.addLayout(_row(self.auto, self.full))
        column.addLayout(_row(gamma_label, self.gamma))
        self.slider.valueChanged.connect(self._on_slid)
        self.gamma.valueChanged.connect(self._on_gamma)
        self.auto.clicked.connect(self._on_auto)
        self.full.clicked.connect(self._on_full)
        self.setEnabled(False)

    def show_layer(
        self, found: Statistics | None, clims: tuple[float, float] | None, gamma: float
    ) -> None:
        """Show a layer's contrast, without saying that it changed."""
        if found is not self._found:
            self._found = found
            self.bars.set_statistics(found)
        self.setEnabled(found is not None)
        with QSignalBlocker(self.gamma):
            self.gamma.setValue(round(gamma * 100))
        if found is None or clims is None:
            return
        if self._shown == (found.range, clims):
            # Setting a compound slider takes some milliseconds, and every look of a layer asks.
            return
        self._shown = found.range, clims
        low, high = found.range
        with QSignalBlocker(self.slider):
            self.slider.setMinimum(min(low, clims[0]))  # type: ignore[arg-type]
            self.slider.setMaximum(max(high, clims[1]))  # type: ignore[arg-type]
            self.slider.setDecimals(_decimals(high - low))
            self.slider.setValue(clims)
        self.bars.set_limits(*clims)

    def _on_slid(self, values: tuple[float, float]) -> None:
        low, high = values
        if self._found is not None:
            least = (self._found.range[1] - self._found.range[0]) * _MIN_SPAN_FRACTION
            high = max(high, low + least)
        self._shown = None
        self.bars.set_limits(low, high)
        self.clims_changed.emit(low, high)

    def _on_gamma(self, value: int) -> None:
        self.gamma_changed.emit(value / 100)

    def _on_auto(self) -> None:
        if self._found is not None:
            self.clims_changed.emit(*self._found.auto_clims)

    def _on_full(self) -> None:
        if self._found is not None:
            self.clims_changed.emit(*self._found.range)


def _range_slider(parent: QWidget) -> QLabeledDoubleRangeSlider:
    slider = QLabeledDoubleRangeSlider(Qt.Orientation.Horizontal, parent)
    slider.setHandleLabelPosition(QLabeledDoubleRangeSlider.LabelPosition.NoLabel)
    slider.setEdgeLabelMode(QLabeledDoubleRangeSlider.EdgeLabelMode.LabelIsValue)
    slider.setAccessibleName("Contrast limits")
    slider.setToolTip("Intensities drawn darkest and brightest")
    _name_parts(slider, "Contrast limits")
    return slider


def _gamma_slider(parent: QWidget) -> QLabeledSlider:
    slider = QLabeledSlider(Qt.Orientation.Horizontal, parent)
    slider.setRange(20, 300)
    slider.setValue(100)
    slider.setAccessibleName("Gamma in percent")
    slider.setToolTip("Gamma in percent: below 100 lifts the dark parts")
    _name_parts(slider, "Gamma in percent")
    return slider


def _name_parts(slider: QWidget, name: str) -> None:
    """Tell a screen reader what the groove and the numbers of a compound slider are."""
    for part in slider.findChildren(QWidget):
        if isinstance(part, (QAbstractSlider, QAbstractSpinBox, QLineEdit)):
            part.setAccessibleName(name)
            part.setToolTip(slider.toolTip())
            part.setFocusPolicy(Qt.FocusPolicy.StrongFocus)


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget, 0 if isinstance(widget, QLabel) else 1)
    return row


def _decimals(span: float) -> int:
    return 0 if span >= 200 else 1 if span >= 20 else 3
