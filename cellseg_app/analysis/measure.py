"""One row of measurements per cell, and one summary per image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cellseg_app.analysis.block_sums import BlockSums, CellSums, Landmarks
from cellseg_app.analysis.blockwise import (
    DEFAULT_BLOCK_ZYX,
    BlockPlan,
    BlockRunner,
    Labels,
    shape_zyx,
)
from cellseg_app.analysis.kept import KeptBlocks
from cellseg_app.analysis.measured_columns import VOXELS, summary_of, table_of
from cellseg_app.analysis.moments import (
    find_runs,
    sum_moments,
    sum_values,
)
from cellseg_app.analysis.surface import sum_surface
from cellseg_app.core.blocks import (
    Region,
    block_regions,
    grow,
    holds_nothing,
    region_origin,
    relative_to,
)
from cellseg_app.core.errors import InputError
from cellseg_app.core.progress import CancelToken, ProgressSink
from cellseg_app.core.results import CellTable
from cellseg_app.core.settings import StatisticsSettings
from cellseg_app.core.volume import LazyArray, ShapeZYX, SpacingZYX

# Rows of a part of the table.
_ROWS_AT_ONCE = 50_000


@dataclass(frozen=True, slots=True)
class _Sources:
    labels: LazyArray
    image: LazyArray | None
    probability: LazyArray | None


def measure_cells(
    labels: LazyArray,
    image: LazyArray | None = None,
    probability: LazyArray | None = None,
    *,
    spacing_um_zyx: SpacingZYX | None = None,
    settings: StatisticsSettings | None = None,
    n_voxels: int | None = None,
    n_cells: int | None = None,
    block_zyx: ShapeZYX | None = None,
    workers: int = 1,
    progress: ProgressSink | None = None,
    cancel: CancelToken | None = None,
    runner: BlockRunner | None = None,
    kept: KeptBlocks | None = None,
) -> CellTable:
    """Measure every label of a volume, reading it once, block by block.

    Where results of blocks are kept, memory grows with the block and with the number of cells in
    a layer of blocks, up to two million of them, as long as the table is looked at in parts.

    Parameters
    ----------
    labels
        (Z, Y, X), one integer per cell, 0 is background; ids need not be consecutive.
    image, probability
        Of the same shape; None leaves their columns out.
    spacing_um_zyx
        Voxel size; without it no column in µm exists, and lengths are in voxels.
    settings
        Which groups of columns to make.
    n_voxels
        How many voxels were searched, for the density; None means all.
    n_cells
        How many labels there are, if that is known; else they are counted.
    block_zyx, workers
        How the volume is cut and on how many threads; results do not depend on it.
    progress, cancel
        Where to report every block, and how to stop.
    runner, kept
        As for `segment_instances`; `kept` must not know other labels or another image. The table
        is made of what is kept, which must stay as long as parts of it are asked for.

    Returns
    -------
    CellTable with the columns

    label
        Id in the label volume; rows ascend by it.
    n_voxels, volume_um3
        Size.
    centroid_{z,y,x}_voxel, centroid_{z,y,x}_um
        Mean voxel position; the centre of the first voxel is 0.
    bbox_{z,y,x}_min, bbox_{z,y,x}_max
        Bounding box in voxels, half-open: `volume[min:max]` holds the cell.
    axis_{major,middle,minor}_{um or voxel}
        Full axes of the ellipsoid with the same second moments, see `axis_lengths`.
    sphericity_axes
        From the longest and shortest axis, see `axis_sphericity`; NaN where flat.
    surface_{um2 or voxel2}
        Surface area, see `sum_surface`; the cut of a cell at the border counts.
    sphericity_surface
        Surface of the ball of equal volume divided by the surface (Wadell 1935); may pass 1 by a
        few per cent, for digital areas scatter.
    intensity_{mean,min,max,std}
        Of the image; the standard deviation is that of the voxels (divided by n).
    mean_probability
        Of the probability map.
    uncertainty
        What the cell's largest and its mean probability together lack to 2, at most 1: near 0
        where the network is certain, 1 where it is undecided everywhere in the cell. The largest
        one tells of cells that may be none, the mean one of maps that are 1 at some voxel of
        every cell. Compare cells of one network: maps that fall from the centre to the border
        never come to 0. It does not tell how sure the outline is.
    touches_border
        Whether a voxel lies on a face of the volume; axes of one voxel have none.

    Raises
    ------
    InputError
        If image or probability has another shape than the labels.
    """
    chosen = settings or StatisticsSettings()
    shape = shape_zyx(labels)
    for name, other in (("image", image), ("probability map", probability)):
        if other is not None and tuple(other.shape) != shape:
            problem = f"The {name} has shape {tuple(other.shape)}, the labels {shape}."
            raise InputError(problem, "Measure labels on the image they were made from.")
    sources = _Sources(labels, image if chosen.intensity else None, probability)
    surface_spacing = (spacing_um_zyx or VOXELS) if chosen.surface else None

    def work(core: Region) -> BlockSums:
        return _sum_block(core, sources, shape=shape, surface_spacing=surface_spacing)

    plan = BlockPlan(block_zyx or DEFAULT_BLOCK_ZYX, workers, progress, cancel, runner, kept)
    cores = [c for c in block_regions(shape, plan.block_zyx) if not holds_nothing(labels, c)]
    none = BlockSums.none(
        surface=chosen.surface,
        intensity=sources.image is not None,
        probability=probability is not None,
    )
    sums = _sum_blocks(none, cores, work, plan)

    def parts() -> Iterator[pd.DataFrame]:
        for cells in sums.whole_cells():
            for first in range(0, max(1, len(cells)), _ROWS_AT_ONCE):
                if cancel is not None:
                    cancel.raise_if_cancelled()
                rows = cells.rows(slice(first, first + _ROWS_AT_ONCE))
                yield table_of(rows, shape, spacing_um_zyx, uncertainty=chosen.uncertainty)

    n_objects = sums.count() if n_cells is None else n_cells
    summary = summary_of(sums.n_voxels, n_objects, shape, spacing_um_zyx, n_voxels)
    return CellTable(parts, summary)


def _sum_blocks(
    none: BlockSums, cores: list[Region], work: Callable[[Region], BlockSums], plan: BlockPlan
) -> CellSums:
    stage = "Measuring cells"
    if plan.kept is None:
        found = zip(cores, plan.map_items(cores, work, stage=stage), strict=True)
        known = {region_origin(core): sums for core, sums in found}
        blocks = [(core, Landmarks.of(known[region_origin(core)])) for core in cores]
        return CellSums(none, blocks, lambda core: known[region_origin(core)], in_memory=True)
    once = plan.kept.keeping(stage, work, BlockSums.of)

    def landmarks(core: Region) -> Landmarks:
        return Landmarks.of(once(core))

    marks = plan.map_items(cores, landmarks, stage=stage)
    return CellSums(none, list(zip(cores, marks, strict=True)), once, in_memory=False)


def moved(
    cells: pd.DataFrame, origin_zyx: ShapeZYX, spacing_um_zyx: SpacingZYX | None
) -> pd.DataFrame:
    """The table of a part of a volume, with positions in the whole volume."""
    result = cells.copy()
    for axis, start, um in zip("zyx", origin_zyx, spacing_um_zyx or VOXELS, strict=True):
        in_voxels = [f"centroid_{axis}_voxel", f"bbox_{axis}_min", f"bbox_{axis}_max"]
        for column in result.columns.intersection(in_voxels):
            result[column] += start
        if f"centroid_{axis}_um" in result:
            result[f"centroid_{axis}_um"] += start * um
    return result


def _sum_block(
    core: Region,
    sources: _Sources,
    *,
    shape: ShapeZYX,
    surface_spacing: SpacingZYX | None,
) -> BlockSums:
    region = core if surface_spacing is None else grow(core, (1, 1, 1), shape)
    wide = np.asarray(sources.labels[region])
    runs = find_runs(np.ascontiguousarray(wide[relative_to(core, region)]))
    if runs is None:
        return BlockSums.none()
    surface = None
    if surface_spacing is not None:
        surface = sum_surface(_framed(wide, region, core), runs, surface_spacing)
    image, probability = sources.image, sources.probability
    return BlockSums(
        sum_moments(runs, core),
        surface,
        None if image is None else sum_values(runs, np.asarray(image[core])),
        None if probability is None else sum_values(runs, np.asarray(probability[core])),
    )


def _framed(wide: Labels, region: Region, core: Region) -> Labels:
    """The core and one voxel around it, 0 beyond the volume."""
    missing = [
        (1 - (c.start - r.start), 1 - (r.stop - c.stop)) for r, c in zip(region, core, strict=True)
    ]
    return np.ascontiguousarray(np.pad(wide, missing))
