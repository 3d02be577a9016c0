"""How a run talks to whoever started it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from cellseg_app.core.progress import CancelToken, ProgressSink

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reporting:
    """Progress, cancelling, sentences and times of one run.

    Attributes
    ----------
    progress, cancel
        Given to every stage; None if nobody listens.
    notify
        Called with sentences that the user should read; they go to the log in any case.
    considerate
        A window runs in this process: work must not keep Python's lock for long.
    seconds
        Filled by `stage`: time per stage.
    """

    progress: ProgressSink | None = None
    cancel: CancelToken | None = None
    notify: Callable[[str], None] | None = None
    considerate: bool = False
    seconds: dict[str, float] = field(default_factory=dict)

    def say(self, sentence: str) -> None:
        """Tell the user something, and the log."""
        _log.info(sentence)
        if self.notify is not None:
            self.notify(sentence)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure what the block takes."""
        begin = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begin
