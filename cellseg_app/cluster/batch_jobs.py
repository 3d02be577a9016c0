"""Workers as jobs of a batch system, through dask-jobqueue."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from cellseg_app.core.errors import InputError, SettingsError
from cellseg_app.core.extras import how_to_install
from cellseg_app.core.scheduler import SchedulerAddress

if TYPE_CHECKING:
    from cellseg_app.cluster.attendance import Attendance

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
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BatchJobs:
    """Jobs that were given to a batch system.

    Attributes
    ----------
    cluster
        Of dask-jobqueue.
    kind
        Name of the batch system.
    attendance
        Of their workers.
    """

    cluster: Any
    kind: str
    attendance: Attendance

    @property
    def n_workers(self) -> int:
        """How many workers all jobs have together."""
        return sum(len(job.get("group", ("",))) for job in self.cluster.worker_spec.values())

    def renew(self) -> None:
        """Start again those that ended, such as at the end of their time."""
        self._forget_ended()
        ended = self.cluster.worker_spec.keys() - self.cluster.workers.keys()
        if ended:
            _log.warning("%d jobs have ended and are given to %s again.", len(ended), self.kind)
            try:
                self._submit()
            except RuntimeError as error:
                _log.warning("%s did not take them (%s).", self.kind, _said(error))

    def submit(self, n: int) -> None:
        """Give so many jobs to the batch system.

        Raises
        ------
        RuntimeError
            It does not take them; what it says stands in the message.
        """
        # `scale` would not wait for the answer.
        for _ in range(n):
            self.cluster.worker_spec.update(self.cluster.new_worker_spec())
        self._submit()

    def _forget_ended(self) -> None:
        """Take away those that ended; of several processes in a job Dask does not see it."""
        import dask

        wait_s = dask.utils.parse_timedelta(
            dask.config.get("distributed.deploy.lost-worker-timeout")
        )
        for name, job in list(self.cluster.workers.items()):
            suffixes = self.cluster.worker_spec[name].get("group", ())
            workers = [f"{name}{suffix}" for suffix in suffixes]
            if self.attendance.is_over(workers, after_s=wait_s):
                # Where only the connection was lost, it still runs.
                self.cluster.sync(job.close)
                del self.cluster.workers[name]
                self.attendance.forget(workers)

    def _submit(self) -> None:
        from distributed.core import Status

        try:
            self.cluster.sync(self.cluster._correct_state)
        except RuntimeError:
            # Dask takes jobs that were refused for given, and stumbles over them at the end.
            for name, job in list(self.cluster.workers.items()):
                if job.status == Status.created:
                    job.status = Status.failed
                    del self.cluster.workers[name]
            raise


@contextmanager
def batch_jobs(address: SchedulerAddress) -> Iterator[BatchJobs]:
    """The jobs that a file of options describes, while the block lasts.

    Raises
    ------
    InputError
        The file cannot be used, or the batch system refuses what stands there.
    SettingsError
        dask-jobqueue or the batch system is not on this machine.
    """
    options = _options(address)
    if find_spec("dask_jobqueue") is None:
        raise SettingsError("dask-jobqueue is not installed.", how_to_install("cluster"))
    import dask_jobqueue

    from cellseg_app.cluster.attendance import Attendance

    n = _number_of_jobs(options.pop("jobs", 1), address)
    try:
        cluster = getattr(dask_jobqueue, _CLASSES[address.kind])(**options)
    except (TypeError, ValueError, OSError) as error:
        raise InputError(
            f"{address.kind} cannot be used with these options ({error}).",
            "See the arguments of dask-jobqueue's cluster; `jobs` says how many jobs.",
            path=address.options_path,
        ) from error
    with cluster:
        attendance = Attendance()
        cluster.scheduler.add_plugin(attendance)
        jobs = BatchJobs(cluster, address.kind, attendance)
        try:
            jobs.submit(n)
        except RuntimeError as error:
            raise InputError(
                f"{address.kind} does not take such jobs ({_said(error)}).",
                "Correct the options.",
                path=address.options_path,
            ) from error
        yield jobs


def _number_of_jobs(jobs: object, address: SchedulerAddress) -> int:
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
    return jobs


def _said(error: RuntimeError) -> str:
    """What the batch system's command wrote, out of the message of dask-jobqueue."""
    text = str(error).rpartition("stderr:")[2]
    return " ".join(text.split()).rstrip(".")[:300]


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
