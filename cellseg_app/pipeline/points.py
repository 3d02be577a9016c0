"""Cell positions of a run, in voxels of the volume that was run."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from cellseg_app.core.errors import InputError
from cellseg_app.core.volume import ShapeZYX
from cellseg_app.io.points import CellPoints, points_from_table
from cellseg_app.io.run_record import RunRecord, read_record
from cellseg_app.io.table import read_table
from cellseg_app.pipeline.cells_stage import isotropic_shape


def points_of_result(result: Path) -> CellPoints:
    """Return the positions of a run's cells.

    Parameters
    ----------
    result
        The run record (.json), or the table (.csv); without a record beside it, positions in a
        table are taken as they are and µm are not known.

    Raises
    ------
    InputError
        There is no such result, or it has no table.
    """
    if result.suffix.lower() != ".json":
        record_path = result.with_suffix(".json")
        if not record_path.is_file():
            return points_from_table(read_table(result), spacing_um_zyx=None, path=result)
        return points_of_cells(read_table(result), read_record(record_path), path=result)
    record = read_record(result)
    if record.files.table is None:
        raise InputError(
            "This run measured no cells, so there are no positions.",
            "Run it with statistics, or use `cellseg resegment`.",
            path=result,
        )
    table = result.parent / record.files.table
    return points_of_cells(read_table(table), record, path=table)


def points_of_cells(
    cells: pd.DataFrame, record: RunRecord, *, path: Path | None = None
) -> CellPoints:
    """Return the positions in a table of a run, which may be filtered."""
    return points_from_table(
        cells,
        spacing_um_zyx=record.input.spacing_um_zyx,
        from_shape_zyx=_table_shape(record),
        to_shape_zyx=record.input.shape_zyx,
        path=path,
    )


def _table_shape(record: RunRecord) -> ShapeZYX:
    shape, spacing = record.input.shape_zyx, record.input.spacing_um_zyx
    if not record.settings.size.isotropic or spacing is None:
        return shape
    return isotropic_shape(shape, spacing)[0]
