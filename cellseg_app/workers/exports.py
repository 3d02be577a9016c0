"""Files the user asks for by hand: tables, labels, maps, the methods paragraph."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from cellseg_app.atomic import atomic_path, write_text_atomic
from cellseg_app.core.cell_columns import CellColumns, frame_of
from cellseg_app.core.errors import SettingsError
from cellseg_app.core.volume import LazyArray, SpacingZYX
from cellseg_app.io.methods_text import Selection, methods_paragraph
from cellseg_app.io.points import POINT_COLUMNS, points_from_table, write_points
from cellseg_app.io.run_record import RunRecord
from cellseg_app.io.table import MOST_SHEET_ROWS, write_table_parts
from cellseg_app.workers.jobs import JobContext, Work
from cellseg_app.workers.runs import reporting


class ChosenLabels:
    """Labels (Z, Y, X) of which only some ids are kept; the others read as background."""

    def __init__(self, labels: LazyArray, kept: npt.NDArray[np.int64]) -> None:
        self._labels = labels
        # By id; every id beyond the last is left out.
        self._kept = np.zeros((int(kept.max()) if kept.size else 0) + 2, np.bool_)
        self._kept[kept] = True
        self.shape: tuple[int, ...] = tuple(labels.shape)
        self.dtype: np.dtype[Any] = labels.dtype
        self.ndim = 3

    def __getitem__(self, key: tuple[slice, ...], /) -> npt.NDArray[Any]:
        block = self._labels[key]
        is_kept = self._kept[np.minimum(block, len(self._kept) - 1)]
        return np.where(is_kept, block, 0).astype(self.dtype)


@dataclass(frozen=True, slots=True, eq=False)
class ImageExport:
    """An image to be written as TIFF or OME-Zarr, by the suffix of its path."""

    path: Path
    data: LazyArray
    kind: Literal["labels", "probability"]
    spacing_um_zyx: SpacingZYX | None


def exporting_image(export: ImageExport) -> Work:
    """Work that writes an image; gives its path."""

    def work(context: JobContext) -> Path:
        from cellseg_app.pipeline.image_files import write_image

        return write_image(
            export.path,
            export.data,
            kind=export.kind,
            dtype=_export_dtype(export),
            spacing_um_zyx=export.spacing_um_zyx,
            image_format="zarr" if export.path.suffix == ".zarr" else "tif",
            stage=f"writing {export.path.name}",
            report=reporting(context),
        )

    return work


def _export_dtype(export: ImageExport) -> npt.DTypeLike:
    if export.kind == "probability":
        return np.float32
    return np.uint64 if export.data.dtype.itemsize > np.uint32().itemsize else np.uint32


def exporting_table(path: Path, table: CellColumns, kept: npt.NDArray[np.bool_]) -> Work:
    """Work that writes rows of a table as CSV, or as an Excel sheet by the suffix.

    It gives the path, or that of the first part.
    """
    return lambda _context: write_any_table(path, table, kept)


def write_any_table(
    path: Path, table: CellColumns, kept: npt.NDArray[np.bool_] | None = None
) -> Path:
    """Write rows of a table as CSV, in parts that a spreadsheet can open, or as Excel.

    Raises
    ------
    SettingsError
        The table has more rows than an Excel sheet.
    OutputError
        The place cannot be written to.
    """
    if path.suffix.lower() != ".xlsx":
        return write_table_parts(path, table, kept, most_rows=MOST_SHEET_ROWS)[0]
    rows = np.arange(len(table)) if kept is None else np.flatnonzero(kept)
    if len(rows) > MOST_SHEET_ROWS:
        raise SettingsError(
            f"The table has {len(rows):,} rows; an Excel sheet holds {MOST_SHEET_ROWS:,}.",
            "Export it as CSV.",
        )
    with atomic_path(path) as temporary:
        frame_of(table, rows).to_excel(
            temporary, index=False, sheet_name="cells", engine="xlsxwriter"
        )
    return path


def exporting_points(
    path: Path,
    table: CellColumns,
    kept: npt.NDArray[np.bool_],
    record: RunRecord | None,
    spacing_um_zyx: SpacingZYX | None,
) -> Work:
    """Work that writes the positions in rows of a table, in the format of the suffix.

    Without a record (of a preview) the table's voxels are those of the volume. It gives the path.
    """

    def work(_context: JobContext) -> Path:
        from cellseg_app.pipeline.points import points_of_cells

        needed = [name for name in table.names if name in POINT_COLUMNS]
        rows = frame_of(table, np.flatnonzero(kept), needed)
        if record is None:
            return write_points(path, points_from_table(rows, spacing_um_zyx=spacing_um_zyx))
        return write_points(path, points_of_cells(rows, record))

    return work


def exporting_methods(path: Path, record: RunRecord, kept: Selection | None) -> Work:
    """Work that writes the methods paragraph of a run; gives its path."""

    def work(_context: JobContext) -> Path:
        write_text_atomic(path, methods_paragraph(record, kept))
        return path

    return work


def exporting_record(path: Path, record: Path) -> Work:
    """Work that copies a run record; gives its path."""

    def work(_context: JobContext) -> Path:
        with atomic_path(path) as temporary:
            shutil.copyfile(record, temporary)
        return path

    return work
