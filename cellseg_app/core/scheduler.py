"""How a user says which processes shall work: `local:4`, `tcp://host:8786`, `slurm:file.yaml`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cellseg_app.core.errors import SettingsError

BATCH_SYSTEMS: Final = ("slurm", "pbs", "lsf", "sge", "oar", "htcondor", "moab")
_HELP: Final = "Give local:4, tcp://host:8786, or slurm:partition.yaml (also pbs:, lsf:, sge:)."


@dataclass(frozen=True, slots=True)
class SchedulerAddress:
    """Where workers are.

    Attributes
    ----------
    kind
        local, running (a scheduler that exists), or the name of a batch system.
    n_workers
        For local: how many processes are started.
    address
        For running: where the scheduler listens.
    options_path
        For batch systems: YAML with the arguments of dask-jobqueue's cluster, and `jobs`.
    """

    kind: str
    n_workers: int = 0
    address: str = ""
    options_path: Path | None = None


def parse_scheduler(text: str) -> SchedulerAddress:
    """Read what stands behind `--scheduler`, and in the form.

    Raises
    ------
    SettingsError
        It is none of the forms.
    """
    text = text.strip()
    local = re.fullmatch(r"local:(\d{1,4})", text)
    if local and int(local[1]) > 0:
        return SchedulerAddress("local", n_workers=int(local[1]))
    if re.fullmatch(r"(tcp|tls|ucx|ws|wss)://\S+", text):
        return SchedulerAddress("running", address=text)
    kind, _, path = text.partition(":")
    if kind.lower() in BATCH_SYSTEMS and path:
        return SchedulerAddress(kind.lower(), options_path=Path(path).expanduser())
    raise SettingsError(f"There is no scheduler {text!r}.", _HELP)
