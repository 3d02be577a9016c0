"""Runs on jobs of a real Slurm, where `sbatch` is on the PATH and a partition is up.

On Debian a cluster of this machine alone is `apt-get install slurm-wlm munge`, a
`/etc/slurm/slurm.conf` such as

    ClusterName=one
    SlurmctldHost=localhost(127.0.0.1)
    SlurmUser=root
    ProctrackType=proctrack/linuxproc
    TaskPlugin=task/none
    SelectType=select/cons_tres
    SelectTypeParameters=CR_CPU
    SlurmdParameters=config_overrides
    ReturnToService=2
    StateSaveLocation=/var/spool/slurmctld
    SlurmdSpoolDir=/var/spool/slurmd
    NodeName=localhost NodeAddr=127.0.0.1 CPUs=4 RealMemory=16000
    PartitionName=cells Nodes=localhost Default=YES

and then `munged` as the user munge, `slurmctld`, and `slurmd -N localhost`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("dask_jobqueue")

from cellseg_app.core.blocks import whole
from cellseg_app.io.ome_zarr_write import new_ome_zarr
from cellseg_app.io.open import open_volume
from tests.simulated_volume import crowded_volume

pytestmark = pytest.mark.timeout(900)
EDGE = 128
Event = dict[str, object]


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout


@pytest.fixture(scope="module")
def partition() -> str:
    """Name of a partition that takes jobs."""
    if shutil.which("sbatch") is None:
        pytest.skip("no sbatch on this machine")
    try:
        names = _said("sinfo", "--noheader", "--states=idle,mixed", "--format=%R").split()
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"Slurm does not answer ({error})")
    if not names:
        pytest.skip("no partition of Slurm is up")
    return names[0]


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image, _ = crowded_volume(EDGE)
    path = tmp_path_factory.mktemp("volume") / "v.zarr"
    with new_ome_zarr(path, image.shape, dtype="u2", spacing_um_zyx=(1, 1, 1)) as out:
        out.fill(image)
    return path


def options(folder: Path, queue: str) -> str:
    """The scheduler of two jobs of one core each."""
    lines = [
        f"queue: {queue}",
        "cores: 1",
        "memory: 2GB",
        'walltime: "00:30:00"',
        "interface: lo",
        f"log_directory: {folder / 'logs'}",
        "jobs: 2",
    ]
    path = folder / "partition.yaml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return f"slurm:{path}"


def run(
    volume: Path, out: Path, *more: str, on_event: Callable[[Event], None] = lambda _: None
) -> tuple[int, str]:
    """Run the real command; its exit code and what it said of errors."""
    command = [
        sys.executable, "-m", "cellseg_app.cli", "run", str(volume), "-o", str(out), "--json",
        "--format", "zarr", "--model", "SegResNet", "--diameter", "none", "--runtime", "torch",
        *more,
    ]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with (out.parent / f"{out.name}.err").open("w+") as errors:
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                on_event(json.loads(line))
        errors.seek(0)
        return process.returncode, errors.read()


def cells(out: Path) -> tuple[np.ndarray, pd.DataFrame]:
    """Labels and table of the one result in a folder."""
    (record,) = out.glob("*_pred1.json")
    files = json.loads(record.read_text(encoding="utf-8"))["files"]
    labels = open_volume(out / files["labels"]).data
    return np.asarray(labels[whole(labels.shape)]), pd.read_csv(out / files["table"])


@pytest.fixture(scope="module")
def alone(
    volume: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[np.ndarray, pd.DataFrame]:
    """What one process finds."""
    out = tmp_path_factory.mktemp("alone") / "out"
    assert run(volume, out) == (0, "")
    return cells(out)


def no_job(_: list[str]) -> list[str]:
    return []


def one_job(jobs: list[str]) -> list[str]:
    return jobs[:1]


def all_jobs(jobs: list[str]) -> list[str]:
    return jobs


@pytest.mark.parametrize("cancelled", [no_job, one_job, all_jobs])
def test_two_jobs_find_the_same_cells_whatever_ends_them(
    partition: str,
    volume: Path,
    alone: tuple[np.ndarray, pd.DataFrame],
    tmp_path: Path,
    cancelled: Callable[[list[str]], list[str]],
) -> None:
    seen: list[str] = []
    said: list[str] = []

    def cancel_in_the_middle(event: Event) -> None:
        said.append(str(event.get("text", "")))
        if event.get("stage") == "network" and event["done"] and not seen:
            seen.extend(_said("squeue", "--noheader", "--me", "--format=%i").split())
            for job in cancelled(seen):
                _said("scancel", job)

    scheduler = ("--scheduler", options(tmp_path, partition))
    code, errors = run(volume, tmp_path / "out", *scheduler, on_event=cancel_in_the_middle)
    assert code == 0, errors
    assert len(seen) == 2, "two jobs worked"
    assert any("2 workers share the work" in text for text in said)
    assert "Traceback" not in errors
    labels, table = cells(tmp_path / "out")
    np.testing.assert_array_equal(labels, alone[0])
    pd.testing.assert_frame_equal(table, alone[1])
    assert len(table) > 400
    assert not _said("squeue", "--noheader", "--me", "--states=running,pending").split()


def test_what_slurm_refuses_is_said_at_once(partition: str, volume: Path, tmp_path: Path) -> None:
    assert partition
    scheduler = options(tmp_path, "no-such-partition")
    code, errors = run(volume, tmp_path / "out", "--scheduler", scheduler)
    assert code == 2
    assert "partition.yaml: slurm does not take such jobs" in errors
    assert "invalid partition specified: no-such-partition" in errors
    assert "Traceback" not in errors
