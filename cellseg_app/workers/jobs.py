"""A piece of work, the context it runs in, and the four ways it can end."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from cellseg_app.core.errors import Cancelled, UserError
from cellseg_app.core.progress import CancelToken, Progress

_PROGRESS_INTERVAL_S: Final = 0.05

MessageKind = Literal[
    "started", "progress", "note", "event", "finished", "cancelled", "failed", "crashed"
]
OUTCOMES: Final = ("finished", "cancelled", "failed", "crashed")


@dataclass(frozen=True, slots=True)
class Message:
    """One thing a job says to the GUI thread."""

    generation: int
    kind: MessageKind
    payload: object = None


@dataclass(frozen=True, slots=True)
class Crash:
    """A bug: the exception and where it happened."""

    title: str
    summary: str
    traceback: str


class JobContext:
    """How work running in a lane talks back and learns that it shall stop."""

    def __init__(
        self, generation: int, token: CancelToken, send: Callable[[Message], None]
    ) -> None:
        self.cancel = token
        self._generation = generation
        self._send = send
        self._last_s = 0.0
        self._stage = ""

    def progress(self, report: Progress) -> None:
        """Pass a report on, at most twenty times a second; ends of stages always arrive."""
        now_s = time.monotonic()
        is_news = report.stage != self._stage or report.done >= report.total
        if is_news or now_s - self._last_s >= _PROGRESS_INTERVAL_S:
            self._last_s, self._stage = now_s, report.stage
            self._send(Message(self._generation, "progress", report))

    def note(self, sentence: str) -> None:
        """Pass a sentence for the user on."""
        self._send(Message(self._generation, "note", sentence))

    def tell(self, event: object) -> None:
        """Pass an intermediate result on, a frozen value."""
        self._send(Message(self._generation, "event", event))


Work = Callable[[JobContext], object]


def perform(
    title: str, work: Work, *, generation: int, token: CancelToken, send: Callable[[Message], None]
) -> None:
    """Run work to one of its four outcomes; never raises."""
    if token.cancelled:
        send(Message(generation, "cancelled"))
        return
    send(Message(generation, "started"))
    try:
        result = work(JobContext(generation, token, send))
    except Cancelled:
        send(Message(generation, "cancelled"))
    except UserError as error:
        send(Message(generation, "failed", error))
    except MemoryError:
        lack = UserError("Memory ran out.", "Close other programs, or choose smaller windows.")
        send(Message(generation, "failed", lack))
    except Exception as error:  # noqa: BLE001 - a bug in a job must not end the window
        summary = "".join(traceback.format_exception_only(error)).strip()
        crash = Crash(title, summary, traceback.format_exc())
        send(Message(generation, "crashed", crash))
    else:
        send(Message(generation, "finished", result))
