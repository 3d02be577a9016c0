"""Work of the window in pieces, so that the event loop turns between them."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer, Slot


class Turns(QObject):
    """Does one piece of work in each turn of the event loop, in the order of asking.

    What a result changes (slices, table, plots) would together keep the window from answering
    for longer than is noticed; each by itself does not.
    """

    def __init__(self) -> None:
        super().__init__()
        self._waiting: dict[str, Callable[[], None]] = {}
        self._timer = QTimer(self, singleShot=True, interval=0)
        self._timer.timeout.connect(self._do_next)

    def later(self, key: str, work: Callable[[], None]) -> None:
        """Do something in a turn of its own; it replaces what waits under the same key."""
        self._waiting.pop(key, None)
        self._waiting[key] = work
        self._timer.start()

    def forget(self) -> None:
        """Do nothing of what waits."""
        self._timer.stop()
        self._waiting.clear()

    @Slot()
    def _do_next(self) -> None:
        key = next(iter(self._waiting), None)
        if key is None:
            return
        work = self._waiting.pop(key)
        if self._waiting:
            self._timer.start()
        work()
