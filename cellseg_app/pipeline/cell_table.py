"""The table of a run's cells: measured where blocks are worked on, written part by part."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from cellseg_app.analysis.blockwise import all_cores
from cellseg_app.analysis.measure import measure_cells
from cellseg_app.core.progress import StageProgress
from cellseg_app.core.results import CellTable
from cellseg_app.core.settings import StatisticsSettings
from cellseg_app.core.volume import LazyArray, SpacingZYX
from cellseg_app.io.table import write_measured
from cellseg_app.pipeline.cell_places import CellPlace
from cellseg_app.pipeline.region_cells import RegionCells
from cellseg_app.pipeline.reporting import Reporting


def measured_table(
    cells: RegionCells,
    image: LazyArray | None,
    probability: LazyArray,
    *,
    spacing_um_zyx: SpacingZYX | None,
    settings: StatisticsSettings,
    place: CellPlace,
    report: Reporting,
) -> CellTable:
    """Measure cells where they were found; positions are those in the whole volume.

    Parameters
    ----------
    cells
        Of the run, and where its region lies.
    image, probability, spacing_um_zyx, settings
        As for `measure_cells`, on the lattice of the labels.
    place
        Where the labels were made. What was found in blocks may be kept there; then the table
        can be looked at as long as the place exists.
    report
        Progress, cancelling.
    """
    region = cells.region
    table = measure_cells(
        cells.labels,
        image=image if settings.intensity else None,
        probability=probability,
        spacing_um_zyx=spacing_um_zyx,
        settings=settings,
        n_voxels=None if region is None else region.n_voxels,
        n_cells=cells.n_cells,
        workers=all_cores(),
        progress=report.progress,
        cancel=report.cancel,
        runner=place.runner,
        kept=place.found,
    )
    return cells.located(table, spacing_um_zyx)


def write_table(path: Path, table: CellTable, n_cells: int, report: Reporting) -> Path:
    """Write a table of so many rows, of which only a part is in memory; see `write_measured`."""
    steps = StageProgress(report.progress, "writing table", n_cells, cancel=report.cancel)

    def parts() -> Iterator[pd.DataFrame]:
        for part in table.parts():
            yield part
            steps.advance(len(part))

    return write_measured(path, parts(), n_cells)
