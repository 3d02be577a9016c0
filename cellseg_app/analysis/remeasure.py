"""Measuring only the cells that were corrected; all other rows stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cellseg_app.analysis.blockwise import shape_zyx
from cellseg_app.analysis.edits import CellBoxes, LabelEdits
from cellseg_app.analysis.mask_edge import cut_by_mask
from cellseg_app.analysis.measure import measure_cells, moved
from cellseg_app.core.blocks import (
    CroppedArray,
    Region,
    grow,
    intersect,
    region_origin,
    whole,
)
from cellseg_app.core.progress import CancelToken, ProgressSink, StageProgress
from cellseg_app.core.settings import StatisticsSettings
from cellseg_app.core.volume import LazyArray, SpacingZYX

EDITED = "edited"
_BOX_COLUMNS = tuple(f"bbox_{axis}_{end}" for end in ("min", "max") for axis in "zyx")


@dataclass(frozen=True, slots=True)
class Measured:
    """What cells are measured on; everything lies on the lattice of the labels.

    Attributes
    ----------
    image, probability
        (Z, Y, X), or None if they are not at hand.
    box
        The part that was searched, at whose faces cells count as cut; None for everything.
    mask
        (Z, Y, X), true where cells were searched; None for the whole box.
    """

    image: LazyArray | None = None
    probability: LazyArray | None = None
    spacing_um_zyx: SpacingZYX | None = None
    settings: StatisticsSettings = field(default_factory=StatisticsSettings)
    box: Region | None = None
    mask: LazyArray | None = None


def boxes_of_table(table: pd.DataFrame) -> CellBoxes | None:
    """The bounding boxes of a table of cells; None if it has no such columns."""
    if not {"label", *_BOX_COLUMNS} <= set(table.columns):
        return None
    order = np.argsort(table["label"].to_numpy(np.int64), kind="stable")
    low, high = (
        np.stack([table[name].to_numpy(np.int64)[order] for name in names], axis=1)
        for names in (_BOX_COLUMNS[:3], _BOX_COLUMNS[3:])
    )
    return CellBoxes(table["label"].to_numpy(np.int64)[order], low, high)


def find_boxes(
    labels: LazyArray, *, progress: ProgressSink | None = None, cancel: CancelToken | None = None
) -> CellBoxes:
    """The bounding boxes of all cells, found by reading the labels once."""
    plain = StatisticsSettings(surface=False, intensity=False, uncertainty=False)
    found = measure_cells(labels, settings=plain, progress=progress, cancel=cancel)
    boxes = boxes_of_table(found.cells)
    assert boxes is not None
    return boxes


def measure_some(
    edits: LabelEdits,
    ids: Sequence[int],
    on: Measured,
    *,
    progress: ProgressSink | None = None,
    cancel: CancelToken | None = None,
) -> pd.DataFrame:
    """Measure some cells as `measure_cells` measures all of them, with `edited` set.

    Parameters
    ----------
    edits
        Whose cells.
    ids
        Their ids; each must be a cell now.
    on
        What to measure on.
    progress, cancel
        One step per cell.
    """
    labels = edits.labels
    steps = StageProgress(progress, "Measuring corrected cells", len(ids), cancel=cancel)
    rows = []
    for label in sorted(ids):
        rows.append(_row(labels, label, edits.box(label), on))
        steps.advance()
    if not rows:
        return pd.DataFrame({"label": np.zeros(0, np.int64)})
    table = pd.concat(rows, ignore_index=True)
    table[EDITED] = True
    return table


def with_rows(table: pd.DataFrame, rows: pd.DataFrame, gone: Sequence[int]) -> pd.DataFrame:
    """A table with rows of corrected cells in place of their old ones, ascending by label.

    Parameters
    ----------
    table
        Of all cells; its columns are kept, and `edited` is added.
    rows
        New rows; columns that they lack are left empty.
    gone
        Ids that are no cells any more.
    """
    old, new = (part["label"].to_numpy(np.int64) for part in (table, rows))
    kept = ~np.isin(old, np.concatenate([new, np.asarray(gone, np.int64)]))
    order = np.argsort(np.concatenate([old[kept], new]), kind="stable")
    columns: dict[str, npt.NDArray[Any]] = {}
    # Column by column: a table of a million cells is not copied at one go.
    for name in dict.fromkeys((*map(str, table.columns), EDITED)):
        before = _column(table, name)[kept]
        after = _column(rows, name) if name in rows or name == EDITED else np.full(len(new), np.nan)
        joined = np.concatenate([before, after]) if len(after) else before
        columns[name] = joined[order]
    return pd.DataFrame(columns, copy=False)


def summary_with(
    summary: dict[str, Any], cells: pd.DataFrame, spacing_um_zyx: SpacingZYX | None
) -> dict[str, Any]:
    """The measurements of an image for other cells."""
    if "total_voxels" not in summary:
        return summary
    total, labelled = summary["total_voxels"], int(cells["n_voxels"].sum())
    new = {"labelled_voxels": labelled, "filling_ratio": labelled / total, "n_objects": len(cells)}
    if spacing_um_zyx is not None:
        new["labelled_volume_um3"] = labelled * float(np.prod(spacing_um_zyx))
    if summary.get("n_objects"):
        per_cell = summary.get("density_per_mm3", 0.0) / summary["n_objects"]
        new["density_per_mm3"] = len(cells) * per_cell
    return summary | {name: value for name, value in new.items() if name in summary}


def _row(labels: LazyArray, label: int, box: Region, on: Measured) -> pd.DataFrame:
    shape = shape_zyx(labels)
    searched = whole(shape) if on.box is None else on.box
    # With a neighbour on every side, only cells at the border of what was searched touch a face.
    crop = intersect(grow(box, (1, 1, 1), shape), searched) or box
    own = np.asarray(labels[crop])
    alone = np.where(own == label, own, 0)
    cells = measure_cells(
        alone,
        None if on.image is None else CroppedArray(on.image, crop),
        None if on.probability is None else CroppedArray(on.probability, crop),
        spacing_um_zyx=on.spacing_um_zyx,
        settings=on.settings,
    ).cells
    if on.mask is not None and len(cut_by_mask(alone, CroppedArray(on.mask, crop))):
        cells["touches_border"] = True
    return moved(cells, region_origin(crop), on.spacing_um_zyx)


def _column(table: pd.DataFrame, name: str) -> npt.NDArray[Any]:
    return table[name].to_numpy() if name in table else np.zeros(len(table), np.bool_)
