"""Saves a picture of the whole screen as soon as something is drawn on it.

python photograph.py PICTURE.png [SECONDS]      ends with 1 if it stays of one colour for so long
"""

from __future__ import annotations

import sys
import time

import numpy as np
from PySide6.QtGui import QGuiApplication, QImage


def contrast(picture: QImage) -> float:
    """Standard deviation of the grey levels (0 to 255)."""
    gray = picture.convertToFormat(QImage.Format.Format_Grayscale8)
    lines = np.frombuffer(gray.constBits(), np.uint8).reshape(gray.height(), gray.bytesPerLine())
    return float(lines[:, : gray.width()].std())


def main() -> int:
    """Take the picture."""
    app = QGuiApplication(sys.argv[:1])
    end_s = time.monotonic() + float(sys.argv[2] if len(sys.argv) > 2 else 0)
    picture = app.primaryScreen().grabWindow(0).toImage()
    while contrast(picture) < 5 and time.monotonic() < end_s:
        time.sleep(0.5)
        picture = app.primaryScreen().grabWindow(0).toImage()
    # What has begun to be drawn is drawn to its end.
    time.sleep(1.0)
    picture = app.primaryScreen().grabWindow(0).toImage()
    picture.save(sys.argv[1])
    print(f"picture: {sys.argv[1]}, contrast {contrast(picture):.1f}")
    return 0 if contrast(picture) > 5 else 1


if __name__ == "__main__":
    sys.exit(main())
