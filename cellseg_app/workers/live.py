"""Cells told apart anew while sliders move: a crop at once, the whole volume after it."""

from __future__ import annotations

import math
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from cellseg_app.core.blocks import CroppedArray, Region, overlap, region_shape, whole
from cellseg_app.core.settings import RunSettings
from cellseg_app.core.volume import LazyArray, ShapeZYX, SpacingZYX
from cellseg_app.workers.jobs import JobContext, Work
from cellseg_app.workers.scratch import HeldArray, make_scratch_folder

if TYPE_CHECKING:
    from cellseg_app.pipeline.choices import CellDefaults


# Four bytes each.
MOST_IN_MEMORY_VOXELS: Final = 64_000_000
# Labels.
_DISK_BYTES_PER_VOXEL: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class TunableMap:
    """A probability map and what belongs to it.

    Attributes
    ----------
    probability
        (C, Z, Y, X).
    image
        (Z, Y, X) on the same lattice, or None.
    defaults
        What holds where the form says "automatic".
    foreground_class
        The class that "automatic" means.
    origin_zyx
        Where the map begins in its volume, for a preview of a crop.
    """

    probability: LazyArray
    image: LazyArray | None
    spacing_um_zyx: SpacingZYX | None
    defaults: CellDefaults
    foreground_class: int = 0
    origin_zyx: ShapeZYX = (0, 0, 0)

    @property
    def shape_zyx(self) -> ShapeZYX:
        """Voxels of the map."""
        z, y, x = self.probability.shape[-3:]
        return z, y, x


@dataclass(frozen=True, slots=True, eq=False)
class LiveCells:
    """Cells of a crop or of the whole map.

    Attributes
    ----------
    labels
        uint32 (Z, Y, X) of the region; in memory, or in a scratch file if they are many.
    region
        Where it lies in the map.
    table
        Measurements; None for a crop.
    """

    labels: LazyArray
    region: Region
    n_cells: int
    class_index: int
    threshold: float
    table: pd.DataFrame | None
    seconds: float


class PatchedLabels:
    """Labels (Z, Y, X) with a region replaced."""

    def __init__(self, base: LazyArray, patch: LazyArray, region: Region) -> None:
        self._base, self._patch, self._region = base, patch, region
        self.shape: tuple[int, ...] = tuple(base.shape)
        self.dtype: np.dtype[Any] = np.promote_types(base.dtype, np.uint32)
        self.ndim = 3

    def __getitem__(self, key: tuple[slice, ...], /) -> npt.NDArray[Any]:
        result = np.array(self._base[key], dtype=self.dtype)
        target, origin = overlap(key, self._region, self.shape)
        if all(part.stop > part.start for part in target):
            result[target] = self._patch[origin]
        return result


def tuning(source: TunableMap, settings: RunSettings, region: Region, *, measure: bool) -> Work:
    """Work that gives the `LiveCells` of a region with other settings after the network."""

    def work(context: JobContext) -> LiveCells:
        begin = time.perf_counter()
        cells = live_cells(source, settings, region, measure=measure, context=context)
        return replace(cells, seconds=time.perf_counter() - begin)

    return work


def live_cells(
    source: TunableMap,
    settings: RunSettings,
    region: Region,
    *,
    measure: bool,
    context: JobContext,
) -> LiveCells:
    """Tell the cells of a region apart by the very functions that a run uses."""
    from cellseg_app.analysis.measure import moved
    from cellseg_app.io.space import require_free_space
    from cellseg_app.pipeline.cells_stage import Scene, find_cells
    from cellseg_app.pipeline.workspace import Workspace
    from cellseg_app.workers.runs import reporting

    image = None if source.image is None else CroppedArray(source.image, region)
    scene = Scene(CroppedArray(source.probability, region), image, source.spacing_um_zyx)
    folder = make_scratch_folder()
    try:
        require_free_space(folder, _DISK_BYTES_PER_VOXEL * math.prod(region_shape(region)))
        found = find_cells(
            scene,
            _for_live(settings, source.foreground_class, measure=measure),
            source.defaults,
            save=False,
            workspace=Workspace(folder, "live", "0"),
            report=reporting(context),
        )[0]
        labels = _labels(found.labels, folder, region_shape(region))
        # Windows removes no file that is looked at.
        found = replace(found, labels=None)
        if not isinstance(labels, HeldArray):
            shutil.rmtree(folder, ignore_errors=True)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    table = None
    if found.cells is not None:
        z, y, x = (a.start + b for a, b in zip(region, source.origin_zyx, strict=True))
        table = moved(found.cells, (z, y, x), source.spacing_um_zyx)
    return LiveCells(
        labels, region, found.n_cells, found.class_index, found.threshold, table, seconds=0.0
    )


def _labels(stored: LazyArray | None, folder: Path, shape: ShapeZYX) -> LazyArray:
    """The labels in memory; large ones stay in their folder until nobody looks."""
    if stored is None:
        return np.zeros(shape, np.uint32)
    if math.prod(shape) > MOST_IN_MEMORY_VOXELS:
        return HeldArray(stored, folder)
    return np.array(stored[whole(shape)], dtype=np.uint32)


def _for_live(settings: RunSettings, foreground_class: int, *, measure: bool) -> RunSettings:
    threshold = settings.threshold
    if not isinstance(threshold.class_choice, int):
        threshold = threshold.model_copy(update={"class_choice": foreground_class})
    enabled = measure and settings.statistics.enabled
    statistics = settings.statistics.model_copy(update={"enabled": enabled})
    return settings.model_copy(update={"threshold": threshold, "statistics": statistics})
