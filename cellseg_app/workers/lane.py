"""A lane: one long-lived thread in which jobs run one after the other."""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import Final

from PySide6.QtCore import QObject, Qt, QThread, Signal, Slot

from cellseg_app.core.progress import CancelToken
from cellseg_app.workers.jobs import OUTCOMES, Message, Work, perform

_log = logging.getLogger(__name__)
# Cancelling answers within one window; the slowest window seen on a laptop took 20 s.
_STOP_TIMEOUT_MS: Final = 60_000
_NICENESS: Final = 5


class JobHandle(QObject):
    """The GUI thread's end of one job.

    The handle of a superseded job stays silent.
    """

    started = Signal()
    progressed = Signal(object)
    noted = Signal(str)
    happened = Signal(object)
    finished = Signal(object)
    cancelled = Signal()
    failed = Signal(object)
    crashed = Signal(object)
    ended = Signal()

    def __init__(self, generation: int, title: str, parent: QObject) -> None:
        super().__init__(parent)
        self.generation = generation
        self.title = title
        self.token = CancelToken()

    def cancel(self) -> None:
        """Ask the job to stop at its next step."""
        self.token.cancel()


class _Worker(QObject):
    """Lives in the lane's thread and runs what is sent to it."""

    said = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._is_humble = False

    @Slot(object)
    def run(self, job: tuple[int, str, Work, CancelToken, bool]) -> None:
        generation, title, work, token, is_loading = job
        if not self._is_humble and not is_loading:
            self._is_humble = True
            _step_behind_the_window()
        perform(title, work, generation=generation, token=token, send=self.said.emit)


def _step_behind_the_window() -> None:
    """Let the window have the processor first; threads that torch starts from here follow."""
    if sys.platform == "linux":
        # Qt's priorities do nothing on Linux, where niceness belongs to each thread.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


class Lane(QObject):
    """Runs jobs in a thread of its own, one after the other.

    Parameters
    ----------
    name
        Name of the thread, for logs and debuggers.
    """

    busy_changed = Signal(bool)
    crashed = Signal(object)
    _requested = Signal(object)

    def __init__(self, name: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._thread = QThread()
        self._thread.setObjectName(name)
        self._worker = _Worker()
        self._worker.moveToThread(self._thread)
        self._requested.connect(self._worker.run, Qt.ConnectionType.QueuedConnection)
        self._worker.said.connect(self._on_said, Qt.ConnectionType.QueuedConnection)
        self._handles: dict[int, JobHandle] = {}
        self._generation = 0
        self._thread.start(QThread.Priority.LowPriority)

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits."""
        return bool(self._handles)

    def submit(self, title: str, work: Work, *, is_loading: bool = False) -> JobHandle:
        """Queue work; its handle tells how it goes.

        Work that `is_loading` libraries holds Python's lock for long: it must not step behind the
        window with it, or whoever gets the processor instead keeps the window waiting.
        """
        self._generation += 1
        handle = JobHandle(self._generation, title, self)
        was_busy = self.busy
        self._handles[handle.generation] = handle
        self._requested.emit((handle.generation, title, work, handle.token, is_loading))
        if not was_busy:
            self.busy_changed.emit(True)
        return handle

    def submit_latest(self, title: str, work: Work) -> JobHandle:
        """Queue work that replaces everything else of this lane; older results are dropped."""
        self.cancel_all()
        for handle in self._handles.values():
            handle.blockSignals(True)
        return self.submit(title, work)

    def cancel_all(self) -> None:
        """Ask every job of the lane to stop."""
        for handle in self._handles.values():
            handle.cancel()

    def stop(self) -> bool:
        """Cancel, end the thread, and say whether it ended in time; it is never killed."""
        self.cancel_all()
        # What is still in the queue finds nobody to tell.
        self._handles.clear()
        self._thread.quit()
        ended = self._thread.wait(_STOP_TIMEOUT_MS)
        if not ended:
            _log.error("The thread %s did not end in time.", self._thread.objectName())
        return ended

    @Slot(object)
    def _on_said(self, message: Message) -> None:
        handle = self._handles.get(message.generation)
        if handle is None:
            return
        if message.kind in OUTCOMES:
            del self._handles[message.generation]
        _deliver(handle, message)
        if message.kind == "crashed":
            self.crashed.emit(message.payload)
        if message.kind in OUTCOMES:
            handle.ended.emit()
            handle.deleteLater()
            if not self.busy:
                self.busy_changed.emit(False)


def _deliver(handle: JobHandle, message: Message) -> None:
    bare = {"started": handle.started, "cancelled": handle.cancelled}
    if message.kind in bare:
        bare[message.kind].emit()
        return
    loaded = {
        "progress": handle.progressed,
        "note": handle.noted,
        "event": handle.happened,
        "finished": handle.finished,
        "failed": handle.failed,
        "crashed": handle.crashed,
    }
    loaded[message.kind].emit(message.payload)
