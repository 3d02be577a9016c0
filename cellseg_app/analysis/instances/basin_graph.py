"""Basins of a whole volume as a graph, and which of them are one cell.

Merging along the highest passes first is flooding: the maximum spanning tree of the graph holds
every pass at which two floods can meet (Beucher and Meyer 1993; Najman and Schmitt 1996 for
dynamics and saddles), so that only its edges need to be looked at.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree

from cellseg_app.analysis.blockwise import Floats, Ids
from cellseg_app.analysis.instances.basins import Passes, highest_passes
from cellseg_app.analysis.joining import JoinedPieces
from cellseg_app.analysis.pair_keys import pair_keys, pairs_of
from cellseg_app.analysis.pieces import PieceStatistics, refuse_too_many

# Passes looked at as Python's own numbers, which take ten times the memory.
_AT_ONCE = 2**16


class OfBasins(Protocol):
    """What a block tells of its basins.

    Attributes
    ----------
    peak
        Their heights; index 0 unused, −inf if the peak lies elsewhere.
    passes
        Between them.
    """

    @property
    def peak(self) -> Floats: ...
    @property
    def passes(self) -> Passes: ...


Found = TypeVar("Found", bound=OfBasins)


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
    keys, heights
        The passes that may lie on the maximum spanning forest, highest first, equal ones by keys:
        those of the lower basin's id and the other's.
    statistics
        Of the basins.
    """

    basin_of_piece: Ids
    n: int
    peak: Floats
    keys: npt.NDArray[np.uint64]
    heights: Floats
    statistics: PieceStatistics


def build_graph(joined: JoinedPieces[Found]) -> BasinGraph:
    """The graph of all basins; its numbering does not depend on the blocks.

    Parameters
    ----------
    joined
        United pieces, and what every block tells of its own; that is taken away, for it may need
        more memory than the graph.

    Raises
    ------
    SettingsError
        There are more basins than a graph can hold.
    """
    n = joined.n_groups
    refuse_too_many(n)
    rank = np.zeros(n + 1, np.int32)
    rank[np.argsort(joined.statistics.first[1:]) + 1] = np.arange(1, n + 1, dtype=np.int32)
    basin_of_piece = rank[joined.group]
    peak = np.full(n + 1, -np.inf, np.float32)
    keys, heights = [np.zeros(0, np.uint64)], [np.zeros(0, np.float32)]
    while joined.extras:
        offset, read = joined.extras.pop()
        found = read()
        own = basin_of_piece[offset : offset + len(found.peak)]
        np.maximum.at(peak, own[1:], found.peak[1:])
        forest = _forest(own, found.passes)
        keys.append(pair_keys(forest.first, forest.second))
        heights.append(forest.height)
    ordered = _highest_first(keys, heights)
    return BasinGraph(basin_of_piece, n, peak, *ordered, joined.statistics.by_group(rank, n))


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
    owner = _numbers("i", seed.astype(np.int32))

    def meet(a: int, b: int, _height: float) -> bool:
        if owner[a] and owner[b]:
            return False
        owner[a] = owner[b] = owner[a] or owner[b]
        return True

    root = _merge(graph, meet)
    return np.frombuffer(owner, np.int32)[root]


def merge_shallow(graph: BasinGraph, depth: float) -> Ids:
    """Whole of each basin after merging those the pass hardly parts, as the root basin's id.

    Two wholes stay apart only if the pass between them lies lower than (1 − `depth`) of the lower
    peak: h-maxima on the logarithm of the landscape, blind to the size and brightness of cells.
    """
    peak = _numbers("f", graph.peak)
    keep = 1.0 - depth

    def meet(a: int, b: int, height: float) -> bool:
        low = min(peak[a], peak[b])
        if height < keep * low:
            return False
        peak[a] = peak[b] = max(peak[a], peak[b])
        return True

    return _merge(graph, meet)


def _merge(graph: BasinGraph, meet: Callable[[int, int, float], bool]) -> Ids:
    """Lead wholes together at the passes, highest first; `meet` says whether they become one.

    Only passes of the maximum spanning forest are asked for: those between basins that no way over
    higher ones connects (Kruskal 1956).
    """
    whole, connected = (_numbers("i", np.arange(graph.n + 1, dtype=np.int32)) for _ in range(2))
    for start in range(0, len(graph.keys), _AT_ONCE):
        keys = graph.keys[start : start + _AT_ONCE]
        low, high = pairs_of(keys)
        heights = graph.heights[start : start + _AT_ONCE]
        for a, b, height in zip(low.tolist(), high.tolist(), heights.tolist(), strict=True):
            if not _unite(connected, _root(connected, a), _root(connected, b)):
                continue
            root_a, root_b = _root(whole, a), _root(whole, b)
            if meet(root_a, root_b, height):
                _unite(whole, root_a, root_b)
    pointer: Ids = np.frombuffer(whole, np.int32)
    while True:
        further = pointer[pointer]
        if np.array_equal(further, pointer):
            return further
        pointer = further


def _root(parent: array[int], node: int) -> int:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


def _unite(parent: array[int], root_a: int, root_b: int) -> bool:
    """Make two trees one, if they are two."""
    if root_a == root_b:
        return False
    parent[max(root_a, root_b)] = min(root_a, root_b)
    return True


def _numbers(typecode: str, values: npt.NDArray[Any]) -> array[Any]:
    """Numbers that Python changes one by one, in the memory that NumPy would take."""
    made = array(typecode)
    made.frombytes(values.tobytes())
    return made


def _forest(basin_of_piece: Ids, passes: Passes) -> Passes:
    """Those of a block's passes that may lie on the tree of the whole volume, between basins.

    The lowest pass of a circle is on no such tree, and a circle within a block is one of the whole.
    """
    a, b = basin_of_piece[passes.first], basin_of_piece[passes.second]
    apart = a != b
    a, b = a[apart], b[apart]
    whole = highest_passes(pair_keys(np.minimum(a, b), np.maximum(a, b)), passes.height[apart])
    n = len(whole.height)
    basins, places = np.unique(np.concatenate([whole.first, whole.second]), return_inverse=True)
    ends = places.astype(np.uint32)
    tree = _spanning_tree(len(basins), Passes(ends[:n], ends[n:], whole.height))
    return Passes(basins[tree.first], basins[tree.second], tree.height)


def _highest_first(
    keys: list[npt.NDArray[np.uint64]], heights: list[Floats]
) -> tuple[npt.NDArray[np.uint64], Floats]:
    """All passes in order; the lists are emptied, so that none is there twice."""
    all_keys, all_heights = np.concatenate(keys), np.concatenate(heights)
    keys.clear()
    heights.clear()
    order = np.lexsort((all_keys, -all_heights))
    return all_keys[order], all_heights[order]


def _spanning_tree(n: int, passes: Passes) -> Passes:
    """Passes of the maximum spanning forest, highest first, equal ones by their basins' ids."""
    order = np.argsort(-passes.height, kind="stable")
    # Ranks instead of heights: all different, so that there is only one tree, and never 0, which a
    # sparse graph would read as no edge.
    rank = np.arange(1, len(order) + 1, dtype=np.float64)
    graph = coo_array(
        (rank, (passes.first[order], passes.second[order])), shape=(n + 1, n + 1)
    ).tocsr()
    kept = np.sort(minimum_spanning_tree(graph, overwrite=True).tocoo().data.astype(np.intp)) - 1
    chosen = order[kept]
    return Passes(passes.first[chosen], passes.second[chosen], passes.height[chosen])
