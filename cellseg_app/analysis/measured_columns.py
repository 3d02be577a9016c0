"""The columns of the table of cells and of the summary, from sums over the voxels of cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cellseg_app.analysis.block_sums import BlockSums
from cellseg_app.analysis.moments import (
    Doubles,
    Integers,
    Moments,
    Values,
)
from cellseg_app.analysis.shape import axis_lengths, axis_sphericity, surface_sphericity
from cellseg_app.core.volume import ShapeZYX, SpacingZYX

_UM3_PER_MM3 = 1e9
VOXELS: SpacingZYX = (1.0, 1.0, 1.0)


def table_of(
    sums: BlockSums, shape: ShapeZYX, spacing: SpacingZYX | None, *, uncertainty: bool
) -> pd.DataFrame:
    """One row per cell, with the columns that its sums allow, in the order of the file."""
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


def _shape_columns(sums: BlockSums, spacing: SpacingZYX | None) -> dict[str, npt.NDArray[Any]]:
    unit = "um" if spacing is not None else "voxel"
    step = spacing or VOXELS
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


def summary_of(
    labelled: int,
    n_objects: int,
    shape: ShapeZYX,
    spacing: SpacingZYX | None,
    n_voxels: int | None,
) -> dict[str, Any]:
    """The measurements of a whole image; `n_voxels` where only a part of it was searched."""
    total = int(np.prod(shape, dtype=np.int64)) if n_voxels is None else n_voxels
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
