"""How much of a run is done, out of the reports of its stages; Qt-free."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from cellseg_app.core.progress import Progress

# Share of a volume's run that the network takes, as measured on two cores; for the bar only.
_NETWORK_SHARE: Final = 0.8
# How many stages follow is not known beforehand: each takes this part of what is left.
_LATER_SHARE: Final = 0.35
_FIRST_GUESS_S: Final = 4.0
_FIRST_GUESS_FRACTION: Final = 0.02


class RunShare:
    """Counts the volumes of a batch and, within one of them, its stages; never goes back.

    Parameters
    ----------
    total
        Number of volumes.
    has_network
        Whether a network runs; what comes before it does not count.
    clock
        Seconds; for tests.
    """

    def __init__(
        self,
        total: int = 1,
        *,
        has_network: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total, self.done = total, 0
        self._clock, self._has_network = clock, has_network
        self._waits = has_network
        self._began_s = clock()
        self._stage, self._from, self.volume = "", 0.0, 0.0

    @property
    def batch(self) -> float:
        """Fraction of the whole batch, 0 to 1."""
        return min(1.0, (self.done + self.volume) / max(1, self.total))

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._began_s

    @property
    def remaining_s(self) -> float | None:
        """Seconds left of the batch, by its speed so far; None as long as that says little."""
        if self.elapsed_s < _FIRST_GUESS_S or self.batch < _FIRST_GUESS_FRACTION:
            return None
        return self.elapsed_s * (1 - self.batch) / self.batch

    def begin_volume(self) -> None:
        """The next volume begins."""
        self._waits = self._has_network
        self._stage, self._from, self.volume = "", 0.0, 0.0

    def end_volume(self) -> None:
        """A volume is done, or has failed."""
        self.done += 1
        self.begin_volume()

    def take(self, report: Progress) -> None:
        """Move on by a report."""
        if report.stage != self._stage:
            self._stage, self._from = report.stage, self.volume
        within = min(1.0, report.done / report.total) if report.total else 0.0
        if report.stage == "network":
            self._waits = False
            reached = _NETWORK_SHARE * within
        elif self._waits:
            reached = 0.0
        else:
            reached = self._from + _LATER_SHARE * (1 - self._from) * within
        self.volume = max(self.volume, reached)
