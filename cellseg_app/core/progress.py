"""How long-running engine functions talk back: a progress callback and a cancel token."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from cellseg_app.core.errors import Cancelled


@dataclass(frozen=True, slots=True)
class Progress:
    """One report: `done` of `total` steps of `stage`.

    `seconds_per_step` and `remaining_s` are None until the first step has ended.
    """

    stage: str
    done: int
    total: int
    message: str = ""
    seconds_per_step: float | None = None
    remaining_s: float | None = None


ProgressSink = Callable[[Progress], None]


class CancelToken:
    """A flag set by one thread and looked at by another."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask the work to stop at its next step."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether stopping was asked for."""
        return self._event.is_set()

    def raise_if_cancelled(self) -> None:
        """Raise `Cancelled` if stopping was asked for."""
        if self._event.is_set():
            raise Cancelled


class StageProgress:
    """Counts the steps of one stage and reports each with its speed; checks the cancel token too.

    Parameters
    ----------
    sink, cancel
        May be None: then nothing is reported, or nothing can be cancelled.
    stage
        The stage's name, as the user reads it.
    total
        Number of steps.
    done
        Steps already done by an earlier, interrupted run; they do not count for the speed.
    """

    def __init__(
        self,
        sink: ProgressSink | None,
        stage: str,
        total: int,
        *,
        cancel: CancelToken | None = None,
        done: int = 0,
    ) -> None:
        self._sink = sink
        self._stage = stage
        self._total = total
        self._cancel = cancel
        self._done = done
        self._first = done
        self._started_s = time.perf_counter()
        self._report("")

    def advance(self, n: int = 1, message: str = "") -> None:
        """Count `n` steps as done, report, and raise `Cancelled` if stopping was asked for."""
        self._done += n
        # Work repeated after a lack of memory counts again; a bar never passes its end.
        self._total = max(self._total, self._done)
        self._report(message)
        self.check()

    def check(self) -> None:
        """Raise `Cancelled` if stopping was asked for."""
        if self._cancel is not None:
            self._cancel.raise_if_cancelled()

    def _report(self, message: str) -> None:
        if self._sink is None:
            return
        steps = self._done - self._first
        seconds_per_step = (time.perf_counter() - self._started_s) / steps if steps else None
        remaining_s = (
            None
            if seconds_per_step is None
            else seconds_per_step * max(0, self._total - self._done)
        )
        self._sink(
            Progress(self._stage, self._done, self._total, message, seconds_per_step, remaining_s)
        )
