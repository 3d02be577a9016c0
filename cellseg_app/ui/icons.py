"""Icons: drawn once as SVG, coloured by the theme, crisp at every scale."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from cellseg_app.paths import resource_path

_SIZES: Final = (16, 24, 32, 48)
_APP_SIZES: Final = (16, 24, 32, 48, 64, 128, 256, 512)
# What the SVG files are drawn in; replaced by the text colour of the theme.
_INK: Final = b"#000000"


def icon(name: str, color: str) -> QIcon:
    """Return an icon of `resources/icons` in a colour; empty if there is no such file."""
    path = resource_path("icons", f"{name}.svg")
    if not path.is_file():
        return QIcon()
    return _rendered(path.read_bytes().replace(_INK, color.encode()), _SIZES)


def app_icon() -> QIcon:
    """Return the program's icon."""
    return _rendered(app_icon_path().read_bytes(), _APP_SIZES)


def app_icon_path() -> Path:
    """Path of the program's icon."""
    return resource_path("icons", "cellseg.svg")


def _rendered(svg: bytes, sizes: tuple[int, ...]) -> QIcon:
    renderer = QSvgRenderer(QByteArray(svg))
    result = QIcon()
    for size in sizes:
        pixmap = QPixmap(size, size)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        renderer.render(painter, QRectF(0, 0, size, size))
        painter.end()
        result.addPixmap(pixmap)
    return result
