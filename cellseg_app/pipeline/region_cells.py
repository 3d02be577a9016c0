"""Cells of a part of a volume: cut ones told, positions in the whole volume."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cellseg_app.analysis.blockwise import BlockPlan, BlockRunner, all_cores
from cellseg_app.analysis.mask_edge import cut_by_mask
from cellseg_app.analysis.measure import moved
from cellseg_app.core.blocks import holds_nothing
from cellseg_app.core.results import CellTable
from cellseg_app.core.volume import LazyArray, SpacingZYX
from cellseg_app.pipeline.regions import RunRegion
from cellseg_app.pipeline.reporting import Reporting


@dataclass(frozen=True, slots=True)
class RegionCells:
    """The cells of a run.

    Attributes
    ----------
    labels
        (Z, Y, X) of the region's box.
    cut
        Ids of those that the mask cuts; cells cut by the box lie at the border of `labels`.
    """

    labels: LazyArray
    n_cells: int
    region: RunRegion | None = None
    cut: npt.NDArray[np.int64] | None = None

    @property
    def in_volume(self) -> LazyArray:
        """The labels in their place in the whole volume."""
        return self.labels if self.region is None else self.region.put_back(self.labels)

    def located(self, table: CellTable, spacing_um_zyx: SpacingZYX | None) -> CellTable:
        """The measurements with positions in the whole volume and cut cells marked."""
        region = self.region
        if region is None:
            return table

        def parts() -> Iterator[pd.DataFrame]:
            for part in table.parts():
                cells = moved(part, region.origin_zyx, spacing_um_zyx)
                if self.cut is not None:
                    cells["touches_border"] |= _is_among(cells["label"].to_numpy(), self.cut)
                yield cells

        return CellTable(parts, table.summary)


def _is_among(labels: npt.NDArray[np.int64], cut: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which of a part's labels are among ids; both ascend."""
    first, last = np.searchsorted(cut, [labels.min(initial=0), labels.max(initial=0) + 1])
    return np.isin(labels, cut[first:last])


def cells_in_region(
    labels: LazyArray,
    n_cells: int,
    region: RunRegion | None,
    *,
    drop_cut: bool,
    report: Reporting,
    runner: BlockRunner | None = None,
) -> RegionCells:
    """Tell which cells of a region its mask cuts, and drop them if asked to.

    Parameters
    ----------
    labels, n_cells
        Of the region's box, 1…n_cells.
    region
        None for a whole volume, whose labels stay as they are.
    drop_cut
        Whether cells cut by the mask are dropped, and the others numbered anew.
    report, runner
        Progress, cancelling; where blocks are worked on, if not here.
    """
    mask = None if region is None else region.mask_in_box
    if mask is None:
        return RegionCells(labels, n_cells, region)
    plan = BlockPlan(
        workers=all_cores(), progress=report.progress, cancel=report.cancel, runner=runner
    )
    cut = cut_by_mask(labels, mask, plan)
    if not drop_cut or len(cut) == 0:
        return RegionCells(labels, n_cells, region, cut)
    kept = np.ones(n_cells + 1, np.bool_)
    kept[cut] = False
    new_ids = np.cumsum(kept, dtype=labels.dtype) - 1
    new_ids[~kept] = 0
    return RegionCells(_Renumbered(labels, new_ids), n_cells - len(cut), region)


class _Renumbered:
    """Labels (Z, Y, X) seen through a table of new ids."""

    def __init__(self, labels: LazyArray, new_ids: npt.NDArray[Any]) -> None:
        self._labels, self._new_ids = labels, new_ids
        self.shape: tuple[int, ...] = tuple(labels.shape)
        self.dtype: np.dtype[Any] = labels.dtype
        self.ndim = 3

    def __getitem__(self, key: tuple[slice, ...], /) -> npt.NDArray[Any]:
        renumbered: npt.NDArray[Any] = self._new_ids[self._labels[key]].astype(self.dtype)
        return renumbered

    def holds_nothing(self, key: tuple[slice, ...]) -> bool:
        """Whether a region is known to be 0 without reading it."""
        return holds_nothing(self._labels, key)
