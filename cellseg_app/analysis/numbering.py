"""Final ids: which objects stay, and 1…N in the raster order of their first voxels."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

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
from cellseg_app.analysis.moments import Integers
from cellseg_app.analysis.pieces import AT_ONCE, PieceStatistics, measure_pieces
from cellseg_app.core.blocks import (
    Region,
    block_regions,
    holds_nothing,
    region_origin,
    region_shape,
)
from cellseg_app.core.errors import SettingsError
from cellseg_app.core.volume import LazyArray, ShapeZYX

_MOST_IN_32_BITS = np.iinfo(np.uint32).max
_MARK_EVERY = 64


def id_dtype(n: int) -> np.dtype[Any]:
    """The integer that tells `n` objects and the background apart; 32 bits where they do."""
    return np.dtype(np.uint32 if n <= _MOST_IN_32_BITS else np.uint64)


def kept_objects(
    statistics: PieceStatistics,
    *,
    min_size_voxels: int,
    min_uncut_voxels: int = 0,
    remove_border: bool = False,
) -> Bools:
    """Which ids stay: large enough, and clear of the volume's border if asked for.

    Parameters
    ----------
    statistics
        Of every id.
    min_size_voxels, min_uncut_voxels
        Smallest of all, and smallest of those that the border of the volume does not cut; those
        it cuts may be half as large as that.
    remove_border
        Whether those it cuts are dropped.
    """
    keep = statistics.count >= max(1, min_size_voxels)
    cut = statistics.border & (statistics.count >= min_uncut_voxels // 2)
    keep &= cut | (statistics.count >= min_uncut_voxels)
    if remove_border:
        keep &= ~statistics.border
    keep[0] = False
    return keep


def raster_numbers(statistics: PieceStatistics, keep: Bools) -> tuple[int, Labels]:
    """New id of every old one, by first voxel; 0 for what does not stay.

    The order of first voxels does not depend on blocks or threads, and neither do the ids.
    """
    first = statistics.first
    n = int(np.count_nonzero(keep))
    numbers = np.zeros(len(keep), id_dtype(n))
    done = 0
    for begin, end in _ranges(first):
        ids = np.flatnonzero(keep & (first >= begin) & (first < end))
        order = ids[np.argsort(first[ids])]
        numbers[order] = np.arange(done + 1, done + len(order) + 1, dtype=numbers.dtype)
        done += len(order)
    return n, numbers


def _ranges(first: Integers) -> Iterator[tuple[int, int]]:
    """Ranges of raster indices in which few of the first voxels lie each; together all."""
    marks = np.sort(first[::_MARK_EVERY])[AT_ONCE // _MARK_EVERY :: AT_ONCE // _MARK_EVERY]
    bounds = [0, *np.unique(marks).tolist(), np.iinfo(np.int64).max]
    yield from itertools.pairwise(bounds)


def finish_labels(
    labels_out: WritableArray,
    object_of_id: Ids,
    statistics: PieceStatistics,
    *,
    keep: Bools,
    plan: BlockPlan,
) -> int:
    """Replace ids by final ids in place and return the number of objects.

    Parameters
    ----------
    labels_out
        Holds ids.
    object_of_id
        Object of each id, 0 for none.
    statistics, keep
        Of the objects.
    plan
        How the volume is cut.
    """
    n, numbers = raster_numbers(statistics, keep)
    relabel(labels_out, numbers[object_of_id], plan=plan)
    return n


def finish_pieces(
    pieces: LazyArray,
    labels_out: WritableArray,
    offsets: Mapping[ShapeZYX, tuple[int, int]],
    object_of_piece: Ids,
    statistics: PieceStatistics,
    *,
    keep: Bools,
    plan: BlockPlan,
) -> int:
    """Write the final ids of what `join_pieces` found and return the number of objects.

    Parameters
    ----------
    pieces
        What `join_pieces` wrote.
    labels_out
        Receives the ids; may be `pieces` itself. Where they need 64 bits it becomes so wide.
    offsets
        As `join_pieces` gave them.
    object_of_piece
        Object of each piece, 0 for none.
    statistics, keep
        Of the objects.
    plan
        How the volume was cut by `join_pieces`.

    Raises
    ------
    SettingsError
        More objects than `labels_out` can tell apart.
    """
    n, numbers = raster_numbers(statistics, keep)
    _make_wide_enough(labels_out, n)
    number_of_piece = numbers[object_of_piece]
    number_of_piece[0] = 0

    def table_of(core: Region) -> Labels | None:
        place = offsets.get(region_origin(core))
        if place is None:
            return None
        offset, n_pieces = place
        return number_of_piece[offset : offset + n_pieces + 1]

    def work(item: tuple[Region, Labels | None]) -> None:
        core, table = item
        if table is None:
            if labels_out is not pieces:
                labels_out[core] = np.broadcast_to(
                    np.zeros((), labels_out.dtype), region_shape(core)
                )
            return
        numbers = table.copy()
        # There stands the last piece of the block before.
        numbers[0] = 0
        labels = numbers[np.asarray(pieces[core])]
        labels_out[core] = labels.astype(labels_out.dtype, copy=False)

    blocks = block_regions(shape_zyx(pieces), plan.block_zyx)
    items = [(core, table_of(core)) for core in blocks]
    for _ in plan.map_items(items, work, stage="Numbering cells"):
        pass
    return n


def _make_wide_enough(labels_out: WritableArray, n: int) -> None:
    needed = id_dtype(n)
    if needed.itemsize <= labels_out.dtype.itemsize:
        return
    become: Callable[[np.dtype[Any]], None] | None = getattr(labels_out, "become", None)
    if become is None:
        raise SettingsError(
            f"{n} cells were found, more than labels of type {labels_out.dtype} can tell apart.",
            "Give labels of 64 bits, raise the threshold, or restrict the run to a region.",
        )
    become(needed)


def relabel(labels_out: WritableArray, numbers: Labels, *, plan: BlockPlan) -> None:
    """Replace every label by `numbers[label]` in place, block by block."""

    def work(core: Region) -> None:
        if holds_nothing(labels_out, core):
            return
        block = np.asarray(labels_out[core])
        if block.any():
            labels_out[core] = numbers[block].astype(labels_out.dtype, copy=False)

    plan.run(shape_zyx(labels_out), work, stage="Numbering cells")


def count_labels(labels: LazyArray, n: int, *, plan: BlockPlan) -> PieceStatistics:
    """Sizes, first voxels and border contact of labels 1…n, block by block."""
    shape = shape_zyx(labels)
    total = PieceStatistics.empty(n)

    def work(core: Region) -> tuple[Ids, PieceStatistics] | None:
        if holds_nothing(labels, core):
            return None
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
