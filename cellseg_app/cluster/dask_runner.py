"""Work on blocks as Dask tasks: in order, few under way, again where a worker is lost."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from cellseg_app.cluster.placing import Placing
from cellseg_app.core.errors import Cancelled, UserError

if TYPE_CHECKING:
    from distributed import Client, Future

Item = TypeVar("Item")
Result = TypeVar("Result")

# Tasks under way or ended, per thread of a worker, while the result of an earlier one is awaited.
_PER_THREAD: Final = 4
# Tries after a failure that is no user's fault, such as a disk that did not answer.
_RETRIES: Final = 2
_TICK_S: Final = 0.25
_LOOK_S: Final = 10.0
# As long as this, a run does without any worker.
ABSENCE_S: Final = 600


def _nothing() -> None:
    """There is nothing to renew."""


@dataclass(frozen=True)
class DaskCluster:
    """The workers of a Dask scheduler, as a `pipeline` cluster.

    Attributes
    ----------
    client
        Connected to the scheduler.
    threads
        For the network in one worker; 0 leaves it to the worker.
    expected
        How many workers were asked for; a batch system starts them one by one.
    renew
        Called now and then while fewer are there.
    """

    client: Client
    threads: int = 0
    expected: int = 1
    renew: Callable[[], None] = _nothing

    @property
    def n_workers(self) -> int:
        """How many workers there are now, or will be."""
        return max(self.expected, self.n_there)

    @property
    def n_there(self) -> int:
        """How many workers there are now."""
        return len(self.client.scheduler_info(n_workers=-1)["workers"])

    @property
    def dashboard(self) -> str:
        """Address of the scheduler's web page; "" where it has none."""
        services = self.client.scheduler_info(n_workers=-1).get("services", {})
        return str(self.client.dashboard_link) if "dashboard" in services else ""

    def map(
        self,
        items: Sequence[Item],
        work: Callable[[Item], Result],
        /,
        *,
        waiting: Callable[[], None] | None = None,
    ) -> Iterator[Result]:
        """Yield `work(item)` in the order of `items`; see `BlockRunner`.

        A task whose worker is lost runs again on another one.

        Raises
        ------
        UserError
            As raised by the work; or no worker has been there for ten minutes.
        """
        # A task of its own: sent to each worker once, and made again if all who have it are lost.
        shared = self.client.submit(_same, work, pure=False)
        running: deque[Future] = deque()
        placing, vigil = Placing(self.client), _Vigil(self)
        n_sent = 0
        try:
            while n_sent < len(items) or running:
                for worker in placing.free():
                    if n_sent == len(items) or len(running) >= _PER_THREAD * placing.n_threads:
                        break
                    running.append(self._sent(shared, items[n_sent], worker))
                    placing.given(worker, running[-1])
                    n_sent += 1
                if running and running[0].done():
                    yield _result(running[0])
                    running.popleft().release()
                else:
                    placing.wait(_TICK_S)
                    vigil.look()
                    if waiting is not None:
                        waiting()
        finally:
            self.client.cancel([*running, shared])

    def _sent(self, shared: Future, item: object, worker: str) -> Future:
        return self.client.submit(
            _call,
            shared,
            item,
            pure=False,
            retries=_RETRIES,
            workers=[worker],
            # Where that worker is lost.
            allow_other_workers=True,
        )


def _result(future: Future) -> Any:  # noqa: ANN401
    result = future.result()
    if isinstance(result, _Failed):
        raise result.error
    return result


class _Vigil:
    """Sees to it that somebody works."""

    def __init__(self, cluster: DaskCluster) -> None:
        self._cluster = cluster
        self._next_s = time.monotonic() + _LOOK_S
        self._absent_s = 0.0

    def look(self) -> None:
        """Renew jobs that ended; give up where nobody has been for long."""
        if time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + _LOOK_S
        there = self._cluster.n_there
        self._absent_s = 0.0 if there else self._absent_s + _LOOK_S
        if there < self._cluster.expected:
            self._cluster.renew()
        if self._absent_s >= ABSENCE_S:
            raise UserError(
                "No worker has been there for ten minutes.",
                "Look at the queue of the batch system, or start workers; the same command goes "
                "on where the run stopped.",
            )


@dataclass(frozen=True)
class _Failed:
    """A failure that trying again would not mend."""

    error: UserError | Cancelled


def _same(work: Callable[[Item], Result]) -> Callable[[Item], Result]:
    return work


def _call(work: Callable[[Item], Result], item: Item) -> Result | _Failed:
    try:
        return work(item)
    except (UserError, Cancelled) as error:
        return _Failed(error)
