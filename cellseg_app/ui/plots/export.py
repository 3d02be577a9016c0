"""Plots as PNG, SVG or PDF."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QMarginsF, QRectF, QSize, QSizeF
from PySide6.QtGui import (
    QColor,
    QImage,
    QImageWriter,
    QPageLayout,
    QPageSize,
    QPainter,
    QPdfWriter,
)
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import QGraphicsView

from cellseg_app.atomic import atomic_path
from cellseg_app.core.errors import SettingsError

PLOT_FILTER: Final = "PNG image (*.png);;SVG drawing (*.svg);;PDF document (*.pdf)"
_PNG_SCALE: Final = 3
_DPI: Final = 96


def save_plot(view: QGraphicsView, path: Path) -> Path:
    """Write what a plot shows, in the format of the path's suffix.

    Raises
    ------
    SettingsError
        The suffix is none of png, svg, pdf.
    OutputError
        The place cannot be written to.
    """
    painters = {".png": _png, ".svg": _svg, ".pdf": _pdf}
    paint = painters.get(path.suffix.lower())
    if paint is None:
        raise SettingsError(
            f"Plots cannot be saved as {path.suffix or 'a file without suffix'}.",
            "Choose a name that ends in .png, .svg or .pdf.",
            path=path,
        )
    content = paint(view)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    return path


def _png(view: QGraphicsView) -> bytes:
    size = view.viewport().size() * _PNG_SCALE
    image = QImage(size, QImage.Format.Format_ARGB32)
    image.fill(QColor(view.backgroundBrush().color()))
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    view.render(painter, QRectF(0, 0, size.width(), size.height()))
    painter.end()

    def draw(buffer: QBuffer) -> None:
        QImageWriter(buffer, QByteArray(b"png")).write(image)

    return _written(draw)


def _svg(view: QGraphicsView) -> bytes:
    size = view.viewport().size()

    def draw(buffer: QBuffer) -> None:
        generator = QSvgGenerator()
        generator.setOutputDevice(buffer)
        generator.setSize(size)
        generator.setViewBox(QRectF(0, 0, size.width(), size.height()))
        generator.setTitle("CellSeg plot")
        painter = QPainter(generator)
        view.render(painter, QRectF(0, 0, size.width(), size.height()))
        painter.end()

    return _written(draw)


def _pdf(view: QGraphicsView) -> bytes:
    size: QSize = view.viewport().size()

    def draw(buffer: QBuffer) -> None:
        writer = QPdfWriter(buffer)
        points = QSizeF(size.width() * 72 / _DPI, size.height() * 72 / _DPI)
        page = QPageSize(points, QPageSize.Unit.Point)
        writer.setPageLayout(QPageLayout(page, QPageLayout.Orientation.Portrait, QMarginsF()))
        painter = QPainter(writer)
        view.render(painter, QRectF(0, 0, writer.width(), writer.height()))
        painter.end()

    return _written(draw)


def _written(draw: Callable[[QBuffer], None]) -> bytes:
    content = QByteArray()
    buffer = QBuffer(content)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    draw(buffer)
    buffer.close()
    return bytes(content.data())
