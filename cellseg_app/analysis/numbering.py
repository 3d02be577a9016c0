"""Final ids: which objects stay, and 1…N in the raster order of their first voxels."""

from __future__ import annotations

import fastremap
import numpy as np

from cellseg_app.analysis.blockwise import (
    BlockPlan,
    Bools,
    Ids,
    Labels,
    WritableArray,
    shape_zyx,
)
from cellseg_app.analysis.pieces import PieceStatistics, measure_pieces
from cellseg_app.core.blocks import Region
from cellseg_app.core.volume import LazyArray


def kept_objects(
    statistics: PieceStatistics, *, min_size_voxels: int, remove_border: bool = False
) -> Bools:
    """Which ids stay: at least `min_size_voxels` large, and clear of the border if asked for."""
    keep = statistics.count >= max(1, min_size_voxels)
    if remove_border:
        keep &= ~statistics.border
    keep[0] = False
    return keep


def raster_numbers(statistics: PieceStatistics, keep: Bools) -> tuple[int, Labels]:
    """New id of every old one, by first voxel; 0 for what does not stay.

    The order of first voxels does not depend on blocks or threads, and neither do the ids.
    """
    ids = np.flatnonzero(keep)
    order = ids[np.argsort(statistics.first[ids])]
    numbers = np.zeros(len(keep), np.uint32)
    numbers[order] = np.arange(1, len(order) + 1, dtype=np.uint32)
    return len(order), numbers


def finish_labels(
    labels_out: WritableArray,
    object_of_piece: Ids,
    statistics: PieceStatistics,
    *,
    keep: Bools,
    plan: BlockPlan,
) -> int:
    """Replace piece ids by final ids in place and return the number of objects.

    Parameters
    ----------
    labels_out
        Holds piece ids.
    object_of_piece
        Object of each piece, 0 for none.
    statistics, keep
        Of the objects.
    plan
        How the volume is cut.
    """
    n, numbers = raster_numbers(statistics, keep)
    relabel(labels_out, numbers[object_of_piece], plan=plan)
    return n


def relabel(labels_out: WritableArray, numbers: Labels, *, plan: BlockPlan) -> None:
    """Replace every label by `numbers[label]` in place, block by block."""

    def work(core: Region) -> None:
        block = np.asarray(labels_out[core])
        if block.any():
            labels_out[core] = numbers[block].astype(labels_out.dtype, copy=False)

    plan.run(shape_zyx(labels_out), work, stage="Numbering cells")


def count_labels(labels: LazyArray, n: int, *, plan: BlockPlan) -> PieceStatistics:
    """Sizes, first voxels and border contact of labels 1…n, block by block."""
    shape = shape_zyx(labels)
    total = PieceStatistics.empty(n)

    def work(core: Region) -> tuple[Ids, PieceStatistics] | None:
        block = np.asarray(labels[core])
        if not block.any():
            return None
        # Ids of the block only: arrays of n values for every block would make n blocks cost n².
        local, _ = fastremap.renumber(block, in_place=False)
        ids = np.zeros(int(local.max()) + 1, np.intp)
        ids[local] = block
        return ids, measure_pieces(local, len(ids) - 1, core, shape=shape)

    for found in plan.map(shape, work, stage="Counting cells"):
        if found is not None:
            total.add(*found)
    return total
