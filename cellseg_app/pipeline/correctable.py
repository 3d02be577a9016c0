"""A finished result opened for correcting: its labels, boxes, and what cells are measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cellseg_app.analysis.edits import CellBoxes, LabelEdits, replay
from cellseg_app.analysis.remeasure import Measured, boxes_of_table, find_boxes
from cellseg_app.core.edits import Edit
from cellseg_app.core.errors import InputError, UserError
from cellseg_app.core.volume import LazyArray, ShapeZYX, SpacingZYX
from cellseg_app.io.open import open_volume
from cellseg_app.io.run_record import RunRecord, read_record
from cellseg_app.io.table import read_table
from cellseg_app.pipeline.image_files import OneClass, open_probability
from cellseg_app.pipeline.regions import region_of_record
from cellseg_app.pipeline.reporting import Reporting
from cellseg_app.pipeline.resegment import image_of


@dataclass(frozen=True, slots=True, eq=False)
class Correctable:
    """A finished result whose cells can be corrected.

    Attributes
    ----------
    labels
        (Z, Y, X), lazy.
    table
        One row per cell; None if nothing was measured.
    boxes
        Of every cell.
    measured
        What corrected cells are measured on.
    notes
        What cannot be measured, and why.
    """

    record_path: Path
    record: RunRecord
    labels_path: Path
    labels: LazyArray
    spacing_um_zyx: SpacingZYX | None
    table: pd.DataFrame | None
    boxes: CellBoxes
    measured: Measured
    notes: tuple[str, ...] = ()

    def begin(self, edits: Sequence[Edit] = ()) -> LabelEdits:
        """The labels with edits applied; further ones may follow.

        Raises
        ------
        InputError
            One of them cannot be applied.
        """
        return replay(self.labels, self.boxes, edits, self.spacing_um_zyx)


def open_correctable(
    record_path: Path, report: Reporting, *, table: pd.DataFrame | None = None
) -> Correctable:
    """Open a result for correcting; nothing of it is changed.

    Parameters
    ----------
    record_path
        The record of a run.
    report
        Progress and cancelling, where the labels must be searched because there is no table.
    table
        The result's table, if it was read before.

    Raises
    ------
    InputError
        The record cannot be read, names no labels, or they are gone.
    """
    record = read_record(record_path)
    labels_path = _labels_path(record_path, record)
    volume = open_volume(labels_path, allow_2d=True)
    if volume.data.dtype.kind not in "ui":
        raise InputError("These labels are no whole numbers.", path=labels_path)
    table_path = None if record.files.table is None else record_path.parent / record.files.table
    if table is None and table_path is not None and table_path.is_file():
        table = read_table(table_path)
    boxes = None if table is None else boxes_of_table(table)
    if boxes is None:
        boxes = find_boxes(volume.data, progress=report.progress, cancel=report.cancel)
    spacing = volume.spacing_um_zyx
    measured, notes = _measured_on(record_path, record, volume.shape_zyx, spacing)
    return Correctable(
        record_path,
        record,
        labels_path,
        volume.data,
        spacing,
        table,
        boxes,
        measured,
        () if table is None else notes,
    )


def _labels_path(record_path: Path, record: RunRecord) -> Path:
    if record.files.labels is None:
        raise InputError(
            "This run told no cells apart, so there are none to correct.",
            "Run it with a method for instances, or use `cellseg resegment`.",
            path=record_path,
        )
    path = record_path.parent / record.files.labels
    if not path.exists():
        raise InputError(
            f"The labels {path.name} are gone.",
            "Put them back beside the record.",
            path=record_path,
        )
    return path


def _measured_on(
    record_path: Path,
    record: RunRecord,
    shape_zyx: ShapeZYX,
    spacing: SpacingZYX | None,
) -> tuple[Measured, tuple[str, ...]]:
    statistics = record.settings.statistics
    image, image_notes = image_of(record, shape_zyx) if statistics.intensity else (None, ())
    probability, map_notes = _probability(record_path, record, shape_zyx)
    region, region_notes = region_of_record(record, shape_zyx)
    measured = Measured(
        image,
        probability,
        spacing,
        statistics,
        box=None if region is None else region.box,
        mask=None if region is None else region.mask,
    )
    return measured, (*image_notes, *map_notes, *region_notes)


def _probability(
    record_path: Path, record: RunRecord, shape_zyx: ShapeZYX
) -> tuple[LazyArray | None, tuple[str, ...]]:
    name, used = record.files.probability, record.used.foreground_class
    lost = "mean_probability and uncertainty of corrected cells stay empty."
    if name is None:
        return None, (f"The probability map was not saved: {lost}",)
    try:
        classes, _ = open_probability(record_path.parent / name)
    except (UserError, OSError):
        return None, (f"The probability map {name} cannot be opened: {lost}",)
    index = used if isinstance(used, int) else 0
    if tuple(classes.shape[1:]) != shape_zyx or index >= classes.shape[0]:
        return None, (f"The probability map {name} does not fit the labels: {lost}",)
    return OneClass(classes, index), ()
