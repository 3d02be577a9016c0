from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import psutil


def test_workers_end_when_training_is_killed(tmp_path: Path) -> None:
    command = (
        *(sys.executable, "-m", "cellseg_app.cli", "train", "simulate", "--out", str(tmp_path)),
        *("--count", "100000", "--workers", "2", "--size", "24", "48", "48"),
    )
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as started:
        parent = psutil.Process(started.pid)
        _wait(lambda: any(tmp_path.glob("*_image.tif")))
        children = parent.children(recursive=True)
        assert len(children) >= 2
        started.kill()
    _, alive = psutil.wait_procs(children, timeout=60)
    for process in alive:
        process.kill()
    assert not alive


def _wait(condition: Callable[[], bool]) -> None:
    end_s = monotonic() + 120
    while not condition():
        assert monotonic() < end_s, "no volume was simulated"
        sleep(0.1)
