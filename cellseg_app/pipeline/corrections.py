"""Corrections of a finished result: measured, and saved beside it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from cellseg_app.analysis.edits import LabelEdits
from cellseg_app.analysis.remeasure import Measured, measure_some, summary_with, with_rows
from cellseg_app.core.edits import EDIT_LOG, Edit
from cellseg_app.core.errors import InputError, SettingsError
from cellseg_app.core.results import RunFiles, RunResult
from cellseg_app.io.hashing import ContentHash, content_hash, same_content
from cellseg_app.io.naming import ResultNames, corrected_names, remove_results
from cellseg_app.io.run_record import (
    RecordedCorrections,
    RecordedFiles,
    RunRecord,
    read_json,
    read_record,
    write_record,
)
from cellseg_app.io.space import require_writable
from cellseg_app.io.table import write_cells
from cellseg_app.pipeline.cell_places import label_dtype
from cellseg_app.pipeline.correctable import Correctable
from cellseg_app.pipeline.image_files import write_image
from cellseg_app.pipeline.recording import versions
from cellseg_app.pipeline.reporting import Reporting


def corrected_table(
    table: pd.DataFrame,
    edits: LabelEdits,
    measured: Measured,
    report: Reporting,
    *,
    ids: Sequence[int] | None = None,
) -> pd.DataFrame:
    """The table of the corrected cells, of which only touched ones are measured.

    Parameters
    ----------
    table
        Before.
    edits
        What was done.
    measured
        What to measure on.
    report
        Progress, cancelling.
    ids
        The ids to look at again, gone or not; None for all that were ever touched.
    """
    chosen = None if ids is None else set(ids)
    there = [label for label in edits.touched if chosen is None or label in chosen]
    rows = measure_some(edits, there, measured, progress=report.progress, cancel=report.cancel)
    gone = [*edits.gone] if chosen is None else [label for label in chosen if label not in there]
    return with_rows(table, rows, gone)


def corrected_record(opened: Correctable, edits: LabelEdits) -> RunRecord:
    """The record of a result with its corrections and the number of cells that they left.

    Files, times and summary are still those of the result itself.
    """
    before = opened.record
    if not edits.edits:
        return before
    n_found = len(opened.boxes.ids)
    corrections = RecordedCorrections(
        edits=edits.edits,
        of_record=opened.record_path.name,
        of_labels=before.files.labels or "",
        n_cells_before=n_found if before.n_cells is None else before.n_cells,
        earlier=before.corrections,
    )
    n_cells = corrections.n_cells_before + edits.n_cells - n_found
    return before.model_copy(update={"n_cells": n_cells, "corrections": corrections})


def save_corrections(opened: Correctable, edits: LabelEdits, report: Reporting) -> RunResult:
    """Write labels, table and record of the corrected cells beside the result.

    Parameters
    ----------
    opened, edits
        What was corrected, and how.
    report
        Progress, cancelling, sentences.

    Returns
    -------
    RunResult
        The corrected result.

    Raises
    ------
    UserError
        There is nothing to save, or the folder cannot be written to. No file is left then.
    """
    if not edits.edits:
        raise SettingsError("There are no corrections to save.", "Correct a cell first.")
    folder, record = opened.record_path.parent, opened.record
    require_writable(folder)
    started = datetime.now().astimezone()
    for note in opened.notes:
        report.say(note)
    table: pd.DataFrame | None = None
    if opened.table is not None:
        with report.stage("measuring"):
            table = corrected_table(opened.table, edits, opened.measured, report)
    names = corrected_names(
        folder, opened.record_path.stem, image_format=record.settings.output.format
    )
    try:
        files = _write(opened, edits, table, names, report)
        corrected = _record(opened, edits, table, files, started, report)
        write_record(names.record, corrected)
    except BaseException:
        remove_results(folder, names.stem)
        raise
    return RunResult(
        name=names.stem,
        source=Path(record.input.path),
        shape_zyx=record.input.shape_zyx,
        spacing_um_zyx=opened.spacing_um_zyx,
        n_cells=corrected.n_cells or 0,
        files=RunFiles(
            names.record,
            None if record.files.probability is None else folder / record.files.probability,
            None if files.labels is None else folder / files.labels,
            None if files.table is None else folder / files.table,
        ),
        summary=dict(corrected.summary),
        seconds=dict(corrected.seconds),
    )


def read_edits(path: Path, of: Correctable | None = None) -> tuple[Edit, ...]:
    """Read edits from a JSON file: a list of them, or the record of a corrected result.

    Parameters
    ----------
    path
        The file.
    of
        The result they are meant for: edits of a record must have begun from its labels.

    Raises
    ------
    InputError
        The file cannot be read, holds none, or those of other labels.
    """
    content = read_json(
        path, "The file of edits", "It holds no edits: it is no JSON.", "Give a JSON list of edits."
    )
    if isinstance(content, dict):
        return _edits_of_record(path, of)
    return _validated(content, path)


def _edits_of_record(path: Path, of: Correctable | None) -> tuple[Edit, ...]:
    corrections = read_record(path).corrections
    if corrections is None:
        raise InputError(
            "Nothing was corrected in this result.",
            "Give a JSON list of edits, or the record of a corrected result.",
            path=path,
        )
    known = ContentHash(corrections.labels_sha256, corrections.labels_sampled_sha256)
    if of is not None and not same_content(of.labels_path, known):
        raise InputError(
            f"These corrections began from other labels, {corrections.of_labels}.",
            f"Give the record they began from, {corrections.of_record}.",
            path=path,
        )
    return corrections.edits


def _validated(content: Any, path: Path) -> tuple[Edit, ...]:  # noqa: ANN401 - whatever JSON holds
    try:
        return EDIT_LOG.validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise InputError(
            f"The edits have a value that is not allowed: {place}: {message}.",
            'An edit is such as {"kind": "delete", "labels": [3, 8]}.',
            path=path,
        ) from error


def _write(
    opened: Correctable,
    edits: LabelEdits,
    table: pd.DataFrame | None,
    names: ResultNames,
    report: Reporting,
) -> RecordedFiles:
    settings, files = opened.record.settings, opened.record.files
    with report.stage("writing"):
        write_image(
            names.labels,
            edits.labels,
            kind="labels",
            dtype=_stored_dtype(opened, edits),
            spacing_um_zyx=opened.spacing_um_zyx,
            image_format=settings.output.format,
            ome_zarr_version=settings.output.ome_zarr_version,
            stage="writing labels",
            report=report,
        )
        written = None if table is None else write_cells(names.table, table)
    return RecordedFiles(
        probability=files.probability,
        labels=names.labels.name,
        table=None if written is None else written.name,
        more=files.more,
    )


def _stored_dtype(opened: Correctable, edits: LabelEdits) -> str:
    """What a run would store the labels as; wider where ids of new cells need it."""
    settings, last = opened.record.settings, edits.next_label - 1
    if last > np.iinfo(np.uint16).max:
        output = settings.output.model_copy(update={"label_dtype": "uint32"})
        settings = settings.model_copy(update={"output": output})
    return label_dtype(settings, last)


def _record(
    opened: Correctable,
    edits: LabelEdits,
    table: pd.DataFrame | None,
    files: RecordedFiles,
    started: datetime,
    report: Reporting,
) -> RunRecord:
    record = corrected_record(opened, edits)
    assert record.corrections is not None
    summary = dict(record.summary)
    known = content_hash(opened.labels_path, cancel=report.cancel)
    hashes = {"labels_sha256": known.sha256, "labels_sampled_sha256": known.sampled_sha256}
    return record.model_copy(
        update={
            "versions": versions(),
            "started": started,
            "finished": datetime.now().astimezone(),
            "summary": summary
            if table is None
            else summary_with(summary, table, opened.spacing_um_zyx),
            "seconds": {stage: round(s, 3) for stage, s in report.seconds.items()},
            "notes": (*record.notes, *opened.notes),
            "files": files,
            "corrections": record.corrections.model_copy(update=hashes),
        }
    )
