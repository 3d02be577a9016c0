"""Starting or finding the workers that an address names."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Final

from cellseg_app.cluster.dask_runner import DaskCluster
from cellseg_app.core.errors import InputError, SettingsError, UserError
from cellseg_app.core.extras import how_to_install
from cellseg_app.core.progress import CancelToken
from cellseg_app.core.scheduler import SchedulerAddress, parse_scheduler

_CLASSES: Final = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "lsf": "LSFCluster",
    "sge": "SGECluster",
    "oar": "OARCluster",
    "htcondor": "HTCondorCluster",
    "moab": "MoabCluster",
}
# What hands a job to the batch system, to be found on the machine that starts the run.
_SUBMITTING: Final = {
    "slurm": "sbatch",
    "pbs": "qsub",
    "lsf": "bsub",
    "sge": "qsub",
    "oar": "oarsub",
    "htcondor": "condor_submit",
    "moab": "msub",
}
_CONNECT_S: Final = 20
_FIRST_WORKER_S: Final = 600
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
    with _started(address) as started, _client(started, cancel) as client:
        threads, expected = 0, 1
        if address.kind == "local":
            threads = max(1, (os.cpu_count() or 1) // address.n_workers)
        else:
            expected = sum(len(job.get("group", ("",))) for job in started.worker_spec.values())
        yield _announced(DaskCluster(client, threads, expected), say, cancel)


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


def _started(address: SchedulerAddress) -> Any:  # noqa: ANN401 - a cluster object of Dask
    from distributed import LocalCluster

    if address.kind == "local":
        return LocalCluster(
            n_workers=address.n_workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=":0",
            silence_logs=40,
        )
    options = _options(address)
    if find_spec("dask_jobqueue") is None:
        raise SettingsError("dask-jobqueue is not installed.", how_to_install("cluster"))
    import dask_jobqueue

    jobs = options.pop("jobs", 1)
    if not isinstance(jobs, int) or isinstance(jobs, bool) or jobs < 0:
        raise InputError(
            f"`jobs` is {jobs!r}, not a number of jobs.",
            "Write for example `jobs: 10`.",
            path=address.options_path,
        )
    command = _SUBMITTING[address.kind]
    if jobs and shutil.which(command) is None:
        raise SettingsError(
            f"There is no `{command}` on this machine, so no job can be given to {address.kind}.",
            "Start the run on a login node of the cluster.",
        )
    try:
        cluster = getattr(dask_jobqueue, _CLASSES[address.kind])(**options)
        cluster.scale(jobs=jobs)
    except (TypeError, ValueError, OSError) as error:
        raise InputError(
            f"{address.kind} cannot be used with these options ({error}).",
            "See the arguments of dask-jobqueue's cluster; `jobs` says how many jobs.",
            path=address.options_path,
        ) from error
    return cluster


def _options(address: SchedulerAddress) -> dict[str, Any]:
    import yaml

    path = address.options_path
    assert path is not None
    try:
        options = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(
            "The options of the batch system cannot be read.",
            "Give a YAML file such as `queue: gpu`, `cores: 8`, `memory: 32GB`, `jobs: 10`.",
            path=path,
        ) from error
    if not isinstance(options, dict):
        raise InputError("It holds no options.", "Write one `name: value` on each line.", path=path)
    return options


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
    end_s = time.monotonic() + _FIRST_WORKER_S
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
