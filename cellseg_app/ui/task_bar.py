"""How far a run is, where it is seen from other windows: title, task bar, dock."""

from __future__ import annotations

from typing import Final, cast

from PySide6.QtWidgets import QApplication, QMainWindow

TITLE: Final = "CellSeg"


class TaskBar:
    """Writes the window's title, and the number on the program's icon where a system shows one."""

    def __init__(self, window: QMainWindow) -> None:
        self._window = window
        self._badge = 0
        window.setWindowTitle(TITLE)

    def show(self, volume: str, fraction: float | None) -> None:
        """Show the volume looked at, and how much of a run is done; None if nothing runs."""
        parts = [] if fraction is None else [f"{fraction:.0%}"]
        self._window.setWindowTitle(" – ".join([*parts, *([volume] if volume else []), TITLE]))
        percent = 0 if fraction is None else min(99, round(100 * fraction))
        if percent != self._badge:
            self._badge = percent
            cast("QApplication", QApplication.instance()).setBadgeNumber(percent)

    def call(self) -> None:
        """Ask for the user's attention, unless the window has it."""
        QApplication.alert(self._window)
