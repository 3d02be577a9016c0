"""Python's cyclic garbage, collected on the GUI thread only.

Python collects in whichever thread happens to allocate. A widget in a cycle that a worker thread
frees takes the program down, for Qt lets widgets be deleted by the GUI thread alone.
"""

from __future__ import annotations

import gc
import time
from typing import Final

from PySide6.QtCore import QObject, QTimer

# Often, for a pass over what a busy worker makes in a second would stop the window for a moment.
_INTERVAL_MS: Final = 100
# Seldom, for a pass over everything takes long however little has changed.
_FULL_INTERVAL_S: Final = 60.0


class GuiThreadGarbage(QObject):
    """Takes over from the automatic collector for as long as it lives."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._thresholds = gc.get_threshold()
        gc.disable()
        self._oldest = 1
        self._full_s = time.monotonic()
        self._timer = QTimer(self)
        self._timer.setInterval(_INTERVAL_MS)
        self._timer.timeout.connect(self.collect)
        self._timer.start()

    def collect(self) -> None:
        """Collect the generations that are due, the youngest first."""
        counts = gc.get_count()
        due = [n for n in range(self._oldest + 1) if counts[n] > self._thresholds[n]]
        if 2 in due:
            if time.monotonic() - self._full_s < _FULL_INTERVAL_S:
                due.remove(2)
            else:
                self._full_s = time.monotonic()
        if due:
            gc.collect(max(due))

    def wait(self) -> None:
        """Collect nothing while the engine loads: going through all that it makes takes long."""
        self._timer.stop()

    def settle(self) -> None:
        """Leave what is loaded by now out of every later collection; it is hardly ever garbage."""
        gc.freeze()
        self._oldest = 2
        self._timer.start()

    def stop(self) -> None:
        """Give the work back to the automatic collector."""
        self._timer.stop()
        gc.enable()
