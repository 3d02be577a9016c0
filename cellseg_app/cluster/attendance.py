"""Which workers are connected to a scheduler in this process, and which have left it."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

from distributed.diagnostics.plugin import SchedulerPlugin


class Attendance(SchedulerPlugin):  # type: ignore[misc]
    """Keeps the names of workers as they come and leave; a plugin of Dask's scheduler."""

    name = "cellseg-attendance"

    def __init__(self) -> None:
        self._there: dict[str, str] = {}
        self._left_s: dict[str, float] = {}

    def add_worker(self, scheduler: Any, worker: str) -> None:  # noqa: ANN401 - Dask's
        """Called by the scheduler with the address of a worker that has come."""
        name = str(scheduler.workers[worker].name)
        self._there[worker] = name
        self._left_s.pop(name, None)

    def remove_worker(self, scheduler: Any, worker: str, **_: Any) -> None:  # noqa: ANN401 - Dask's
        """Called by the scheduler with the address of a worker that has left."""
        name = self._there.pop(worker, None)
        if name is not None:
            self._left_s[name] = time.monotonic()

    def is_over(self, names: Collection[str], *, after_s: float) -> bool:
        """Whether some of these workers came, and the last of them left so long ago."""
        there = set(self._there.copy().values())
        left_s = [self._left_s[name] for name in names if name in self._left_s]
        return (
            there.isdisjoint(names) and bool(left_s) and max(left_s) + after_s <= time.monotonic()
        )

    def forget(self, names: Collection[str]) -> None:
        """Take workers for such that never came, for they are to come anew."""
        for name in names:
            self._left_s.pop(name, None)
