"""One row of measurements per cell, and one summary per image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cellseg_app.analysis.blockwise import (
    DEFAULT_BLOCK_ZYX,
    BlockPlan,
    BlockRunner,
    Labels,
    shape_zyx,
)
from cellseg_app.analysis.kept import Arrays, KeptBlocks, part_of, prefixed
from cellseg_app.analysis.moments import (
    Doubles,
    Integers,
    Moments,
    Values,
    find_runs,
    join_moments,
    join_values,
    sum_moments,
    sum_values,
)
from cellseg_app.analysis.shape import axis_lengths, axis_sphericity, surface_sphericity
from cellseg_app.analysis.surface import sum_surface
from cellseg_app.core.blocks import Region, block_regions, grow, holds_nothing, relative_to
from cellseg_app.core.errors import InputError
from cellseg_app.core.progress import CancelToken, ProgressSink
from cellseg_app.core.results import CellTable
from cellseg_app.core.settings import StatisticsSettings
from cellseg_app.core.volume import LazyArray, ShapeZYX, SpacingZYX

_UM3_PER_MM3 = 1e9
_VOXELS: SpacingZYX = (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class _BlockSums:
    """Of the cells of a block, or of whole cells."""

    moments: Moments
    surface: Doubles | None
    intensity: Values | None
    probability: Values | None

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        packed = prefixed("moments_", self.moments.arrays())
        if self.surface is not None:
            packed["surface"] = self.surface
        if self.intensity is not None:
            packed |= prefixed("intensity_", self.intensity.arrays())
        if self.probability is not None:
            packed |= prefixed("probability_", self.probability.arrays())
        return packed

    @classmethod
    def of(cls, arrays: Arrays) -> _BlockSums:
        intensity, probability = (
            part_of(arrays, prefix) for prefix in ("intensity_", "probability_")
        )
        return cls(
            Moments(**part_of(arrays, "moments_")),
            arrays.get("surface"),
            Values(**intensity) if intensity else None,
            Values(**probability) if probability else None,
        )


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
    block_zyx: ShapeZYX | None = None,
    workers: int = 1,
    progress: ProgressSink | None = None,
    cancel: CancelToken | None = None,
    runner: BlockRunner | None = None,
    kept: KeptBlocks | None = None,
) -> CellTable:
    """Measure every label of a volume, reading it once, block by block.

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
    block_zyx, workers
        How the volume is cut and on how many threads; results do not depend on it.
    progress, cancel
        Where to report every block, and how to stop.
    runner, kept
        As for `segment_instances`; `kept` must not know other labels or another image.

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
    surface_spacing = (spacing_um_zyx or _VOXELS) if chosen.surface else None

    def work(core: Region) -> _BlockSums:
        return _sum_block(core, sources, shape=shape, surface_spacing=surface_spacing)

    plan = BlockPlan(block_zyx or DEFAULT_BLOCK_ZYX, workers, progress, cancel, runner, kept)
    stage = "Measuring cells"
    once = work if kept is None else kept.keeping(stage, work, _BlockSums.of)
    cores = [c for c in block_regions(shape, plan.block_zyx) if not holds_nothing(labels, c)]
    blocks = [b for b in plan.map_items(cores, once, stage=stage) if len(b.moments.ids)]
    sums = _join(blocks, sources, surface=chosen.surface)
    cells = _table(sums, shape, spacing_um_zyx, uncertainty=chosen.uncertainty)
    return CellTable(cells, _summary(sums.moments, shape, spacing_um_zyx, n_voxels))


