"""Jobs that end before the run; a batch system's commands are stood in for, the rest is real."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

pytest.importorskip("dask_jobqueue")

import dask

from cellseg_app.cluster import dask_runner
from cellseg_app.cluster.connect import cluster_at

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="setsid"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def batch_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands that stand in for Slurm's and run jobs here; the file of their numbers."""
    folder = tmp_path / "commands"
    folder.mkdir()
    numbers = folder / "numbers"
    commands = {
        "sbatch": f'cp "$1" {folder}/$$; setsid bash {folder}/$$ >{folder}/out 2>&1 & '
        f'echo $! >>{numbers}; echo "Submitted batch job $!"',
        "scancel": 'kill -9 -- "-$1"',
    }
    for name, line in commands.items():
        (folder / name).write_text(f"#!/bin/bash\n{line}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return numbers


@pytest.mark.parametrize("processes", [1, 2])
def test_a_job_that_ended_early_is_given_to_the_batch_system_once_more(
    batch_system: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    monkeypatch.setattr(dask_runner, "_LOOK_S", 0.3)
    options = tmp_path / "partition.yaml"
    options.write_text(
        f"cores: 2\nprocesses: {processes}\nmemory: 2GB\ninterface: lo\njobs: 1\n",
        encoding="utf-8",
    )
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "2s"}),
        cluster_at(f"slurm:{options}", lambda _: None) as cluster,
    ):
        cluster.client.wait_for_workers(processes)
        os.killpg(int(batch_system.read_text()), signal.SIGKILL)
        assert list(cluster.map(range(9), abs)) == list(range(9))
        cluster.client.wait_for_workers(processes)
        jobs = [int(number) for number in batch_system.read_text().split()]
        assert len(jobs) == 2, "given once more, not again and again while it starts"
        working = psutil.Process(jobs[1]).children(recursive=True)
        assert len(working) >= processes
    _, left = psutil.wait_procs(working, timeout=10)
    assert all(process.status() == psutil.STATUS_ZOMBIE for process in left), "it ends with the run"
