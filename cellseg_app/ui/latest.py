"""Reading and counting beside the window, of which only the newest answer is wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from PySide6.QtCore import QObject, Qt, QThreadPool, Signal, Slot
from shiboken6 import isValid

from cellseg_app.core.errors import UserError

Found = TypeVar("Found")
# What takes a few milliseconds for so many rows is done at once.
MANY_ROWS: Final = 100_000


class Latest(QObject):
    """Does work at once or in a thread, and hands its result over on the GUI thread.

    Signals
    -------
    failed
        The `UserError` of the newest work.
    """

    failed = Signal(object)
    _ended = Signal(int, object, object)

    def __init__(self) -> None:
        super().__init__()
        self._number = 0
        self._then: Callable[[Any], None] = lambda _: None
        self._ended.connect(self._on_ended, Qt.ConnectionType.QueuedConnection)

    def ask(
        self, work: Callable[[], Found], then: Callable[[Found], None], *, at_once: bool
    ) -> None:
        """Do work; the result of what was asked before is not wanted any more."""
        self.forget()
        if at_once:
            then(work())
            return
        self._then, number = then, self._number

        def run() -> None:
            found: object = None
            problem: Exception | None = None
            try:
                found = work()
            except Exception as error:  # noqa: BLE001 - raised again on the GUI thread
                problem = error
            # The window may have been closed meanwhile.
            if isValid(self):
                self._ended.emit(number, found, problem)

        QThreadPool.globalInstance().start(run)

    def forget(self) -> None:
        """Want nothing any more."""
        self._number += 1

    @Slot(int, object, object)
    def _on_ended(self, number: int, found: object, problem: Exception | None) -> None:
        if number != self._number:
            return
        if isinstance(problem, UserError):
            self.failed.emit(problem)
        elif problem is not None:
            raise problem
        else:
            self._then(found)
