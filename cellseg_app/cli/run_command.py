"""`cellseg run` and `cellseg resegment`."""

from __future__ import annotations

import argparse
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cellseg_app.cli import exit_codes
from cellseg_app.cli.arguments import (
    CELL_FLAGS,
    NETWORK_FLAGS,
    add_flags,
    settings_error,
    settings_from,
)
from cellseg_app.cli.terminal import Display, display_for
from cellseg_app.cluster.connect import optional_cluster
from cellseg_app.core.errors import InputError, SettingsError
from cellseg_app.core.interrupt import cancel_on_interrupt
from cellseg_app.core.results import RunFailure
from cellseg_app.core.settings import RunSettings
from cellseg_app.core.sources import address_of, may_be_there, shown
from cellseg_app.inference.weights import LoadedNetwork
from cellseg_app.io.inputs import expand_inputs
from cellseg_app.io.run_record import RunRecord, read_record
from cellseg_app.pipeline.batch import BatchEvent, run_batch
from cellseg_app.pipeline.networks import network_for, network_of_record
from cellseg_app.pipeline.preparing import RunRequest, prepare
from cellseg_app.pipeline.recording import settings_to_repeat
from cellseg_app.pipeline.reporting import Reporting
from cellseg_app.pipeline.resegment import find_probability, resegment


def add_run_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `run` and `resegment`."""
    run = commands.add_parser("run", help="find, measure and record the cells of volumes")
    run.add_argument("inputs", nargs="*", metavar="INPUT", help="files, folders or globs")
    run.add_argument("-o", "--output", type=Path, required=True, help="folder for the results")
    run.add_argument("--preset", type=Path, help="settings saved as JSON; flags override them")
    run.add_argument(
        "--from", dest="record", type=Path, help="run record (.json) of a run to repeat"
    )
    run.add_argument("--dry-run", action="store_true", help="only say what a run would need")
    run.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="share the work out over Dask: local:4, tcp://host:8786, slurm:options.yaml "
        "(also pbs:, lsf:, sge:); input and output must be reachable by the same paths",
    )
    run.add_argument("--json", action="store_true", help="progress and results as JSON lines")
    add_flags(run.add_argument_group("network"), NETWORK_FLAGS)
    add_flags(run.add_argument_group("cells"), CELL_FLAGS)
    run.set_defaults(func=_run)

    again = commands.add_parser(
        "resegment", help="label and measure again from a stored probability, without the network"
    )
    again.add_argument(
        "inputs", nargs="+", type=Path, metavar="RECORD_OR_PROBABILITY", help="of earlier runs"
    )
    again.add_argument("-o", "--output", type=Path, help="folder for results; beside the input")
    again.add_argument("--json", action="store_true", help="progress and results as JSON lines")
    add_flags(again.add_argument_group("cells"), CELL_FLAGS)
    again.set_defaults(func=_resegment)


def _run(arguments: argparse.Namespace) -> int:
    record = read_record(arguments.record) if arguments.record else None
    base = _base_settings(arguments.preset, record)
    settings = settings_from(arguments, base)
    sources = _sources(arguments.inputs, record)
    with display_for(as_json=arguments.json) as display, cancel_on_interrupt() as cancel:
        report = Reporting(
            display.progress, cancel, lambda sentence: display.event("note", sentence)
        )
        loaded = _network(arguments, settings, record)
        if arguments.dry_run:
            return _estimate_only(sources, arguments.output, settings, loaded, report, display)
        with optional_cluster(arguments.scheduler, report.say, cancel) as cluster:
            result = run_batch(
                sources,
                arguments.output,
                settings,
                loaded,
                report=report,
                on_event=lambda event: _show(event, display),
                cluster=cluster,
            )
        paths = {kind: str(path) for kind, path in result.files.items()}
        done = len(result.records)
        display.event(
            "finished",
            f"{done} of {len(sources)} volumes done; results in {arguments.output}",
            done=done,
            failed=len(result.failures),
            files=paths,
        )
    return _exit_code(done, result.failures)


def _exit_code(done: int, failures: tuple[RunFailure, ...]) -> int:
    if not failures:
        return exit_codes.OK
    if done:
        return exit_codes.SOME_FAILED
    return exit_codes.OUR_FAULT if any(f.bug for f in failures) else exit_codes.INPUT_AT_FAULT


def _base_settings(preset: Path | None, record: RunRecord | None) -> RunSettings:
    if preset is not None and record is not None:
        raise SettingsError("--preset and --from exclude each other.", "Give one of them.")
    if record is not None:
        return settings_to_repeat(record)
    return RunSettings() if preset is None else _read_preset(preset)


def _read_preset(path: Path) -> RunSettings:
    try:
        return RunSettings.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        fault = settings_error(error)
        raise InputError(fault.problem, "Correct the preset.", path=path) from error
    except (OSError, ValueError) as error:
        raise InputError(
            "The preset cannot be read.", "Give a JSON file of settings.", path=path
        ) from error


def _sources(patterns: list[str], record: RunRecord | None) -> list[Path]:
    if patterns:
        return expand_inputs(patterns)
    if record is None:
        raise InputError("No input was given.", "Name files, folders or globs.")
    source = Path(record.input.path)
    if not may_be_there(source):
        raise InputError(
            "The input of this record is not there any more.",
            "Give its new place as INPUT.",
            path=source,
        )
    return [source]


def _network(
    arguments: argparse.Namespace, settings: RunSettings, record: RunRecord | None
) -> LoadedNetwork:
    given = vars(arguments)
    if record is not None and not {"network.name", "network.weights"} & given.keys():
        return network_of_record(record)
    return network_for(
        settings.network, named="network.name" in given or settings.network.weights is None
    )


def _estimate_only(
    sources: list[Path],
    output: Path,
    settings: RunSettings,
    loaded: LoadedNetwork,
    report: Reporting,
    display: Display,
) -> int:
    for source in sources:
        request = RunRequest(source, output, settings, datetime.now().astimezone())
        ready = prepare(request, loaded, report)
        for note in ready.notes:
            report.say(note)
        display.event(
            "result",
            f"{_named(source)}: {ready.estimate.sentence()}",
            file=shown(source),
            estimate=ready.estimate.as_dict(),
        )
    return 0


def _show(event: BatchEvent, display: Display) -> None:
    place = f"[{event.number}/{event.total}] {_named(event.source)}"
    values: dict[str, Any] = {"file": shown(event.source), "state": event.state}
    if event.failure is not None:
        text = f"{place}: {event.failure.problem} {event.failure.remedy}"
        display.event("error", text, bug=event.failure.bug, **values)
    elif event.result is not None:
        record = event.result.files.record
        text = f"{place}: {event.result.n_cells} cells, {record}"
        display.event("result", text, n_cells=event.result.n_cells, record=str(record), **values)
    elif event.state == "skipped":
        text = f"{place}: was finished before, {event.record}"
        display.event("result", text, record=str(event.record), **values)
    else:
        display.event("started", place, **values)


def _named(source: Path) -> str:
    return address_of(source) or source.name


def _resegment(arguments: argparse.Namespace) -> int:
    with display_for(as_json=arguments.json) as display, cancel_on_interrupt() as cancel:
        for path in arguments.inputs:
            stored = find_probability(path)
            report = Reporting(
                display.progress, cancel, lambda sentence: display.event("note", sentence)
            )
            settings = settings_from(arguments, stored.settings)
            result = resegment(stored, settings, arguments.output or path.parent, report)
            display.event(
                "result",
                f"{path.name}: {result.n_cells} cells, {result.files.record}",
                n_cells=result.n_cells,
                record=str(result.files.record),
            )
    return 0
