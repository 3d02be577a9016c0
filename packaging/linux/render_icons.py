"""Renders the program's icon in every size that desktops ask for.

    python render_icons.py resources/icons/cellseg.svg FOLDER NAME

Writes FOLDER/SIZExSIZE/apps/NAME.png and FOLDER/scalable/apps/NAME.svg.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Final

os.environ["QT_QPA_PLATFORM"] = "offscreen"

from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

_SIZES: Final = (16, 22, 24, 32, 48, 64, 128, 256, 512)


def render(source: Path, folder: Path, name: str) -> None:
    """Write every size of one icon."""
    renderer = QSvgRenderer(str(source))
    if not renderer.isValid():
        sys.exit(f"{source} is not a usable SVG file.")
    for size in _SIZES:
        image = QImage(size, size, QImage.Format.Format_ARGB32_Premultiplied)
        image.fill(0)
        painter = QPainter(image)
        renderer.render(painter)
        painter.end()
        target = folder / f"{size}x{size}" / "apps" / f"{name}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        image.save(str(target))
    scalable = folder / "scalable" / "apps" / f"{name}.svg"
    scalable.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, scalable)


if __name__ == "__main__":
    app = QGuiApplication([])
    render(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
