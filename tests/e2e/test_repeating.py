"""Runs repeated from their record, and runs that go on where they were stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cellseg_app.inference.predictor import WindowPredictor
from cellseg_app.io.tiff_write import write_volume_tiff
from tests.e2e.conftest import SPACING_UM, Cells, Command, record_of, tiff_labels


def test_a_record_runs_again_to_identical_labels(
    cellseg: Command, volume_file: Path, network: Path, tmp_path: Path
) -> None:
    first = cellseg(
        *("run", volume_file, "-o", tmp_path / "a", "--weights", network),
        *("--threshold", 0.6, "--overlap", 0.5, "--instances", "watershed", "--min-size", 5),
    ).record
    again = cellseg("run", "--from", first, "-o", tmp_path / "b").record
    np.testing.assert_array_equal(tiff_labels(first), tiff_labels(again))
    assert record_of(again)["used"]["threshold"] == 0.6


@pytest.mark.parametrize("runtime", ["torch", "openvino"])
def test_a_record_repeats_the_runtime_that_was_used(
    cellseg: Command, volume_file: Path, network: Path, tmp_path: Path, runtime: str
) -> None:
    base = ("run", volume_file, "-o", tmp_path / "a", "--weights", network)
    first = cellseg(*base, "--runtime", runtime).record
    content = record_of(first)
    assert content["used"]["runtime"] == runtime
    # Another machine's automatic choice would be another one.
    content["settings"]["inference"]["runtime"] = "auto"
    first.write_text(json.dumps(content), encoding="utf-8")
    again = cellseg("run", "--from", first, "-o", tmp_path / "b").record
    assert record_of(again)["used"]["runtime"] == runtime
    np.testing.assert_array_equal(tiff_labels(first), tiff_labels(again))
    assert tiff_labels(first).max() > 10


def test_a_record_refuses_other_weights_than_its_own(
    cellseg: Command, volume_file: Path, network: Path, tmp_path: Path
) -> None:
    record = cellseg("run", volume_file, "-o", tmp_path / "a", "--weights", network).record
    content = record_of(record)
    content["network"]["weights_sha256"] = "0" * 64
    record.write_text(json.dumps(content), encoding="utf-8")
    outcome = cellseg("run", "--from", record, "-o", tmp_path / "b")
    assert outcome.code == 2
    assert "not on this machine" in outcome.errors


def _start(arguments: list[object], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "cellseg_app.cli", *map(str, arguments)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is how POSIX kills")
def test_a_killed_run_goes_on_and_ends_with_identical_labels(
    cellseg: Command, network: Path, cells: Cells, tmp_path: Path
) -> None:
    tall = np.tile(cells.image, (5, 1, 1))
    path = write_volume_tiff(tmp_path / "tall.tif", tall, spacing_um_zyx=SPACING_UM)
    out = tmp_path / "out"
    arguments = ["run", path, "-o", out, "--weights", network, "--overlap", 0.75, "--batch", 1]
    process = _start(arguments, {**os.environ})
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        ledgers = list(out.glob(".cellseg-work/*/ledger.json"))
        if ledgers and json.loads(ledgers[0].read_text()).get("slabs_done", 0) >= 8:
            break
        time.sleep(0.01)
    assert process.poll() is None, "the run ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not list(out.glob("*.tif"))
    resumed = cellseg(*arguments)
    assert resumed.code == 0
    assert any("taken up" in event["text"] for event in resumed.of("note"))
    network_steps = [e for e in resumed.of("progress") if e["stage"] == "network"]
    assert network_steps[0]["done"] > 0
    undisturbed = cellseg("run", path, "-o", tmp_path / "b", *arguments[4:])
    np.testing.assert_array_equal(tiff_labels(resumed.record), tiff_labels(undisturbed.record))
    assert not (out / ".cellseg-work").exists()


@pytest.fixture
def folder(cells: Cells, tmp_path: Path) -> Path:
    """Two volumes of the same cells, a.tif and b.tif."""
    folder = tmp_path / "batch"
    folder.mkdir()
    for name in "ab":
        write_volume_tiff(folder / f"{name}.tif", cells.image, spacing_um_zyx=SPACING_UM)
    return folder


def test_a_batch_taken_up_again_keeps_what_was_done(
    cellseg: Command, network: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    original = WindowPredictor.__call__

    def dying(self: WindowPredictor, windows: np.ndarray) -> object:
        nonlocal calls
        calls += 1
        if calls > limit:
            raise KeyboardInterrupt
        return original(self, windows)

    monkeypatch.setattr(WindowPredictor, "__call__", dying)
    limit = 10**6
    cellseg("run", folder / "a.tif", "-o", tmp_path / "count", "--weights", network)
    limit, calls = calls + 5, 0
    base = ("run", folder, "-o", tmp_path / "out", "--weights", network)
    assert cellseg(*base).code == 130
    limit = 10**6
    again = cellseg(*base)
    assert [event["state"] for event in again.of("result")] == ["skipped", "done"]
    assert len(pd.read_csv(tmp_path / "out" / "summary.csv")) == 2


def test_a_volume_that_changes_during_its_run_is_said_to_and_not_taken_for_done(
    cellseg: Command,
    network: Path,
    cells: Cells,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = WindowPredictor.__call__
    calls = 0

    def acquiring(self: WindowPredictor, windows: np.ndarray) -> object:
        nonlocal calls
        calls += 1
        if calls == 2:
            write_volume_tiff(folder / "a.tif", cells.image[::-1], spacing_um_zyx=SPACING_UM)
        if begun_of_b():
            raise KeyboardInterrupt
        return original(self, windows)

    def begun_of_b() -> bool:
        return bool(list(out.glob(".cellseg-work/b.tif-*"))) and stopping

    out, stopping = tmp_path / "out", True
    monkeypatch.setattr(WindowPredictor, "__call__", acquiring)
    command = ("run", folder, "-o", out, "--weights", network)
    stopped = cellseg(*command)
    assert stopped.code == 130
    assert any("a.tif" in e["text"] and "changed" in e["text"] for e in stopped.of("note"))
    (record,) = out.glob("a*.json")
    assert any("changed while the run" in note for note in record_of(record)["notes"])
    stopping = False
    again = cellseg(*command)
    assert [event["state"] for event in again.of("result")] == ["done", "done"]
    newest = max(out.glob("a*.json"), key=lambda path: path.stat().st_mtime_ns)
    assert not any("changed" in note for note in record_of(newest)["notes"])