def moved(
    cells: pd.DataFrame, origin_zyx: ShapeZYX, spacing_um_zyx: SpacingZYX | None
) -> pd.DataFrame:
    """The table of a part of a volume, with positions in the whole volume."""
    result = cells.copy()
    for axis, start, um in zip("zyx", origin_zyx, spacing_um_zyx or _VOXELS, strict=True):
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
) -> _BlockSums:
    region = core if surface_spacing is None else grow(core, (1, 1, 1), shape)
    wide = np.asarray(sources.labels[region])
    runs = find_runs(np.ascontiguousarray(wide[relative_to(core, region)]))
    if runs is None:
        return _BlockSums(join_moments([])[0], None, None, None)
    surface = None
    if surface_spacing is not None:
        surface = sum_surface(_framed(wide, region, core), runs, surface_spacing)
    image, probability = sources.image, sources.probability
    return _BlockSums(
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


def _join(blocks: list[_BlockSums], sources: _Sources, *, surface: bool) -> _BlockSums:
    """The same sums of whole cells, ordered by id."""
    moments, place = join_moments([b.moments for b in blocks])
    n = len(moments.ids)

    def joined(parts: list[Values | None], source: LazyArray | None) -> Values | None:
        if source is None:
            return None
        return join_values([p for p in parts if p is not None], place, n)

    area = None
    if surface:
        parts = [np.zeros(0), *(b.surface for b in blocks if b.surface is not None)]
        area = np.bincount(place, np.concatenate(parts), minlength=n).astype(np.float64)
    return _BlockSums(
        moments,
        area,
        joined([b.intensity for b in blocks], sources.image),
        joined([b.probability for b in blocks], sources.probability),
    )


def _table(
    sums: _BlockSums, shape: ShapeZYX, spacing: SpacingZYX | None, *, uncertainty: bool
) -> pd.DataFrame:
    moments = sums.moments
    n_voxels = moments.sums[:, 0]
    columns: dict[str, npt.NDArray[Any]] = {"label": moments.ids, "n_voxels": n_voxels}
    if spacing is not None:
        columns["volume_um3"] = n_voxels * float(np.prod(spacing))
    columns |= _positions(moments, spacing)
    columns |= _shape_columns(sums, spacing)
    if sums.intensity is not None:
        columns |= _intensity_columns(sums.intensity, n_voxels)
    if sums.probability is not None:
        mean = sums.probability.total / n_voxels
        columns["mean_probability"] = mean
        if uncertainty:
            columns["uncertainty"] = np.clip(2 - sums.probability.most - mean, 0, 1)
    faces = np.asarray(shape) > 1
    touches = (moments.low == 0) | (moments.high == np.asarray(shape))
    columns["touches_border"] = (touches & faces).any(axis=1)
    return pd.DataFrame(columns)


def _positions(moments: Moments, spacing: SpacingZYX | None) -> dict[str, npt.NDArray[Any]]:
    centroid: Doubles = moments.sums[:, 1:4] / moments.sums[:, :1]
    columns: dict[str, npt.NDArray[Any]] = {}
    for axis, name in enumerate("zyx"):
        columns[f"centroid_{name}_voxel"] = centroid[:, axis]
    if spacing is not None:
        for axis, name in enumerate("zyx"):
            columns[f"centroid_{name}_um"] = centroid[:, axis] * spacing[axis]
    for axis, name in enumerate("zyx"):
        columns[f"bbox_{name}_min"] = moments.low[:, axis]
        columns[f"bbox_{name}_max"] = moments.high[:, axis]
    return columns


def _shape_columns(sums: _BlockSums, spacing: SpacingZYX | None) -> dict[str, npt.NDArray[Any]]:
    unit = "um" if spacing is not None else "voxel"
    step = spacing or _VOXELS
    lengths = axis_lengths(sums.moments, step)
    columns: dict[str, npt.NDArray[Any]] = {
        f"axis_{name}_{unit}": lengths[:, k] for k, name in enumerate(("major", "middle", "minor"))
    }
    columns["sphericity_axes"] = axis_sphericity(sums.moments, step)
    if sums.surface is not None:
        volume = sums.moments.sums[:, 0] * np.float64(np.prod(step))
        columns[f"surface_{unit}2"] = sums.surface
        columns["sphericity_surface"] = surface_sphericity(volume, sums.surface)
    return columns


def _intensity_columns(values: Values, n_voxels: Integers) -> dict[str, npt.NDArray[Any]]:
    mean = values.total / n_voxels
    variance = np.maximum(values.squares / n_voxels - mean**2, 0)
    return {
        "intensity_mean": mean,
        "intensity_min": values.least,
        "intensity_max": values.most,
        "intensity_std": np.sqrt(variance),
    }


def _summary(
    moments: Moments, shape: ShapeZYX, spacing: SpacingZYX | None, n_voxels: int | None
) -> dict[str, Any]:
    total = int(np.prod(shape, dtype=np.int64)) if n_voxels is None else n_voxels
    labelled = int(moments.sums[:, 0].sum())
    n_objects = len(moments.ids)
    summary: dict[str, Any] = {
        "size_z_voxels": shape[0],
        "size_y_voxels": shape[1],
        "size_x_voxels": shape[2],
        "total_voxels": total,
        "labelled_voxels": labelled,
        "filling_ratio": labelled / total,
        "n_objects": n_objects,
    }
    if spacing is not None:
        voxel_um3 = float(np.prod(spacing))
        summary |= {
            "total_volume_um3": total * voxel_um3,
            "labelled_volume_um3": labelled * voxel_um3,
            "density_per_mm3": n_objects / (total * voxel_um3 / _UM3_PER_MM3),
        }
    return summary
