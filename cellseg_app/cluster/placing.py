"""Which worker is given the next task.

Dask puts a task where what it depends on lies, and moves it later by how long earlier tasks took:
of a few long ones, all may wait for one worker while the others are idle.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from distributed import Client, Future

# A worker is given short tasks ahead, so that it need not wait for the next one; a long one goes
# to whoever is free first.
_LONG_S: Final = 1.0
_AHEAD: Final = 3
# Workers come and go.
_LOOK_EVERY_S: Final = 1.0


@dataclass
class Placing:
    """Keeps count of what each worker of a scheduler has to do."""

    client: Client
    _threads: dict[str, int] = field(default_factory=dict)
    _unfinished: Counter[str] = field(default_factory=Counter)
    # By key of the task.
    _given: dict[str, tuple[str, float]] = field(default_factory=dict)
    _free_since: dict[str, float] = field(default_factory=dict)
    _finished: SimpleQueue[tuple[str, float]] = field(default_factory=SimpleQueue)
    _latest_s: float = _LONG_S
    _look_at_s: float = 0.0

    @property
    def n_threads(self) -> int:
        """How many tasks the workers can work on at once."""
        self._look()
        return sum(self._threads.values())

    def free(self) -> Iterator[str]:
        """Workers that can take one more task, those with the least to do first.

        Each time one is asked for, the one before must have been `given` a task.
        """
        self._look()
        with suppress(Empty):
            while True:
                self._count(*self._finished.get_nowait())
        ahead = 1 if self._latest_s >= _LONG_S else _AHEAD
        for level in range(ahead):
            for worker, threads in self._threads.items():
                while self._unfinished[worker] < (level + 1) * threads:
                    yield worker

    def given(self, worker: str, future: Future) -> None:
        """Note that a worker was given a task."""
        self._unfinished[worker] += 1
        self._given[future.key] = worker, time.monotonic()
        future.add_done_callback(self._note_end)

    def wait(self, seconds: float) -> None:
        """Wait until a task has ended, but no longer than so many seconds."""
        with suppress(Empty):
            self._count(*self._finished.get(timeout=seconds))

    def _note_end(self, future: Future) -> None:
        self._finished.put((future.key, time.monotonic()))

    def _count(self, key: str, end_s: float) -> None:
        worker, given_s = self._given.pop(key)
        self._unfinished[worker] -= 1
        self._latest_s = end_s - max(given_s, self._free_since.get(worker, 0.0))
        self._free_since[worker] = end_s

    def _look(self) -> None:
        if time.monotonic() < self._look_at_s:
            return
        self._look_at_s = time.monotonic() + _LOOK_EVERY_S
        workers = self.client.scheduler_info(n_workers=-1)["workers"]
        self._threads = {str(name): max(1, int(w["nthreads"])) for name, w in workers.items()}
