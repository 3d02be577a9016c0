"""Which cells a mask cuts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cellseg_app.analysis.blockwise import BlockPlan, shape_zyx
from cellseg_app.core.blocks import Region, grow, relative_to
from cellseg_app.core.volume import LazyArray


def cut_by_mask(
    labels: LazyArray, mask: LazyArray, plan: BlockPlan | None = None
) -> npt.NDArray[np.int64]:
    """Return the ids that have a voxel inside with a voxel outside beside it.

    Parameters
    ----------
    labels
        (Z, Y, X), 0 where the mask is 0.
    mask
        Boolean, of the same shape; beyond the volume counts as inside.
    plan
        How the volume is cut into blocks; the result does not depend on it.
    """
    shape = shape_zyx(labels)

    def work(core: Region) -> npt.NDArray[np.int64]:
        region = grow(core, (1, 1, 1), shape)
        inside = np.pad(np.asarray(mask[region], np.bool_), 1, mode="edge")
        if inside.all():
            return np.zeros(0, np.int64)
        edge = np.zeros_like(inside)
        for axis in range(3):
            for step in (1, -1):
                edge |= ~np.roll(inside, step, axis)
        edge = edge[1:-1, 1:-1, 1:-1][relative_to(core, region)]
        ids: npt.NDArray[np.int64] = np.unique(np.asarray(labels[core])[edge]).astype(np.int64)
        return ids

    blocks = list((plan or BlockPlan()).map(shape, work, stage="Finding cut cells"))
    found: npt.NDArray[np.int64] = np.unique(np.concatenate(blocks))
    cut: npt.NDArray[np.int64] = found[found != 0]
    return cut
