"""The program as it is started: a process of its own, from arguments to exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def start(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program to its end."""
    environment = {
        **os.environ,
        "CELLSEG_DATA": str(data),
        "QT_QPA_PLATFORM": "offscreen",
    }
    return subprocess.run(
        [sys.executable, "-m", "cellseg_app", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_it_opens_a_volume_closes_and_leaves_no_trace_of_a_crash(
    tmp_path: Path, volume_file: Path
) -> None:
    (tmp_path / "window.json").write_text('{"theme": "dark", "form": 17, "recent"', "utf-8")
    done = start(tmp_path, str(volume_file), "--quit-after", "3")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    log = (tmp_path / "logs" / "cellseg.log").read_text("utf-8")
    assert "entering the main loop" in log
    assert "cannot be read" in log, "a damaged settings file is told and does no harm"
    assert (tmp_path / "logs" / "faults.log").read_text("utf-8") == ""
    assert volume_file.name in (tmp_path / "window.json").read_text("utf-8")


def test_it_tells_its_version(tmp_path: Path) -> None:
    done = start(tmp_path, "--version")
    assert done.returncode == 0
    assert done.stdout.startswith("CellSeg ")
