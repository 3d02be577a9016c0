"""A volume larger than memory, run to the end although it is killed on the way.

    python -m tests.benchmarks.large_volume FOLDER [--edge 2048] [--kills network instances]

Makes a virtual OME-Zarr in FOLDER (tens of megabytes on disk, see `virtual_volume`), runs
`cellseg run` over it, kills the process with SIGKILL in the stages named, starts the same command
again each time, and prints the largest memory of the process and its children, the number of
cells and hashes of the labels and of the table. `--kills none` gives the undisturbed run to
compare with; `--flags="--scheduler local:2"` runs it over Dask.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil

from cellseg_app.core.blocks import block_regions
from cellseg_app.io.open import open_volume
from tests.benchmarks.virtual_volume import write_virtual_volume

_STAGES = {"network": "network", "instances": "Finding peaks", "measuring": "Measuring cells"}


@dataclass
class Attempt:
    """One process: how long it ran, its stages, its largest memory."""

    seconds: float = 0.0
    peak_bytes: int = 0
    killed_in: str = ""
    stages: dict[str, tuple[float, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    record: Path | None = None
    stage: str = "starting"
    peaks: dict[str, int] = field(default_factory=dict)


def main() -> None:
    """Make the volume, run it, print what was found."""
    asked = _arguments()
    volume = asked.folder / f"virtual-{asked.edge}.zarr"
    if not volume.exists():
        n_chunks = write_virtual_volume(volume, asked.edge)
        print(f"{volume}: {asked.edge}³ voxels, {n_chunks} chunks of 128³ hold cells", flush=True)
    out = asked.folder / asked.name
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "cellseg_app.cli", "run", str(volume), "-o", str(out)]
    command += ["--json", "--model", asked.model, "--diameter", "11px", "--skip-empty"]
    command += ["--format", "zarr", *shlex.split(asked.flags)]
    kills = [stage for stage in asked.kills if stage != "none"]
    attempts = [_attempt(command, stage, asked.at) for stage in (*kills, None)]
    for attempt in attempts:
        _tell(attempt)
    last = attempts[-1]
    assert last.record is not None, last.notes
    print(json.dumps(_result(last.record), indent=1))
    peak = max(attempt.peak_bytes for attempt in attempts) / 1e9
    print(f"{sum(a.seconds for a in attempts):.0f} s, peak memory {peak:.2f} GB", flush=True)


def _attempt(command: Sequence[str], kill_in: str | None, at: float) -> Attempt:
    attempt, begin = Attempt(), time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    watcher = threading.Thread(target=_watch, args=(process.pid, attempt), daemon=True)
    watcher.start()
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        now = time.monotonic() - begin
        if event.get("event") == "progress":
            stage = attempt.stage = event["stage"]
            first, _ = attempt.stages.get(stage, (now, now))
            attempt.stages[stage] = (first, now)
            share = event["done"] / max(1, event["total"])
            if kill_in is not None and stage == _STAGES[kill_in] and share >= at:
                process.send_signal(signal.SIGKILL)
                attempt.killed_in = f"{stage}, {event['done']} of {event['total']}"
                break
        elif event.get("record"):
            attempt.record = Path(event["record"])
        else:
            attempt.notes.append(str(event.get("text", event)))
    process.wait()
    attempt.seconds = time.monotonic() - begin
    return attempt


def _watch(pid: int, attempt: Attempt) -> None:
    """Largest sum of the resident memory of a process and its children, looked at often."""
    while True:
        try:
            top = psutil.Process(pid)
            family = [top, *top.children(recursive=True)]
            used = 0
            for one in family:
                try:
                    used += one.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
        except psutil.NoSuchProcess:
            return
        attempt.peak_bytes = max(attempt.peak_bytes, used)
        attempt.peaks[attempt.stage] = max(attempt.peaks.get(attempt.stage, 0), used)
        time.sleep(0.1)


def _tell(attempt: Attempt) -> None:
    end = f"killed in {attempt.killed_in}" if attempt.killed_in else "ended"
    print(f"\n{attempt.seconds:.0f} s, peak {attempt.peak_bytes / 1e9:.2f} GB, {end}")
    for stage, (first, last) in attempt.stages.items():
        peak = attempt.peaks.get(stage, 0) / 1e9
        print(f"  {stage}: {last - first:.0f} s, at most {peak:.2f} GB")
    for note in attempt.notes:
        print(f"  - {note}")


def _result(record: Path) -> dict[str, Any]:
    content = json.loads(record.read_text(encoding="utf-8"))
    labels = open_volume(record.parent / content["files"]["labels"]).data
    z, y, x = labels.shape
    digest, present = hashlib.sha256(), 0
    for core in block_regions((z, y, x), (64, 512, 512)):
        block = np.ascontiguousarray(labels[core])
        if block.any():
            digest.update(str(core).encode() + block.tobytes())
            present += int(np.count_nonzero(block))
    table = pd.read_csv(record.parent / content["files"]["table"])
    values = table.to_csv(index=False).encode()
    return {
        "n_cells": content["n_cells"],
        "labelled_voxels": present,
        "ids_complete": bool((table["label"] == np.arange(1, len(table) + 1)).all()),
        "labels_sha256": digest.hexdigest()[:16],
        "table_sha256": hashlib.sha256(values).hexdigest()[:16],
        "seconds_of_last": content["seconds"],
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--edge", type=int, default=2048)
    parser.add_argument("--model", default="SegResNet")
    parser.add_argument(
        "--kills", nargs="+", choices=[*_STAGES, "none"], default=["network", "instances"]
    )
    parser.add_argument("--at", type=float, default=0.5, help="share of the stage done by then")
    parser.add_argument("--name", default="out", help="folder of the results, within FOLDER")
    parser.add_argument("--flags", default="", help="more flags of `cellseg run`, in quotes")
    return parser.parse_args()


if __name__ == "__main__":
    main()
