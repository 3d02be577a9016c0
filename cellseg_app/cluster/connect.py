"""Starting or finding the workers that an address names."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Final

from cellseg_app.cluster.batch_jobs import batch_jobs
from cellseg_app.cluster.dask_runner import ABSENCE_S, DaskCluster
from cellseg_app.core.errors import SettingsError, UserError
from cellseg_app.core.extras import how_to_install
from cellseg_app.core.progress import CancelToken
from cellseg_app.core.scheduler import SchedulerAddress, parse_scheduler

_CONNECT_S: Final = 20
# As long as this, a cancel waits for its answer.
_TRY_S: Final = 5


@contextmanager
def cluster_at(
    scheduler: str, say: Callable[[str], None], cancel: CancelToken | None = None
) -> Iterator[DaskCluster]:
    """The workers of a scheduler, while the block lasts; those started here end with it.

    Parameters
    ----------
    scheduler
        See `parse_scheduler`.
    say
        Told how many workers there are and where the dashboard is.
    cancel
        Looked at while the scheduler does not answer and no worker comes.

    Raises
    ------
    Cancelled
        It was asked for.
    UserError
        The address is none, nobody listens there, or the extra `cluster` is not installed.
    """
    address = parse_scheduler(scheduler)
    if find_spec("distributed") is None:
        raise SettingsError("Dask is not installed.", how_to_install("cluster"))
    if address.kind == "running":
        with _client(address.address, cancel) as client:
            yield _announced(DaskCluster(client), say, cancel)
        return
    if address.kind == "local":
        threads = max(1, (os.cpu_count() or 1) // address.n_workers)
        with _local(address) as started, _client(started, cancel) as client:
            yield _announced(DaskCluster(client, threads), say, cancel)
        return
    with batch_jobs(address) as jobs, _client(jobs.cluster, cancel) as client:
        yield _announced(
            DaskCluster(client, expected=jobs.n_workers, renew=jobs.renew), say, cancel
        )


@contextmanager
def optional_cluster(
    scheduler: str | None, say: Callable[[str], None], cancel: CancelToken | None = None
) -> Iterator[DaskCluster | None]:
    """As `cluster_at`; None, and nothing of Dask, where no scheduler is named."""
    if not scheduler:
        yield None
        return
    with cluster_at(scheduler, say, cancel) as cluster:
        yield cluster


def _client(where: Any, cancel: CancelToken | None) -> Any:  # noqa: ANN401 - address or cluster
    from distributed import Client

    end_s = time.monotonic() + _CONNECT_S
    while True:
        if cancel is not None:
            cancel.raise_if_cancelled()
        try:
            return Client(where, timeout=min(_TRY_S, _CONNECT_S))
        except (OSError, TimeoutError, ValueError) as error:
            if isinstance(error, ValueError) or time.monotonic() >= end_s:
                raise SettingsError(
                    f"No Dask scheduler answers at {where}.",
                    "Start one with `dask scheduler`, or correct the address.",
                ) from error


def _local(address: SchedulerAddress) -> Any:  # noqa: ANN401 - a cluster object of Dask
    from distributed import LocalCluster

    return LocalCluster(
        n_workers=address.n_workers,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        silence_logs=40,
    )


def _announced(
    cluster: DaskCluster, say: Callable[[str], None], cancel: CancelToken | None
) -> DaskCluster:
    if not cluster.client.scheduler_info(n_workers=-1)["workers"]:
        say("Waiting for the first worker.")
        _wait_for_worker(cluster.client, cancel)
    n = cluster.n_workers
    noun = "worker does" if n == 1 else "workers share"
    where = f"; dashboard: {cluster.dashboard}" if cluster.dashboard else ""
    say(f"{n} {noun} the work{where}")
    return cluster


def _wait_for_worker(client: Any, cancel: CancelToken | None) -> None:  # noqa: ANN401 - Dask's
    end_s = time.monotonic() + ABSENCE_S
    while True:
        if cancel is not None:
            cancel.raise_if_cancelled()
        try:
            client.wait_for_workers(1, timeout=1)
        except TimeoutError as error:
            if time.monotonic() >= end_s:
                raise UserError(
                    "No worker has come within ten minutes.",
                    "Start some with `dask worker`, or look at the queue of the batch system.",
                ) from error
        else:
            return
