"""Basins of a whole volume as a graph, and which of them are one cell.

Merging along the highest passes first is flooding: the maximum spanning tree of the graph holds
every pass at which two floods can meet (Beucher and Meyer 1993; Najman and Schmitt 1996 for
dynamics and saddles), so that only its edges need to be looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree

from cellseg_app.analysis.blockwise import Floats, Ids
from cellseg_app.analysis.instances.basins import Passes, highest_passes
from cellseg_app.analysis.joining import JoinedPieces
from cellseg_app.analysis.pieces import PieceStatistics, refuse_too_many


@dataclass(frozen=True, slots=True)
class BasinGraph:
    """Basins 1…n in the raster order of their first voxels.

    Attributes
    ----------
    basin_of_piece
        Basin of every piece in the label array.
    n
        Number of basins.
    peak
        Height of each basin's peak; index 0 unused.
    tree
        The passes of the maximum spanning forest, highest first.
    statistics
        Of the basins.
    """

    basin_of_piece: Ids
    n: int
    peak: Floats
    tree: Passes
    statistics: PieceStatistics


def build_graph(
    joined: JoinedPieces[Any], peaks: Sequence[tuple[int, Floats]], passes: Sequence[Passes]
) -> BasinGraph:
    """The graph of all basins; its numbering does not depend on the blocks.

    Parameters
    ----------
    joined
        United pieces.
    peaks
        Per block, what to add to its ids, and peak heights (index 0 unused, −inf if elsewhere).
    passes
        Per block, with the offset added.

    Raises
    ------
    SettingsError
        There are more basins than a graph can hold.
    """
    n = joined.n_groups
    refuse_too_many(n)
    rank = np.zeros(n + 1, np.intp)
    rank[np.argsort(joined.statistics.first[1:]) + 1] = np.arange(1, n + 1)
    basin_of_piece = rank[joined.group]
    peak = np.full(n + 1, -np.inf, np.float32)
    for offset, heights in peaks:
        np.maximum.at(peak, basin_of_piece[offset + 1 : offset + len(heights)], heights[1:])
    tree = _spanning_tree(n, _whole_passes(basin_of_piece, passes))
    return BasinGraph(basin_of_piece, n, peak, tree, joined.statistics.by_group(rank, n))


def merge_from_seeds(graph: BasinGraph, seed: Ids) -> Ids:
    """Seed whose flood takes each basin: the seeded watershed.

    Parameters
    ----------
    graph
        The basins.
    seed
        For every basin 0…n the seed within it, 0 for none.

    Returns
    -------
    Seed of each basin, 0 where no flood arrives.
    """
    owner = seed.tolist()

    def meet(a: int, b: int, _height: float) -> bool:
        if owner[a] and owner[b]:
            return False
        owner[a] = owner[b] = owner[a] or owner[b]
        return True

    root = _merge(graph, meet)
    return np.asarray(owner, np.intp)[root]


def merge_shallow(graph: BasinGraph, depth: float) -> Ids:
    """Whole of each basin after merging those the pass hardly parts, as the root basin's id.

    Two wholes stay apart only if the pass between them lies lower than (1 − `depth`) of the lower
    peak: h-maxima on the logarithm of the landscape, blind to the size and brightness of cells.
    """
    peak = graph.peak.tolist()
    keep = 1.0 - depth

    def meet(a: int, b: int, height: float) -> bool:
        low = min(peak[a], peak[b])
        if height < keep * low:
            return False
        peak[a] = peak[b] = max(peak[a], peak[b])
        return True

    return _merge(graph, meet)


def _merge(graph: BasinGraph, meet: Callable[[int, int, float], bool]) -> Ids:
    """Lead wholes together at the passes, highest first; `meet` says whether they become one."""
    parent = list(range(graph.n + 1))

    def find(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    tree = graph.tree
    for a, b, height in zip(
        tree.first.tolist(), tree.second.tolist(), tree.height.tolist(), strict=True
    ):
        root_a, root_b = find(a), find(b)
        if root_a != root_b and meet(root_a, root_b, height):
            parent[max(root_a, root_b)] = min(root_a, root_b)
    pointer = np.asarray(parent, np.intp)
    while True:
        further = pointer[pointer]
        if np.array_equal(further, pointer):
            return pointer
        pointer = further


def _whole_passes(basin_of_piece: Ids, passes: Sequence[Passes]) -> Passes:
    if not passes:
        return highest_passes(np.zeros(0, np.uint64), np.zeros(0, np.float32))
    a = basin_of_piece[np.concatenate([p.first for p in passes])]
    b = basin_of_piece[np.concatenate([p.second for p in passes])]
    height = np.concatenate([p.height for p in passes])
    apart = a != b
    a, b, height = a[apart], b[apart], height[apart]
    low, high = np.minimum(a, b).astype(np.uint64), np.maximum(a, b).astype(np.uint64)
    return highest_passes(low << np.uint64(32) | high, height)


def _spanning_tree(n: int, passes: Passes) -> Passes:
    """Passes of the maximum spanning forest, highest first, equal ones by their basins' ids."""
    order = np.argsort(-passes.height, kind="stable")
    # Ranks instead of heights: all different, so that there is only one tree, and never 0, which a
    # sparse graph would read as no edge.
    rank = np.arange(1, len(order) + 1, dtype=np.float64)
    graph = coo_array(
        (rank, (passes.first[order], passes.second[order])), shape=(n + 1, n + 1)
    ).tocsr()
    kept = np.sort(minimum_spanning_tree(graph).tocoo().data.astype(np.intp)) - 1
    chosen = order[kept]
    return Passes(passes.first[chosen], passes.second[chosen], passes.height[chosen])
