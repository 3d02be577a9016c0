"""Many volumes, one after the other: one bad file never ends a batch, a killed batch goes on."""

from __future__ import annotations

import json
import logging
import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from cellseg_app.atomic import remove_leftovers, write_text_atomic
from cellseg_app.core.errors import Cancelled, InputError, UserError
from cellseg_app.core.results import RunFailure, RunResult
from cellseg_app.core.settings import RunSettings
from cellseg_app.core.sources import absolute, may_be_there, shown
from cellseg_app.core.volume import SpacingZYX
from cellseg_app.inference.weights import LoadedNetwork
from cellseg_app.io.batch_tables import write_errors, write_objects_all, write_summary
from cellseg_app.io.log_file import log_to
from cellseg_app.io.naming import free_path
from cellseg_app.io.run_record import RunRecord, read_record
from cellseg_app.io.space import require_writable
from cellseg_app.pipeline.preparing import RunRequest
from cellseg_app.pipeline.remote_blocks import Cluster
from cellseg_app.pipeline.reporting import Reporting
from cellseg_app.pipeline.run_volume import identity_of_run, run_volume
from cellseg_app.pipeline.workspace import (
    FOLDER_NAME,
    fingerprint,
    remove_if_empty,
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BatchEvent:
    """What happened to one volume of a batch.

    Attributes
    ----------
    source, number, total
        Which volume, its place from 1, and how many there are.
    state
        started, done, skipped (an interrupted batch had finished it) or failed.
    record
        Path of the record, when done or skipped.
    failure
        Why, when failed.
    """

    source: Path
    number: int
    total: int
    state: str
    record: Path | None = None
    result: RunResult | None = None
    failure: RunFailure | None = None


@dataclass(frozen=True, slots=True)
class BatchResult:
    """How a batch ended."""

    records: tuple[Path, ...]
    failures: tuple[RunFailure, ...]
    files: dict[str, Path] = field(default_factory=dict)


def run_batch(
    sources: Sequence[Path],
    output_folder: Path,
    settings: RunSettings,
    loaded: LoadedNetwork,
    *,
    report: Reporting,
    on_event: Callable[[BatchEvent], None] | None = None,
    voxel_sizes_um_zyx: Mapping[Path, SpacingZYX] | None = None,
    cluster: Cluster | None = None,
) -> BatchResult:
    """Run volumes one after the other and write the tables of the batch.

    A volume of `voxel_sizes_um_zyx` is run with that voxel size instead of the file's or the
    settings'. With a cluster, its processes compute the blocks of each volume.

    Beside each volume's own files: `objects_all.csv` (every cell of every volume), `summary.csv`
    (one row per volume), `errors.csv` (only if a volume failed) and the log;
    a number is added where the name is taken. The same
    call repeated after a crash or a cancel keeps the volumes that were finished.

    Raises
    ------
    Cancelled
        The user asked to stop.
    OutputError
        The output folder cannot be written to.
    """
    require_writable(output_folder)
    remove_leftovers(output_folder)
    own_sizes = dict(voxel_sizes_um_zyx or {})
    ledger = _BatchLedger(output_folder, sources, settings, loaded, own_sizes=own_sizes)
    tell = on_event or _ignore
    records: list[Path] = []
    failures: list[RunFailure] = []
    with log_to(output_folder / f"cellseg_{ledger.started:%Y_%m_%d_%H_%M_%S}.log"):
        for number, source in enumerate(sources, start=1):
            place = (source, number, len(sources))
            known = ledger.record_of(source)
            if known is not None:
                records.append(known)
                tell(BatchEvent(*place, "skipped", record=known))
                continue
            tell(BatchEvent(*place, "started"))
            own = settings.with_voxel_size(own_sizes[source]) if source in own_sizes else settings
            request = RunRequest(source, output_folder, own, ledger.started, number)
            outcome = _attempt(request, loaded, report, cluster)
            if isinstance(outcome, RunFailure):
                failures.append(outcome)
                tell(BatchEvent(*place, "failed", failure=outcome))
            else:
                records.append(outcome.files.record)
                ledger.note(source, outcome)
                tell(BatchEvent(*place, "done", record=outcome.files.record, result=outcome))
        files = write_batch_tables(output_folder, records, failures)
    ledger.remove()
    return BatchResult(tuple(records), tuple(failures), files)


def _attempt(
    request: RunRequest, loaded: LoadedNetwork, report: Reporting, cluster: Cluster | None
) -> RunResult | RunFailure:
    own = replace(report, seconds={})
    try:
        return run_volume(request, loaded, own, cluster)
    except Cancelled:
        raise
    except UserError as error:
        _log.error("%s", error)
        problem = error.problem
        # Another file than the volume: a mask, weights, the output folder.
        if error.path is not None and Path(error.path) != request.source:
            problem = f"{shown(error.path)}: {problem}"
        return RunFailure(request.source, problem, error.remedy)
    except MemoryError:
        problem, remedy = "Memory ran out.", "Close other programs, or choose smaller windows."
        _log.exception("%s: %s", shown(request.source), problem)
        return RunFailure(request.source, problem, remedy)
    except Exception as error:  # noqa: BLE001 - a bug met by one volume must not end the others
        _log.exception("%s: unexpected failure", shown(request.source))
        detail = traceback.format_exception_only(error)[-1].strip()
        remedy = "This is a bug; please report it with the log beside the results."
        return RunFailure(request.source, detail, remedy, bug=True)


def write_batch_tables(
    folder: Path, records: Sequence[Path], failures: Sequence[RunFailure]
) -> dict[str, Path]:
    """Write the tables over all volumes; returns their paths by kind."""
    read = [(path, read_record(path)) for path in records]
    inputs = _told_apart([Path(record.input.path) for _, record in read])
    files: dict[str, Path] = {}
    tables = [
        (name, path.parent / record.files.table)
        for name, (path, record) in zip(inputs, read, strict=True)
        if record.files.table
    ]
    if tables:
        target = free_path(folder / "objects_all.csv")
        files["objects_all"] = write_objects_all(target, tables)
    if read:
        target = free_path(folder / "summary.csv")
        files["summary"] = write_summary(
            target,
            [_summary_row(name, record) for name, (_, record) in zip(inputs, read, strict=True)],
        )
    if failures:
        target = free_path(folder / "errors.csv")
        files["errors"] = write_errors(target, failures)
    return files


def _summary_row(name: str, record: RunRecord) -> dict[str, Any]:
    return {
        "file": name,
        "network": record.network.name,
        "n_cells": record.n_cells,
        "threshold": record.used.threshold,
        **record.summary,
        "seconds": round(sum(record.seconds.values()), 1),
    }


def _told_apart(paths: Sequence[Path]) -> list[str]:
    """File names; where two are the same, the folders that differ stand before them."""
    names = [path.name for path in paths]
    if len(set(names)) == len(set(paths)):
        return names
    try:
        common = Path(os.path.commonpath([path.parent for path in paths]))
    except ValueError:
        # Different drives, or files and addresses.
        return [shown(path) for path in paths]
    return [path.relative_to(common).as_posix() for path in paths]


def _ignore(event: BatchEvent) -> None:
    return


class _BatchLedger:
    """Which volumes of an unfinished batch are done; lies in the output folder until its end."""

    def __init__(
        self,
        folder: Path,
        sources: Sequence[Path],
        settings: RunSettings,
        loaded: LoadedNetwork,
        *,
        own_sizes: Mapping[Path, SpacingZYX],
    ) -> None:
        identity: list[object] = [absolute(source) for source in sources]
        if own_sizes:
            identity.append({absolute(path): um for path, um in own_sizes.items()})
        key = fingerprint(identity, settings.model_dump(mode="json"), loaded.sha256)
        self._settings = settings
        self._path = folder / FOLDER_NAME / f"batch-{key}.json"
        self._done: dict[str, dict[str, Any]] = {}
        self.started = datetime.now().astimezone()
        self._load()

    def record_of(self, source: Path) -> Path | None:
        """The record of a volume that is finished and has not changed since, or None."""
        entry = self._done.get(absolute(source))
        if entry is None or not may_be_there(source):
            return None
        record = Path(entry["record"])
        try:
            same = entry["identity"] == fingerprint(identity_of_run(source, self._settings))
            read_record(record)
        except InputError:
            return None
        return record if same else None

    def note(self, source: Path, done: RunResult) -> None:
        """Remember a finished volume; one that changed since its run began would be run again."""
        entry = {"record": str(done.files.record), "identity": done.input_fingerprint}
        self._done[absolute(source)] = entry
        content = {"started": self.started.isoformat(), "done": self._done}
        write_text_atomic(self._path, json.dumps(content))

    def remove(self) -> None:
        """Forget the batch: every volume has been tried."""
        self._path.unlink(missing_ok=True)
        remove_if_empty(self._path.parent)

    def _load(self) -> None:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            self.started = datetime.fromisoformat(content["started"])
            self._done = dict(content["done"])
        except (OSError, ValueError, KeyError, TypeError):
            return
