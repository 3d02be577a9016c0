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
from cellseg_app.analysis.moments import Integers
from cellseg_app.analysis.pair_keys import pair_keys
from cellseg_app.analysis.pieces import AT_ONCE, refuse_too_many

# Passes looked at as Python's own numbers, which take ten times the memory.
_PASSES_AT_ONCE = 2**16


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
    """Basins 1…n, numbered as the wholes of `join_pieces` are.

    Attributes
    ----------
    n
        Number of basins.
    peak
        Height of each basin's peak; index 0 unused.
    passes
        Those that may lie on the maximum spanning forest, highest first, equal ones by the first
        voxels of the basins: those of the earlier one, then those of the other.
    """

    n: int
    peak: Floats
    passes: Passes


def build_graph(joined: JoinedPieces[Found]) -> BasinGraph:
    """The graph of all basins; the order of its passes does not depend on the blocks.

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
    n, first_voxel = joined.n_groups, joined.statistics.first
    refuse_too_many(n)
    peak = np.full(n + 1, -np.inf, np.float32)
    none = np.zeros(0, np.uint32)
    forests = [Passes(none, none, np.zeros(0, np.float32))]
    while joined.extras:
        offset, read = joined.extras.pop()
        found = read()
        own = joined.group[offset : offset + len(found.peak)]
        np.maximum.at(peak, own[1:], found.peak[1:])
        forests.append(_forest(own, found.passes, first_voxel))
    return BasinGraph(n, peak, _highest_first(_all_of(forests), first_voxel))


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


def shallow_passes(passes: Passes, peak: Floats, depth: float) -> Passes:
    """Those of a block's passes that may make two basins one in `merge_shallow`.

    Wholes are never lower than their basins: a pass too low for these is too low for those.
    """
    low = np.minimum(peak[passes.first], peak[passes.second]).astype(np.float64)
    # Of a peak in another block nothing is known.
    known = np.isfinite(low)
    low[~known] = 0
    some = ~known | (passes.height >= (1.0 - depth) * low)
    return Passes(passes.first[some], passes.second[some], passes.height[some])


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

    It must not take back a refusal at a lower pass between wholes that have only grown: then
    passes off the spanning forest change nothing (Kruskal 1956), for two wholes that a way over
    higher passes connects were kept apart at one of them already.
    """
    whole = _numbers("i", np.arange(graph.n + 1, dtype=np.int32))
    passes = graph.passes
    for start in range(0, len(passes.height), _PASSES_AT_ONCE):
        part = slice(start, start + _PASSES_AT_ONCE)
        ends = (passes.first[part].tolist(), passes.second[part].tolist())
        for a, b, height in zip(*ends, passes.height[part].tolist(), strict=True):
            root_a, root_b = _root(whole, a), _root(whole, b)
            if root_a != root_b and meet(root_a, root_b, height):
                whole[max(root_a, root_b)] = min(root_a, root_b)
    pointer: Ids = np.frombuffer(whole, np.int32)
    # Pointers lead to smaller ids: what a part points to beyond itself has arrived.
    for start in range(0, len(pointer), AT_ONCE):
        own = pointer[start : start + AT_ONCE]
        while not np.array_equal(further := pointer[own], own):
            own[:] = further
    return pointer


def _root(parent: array[int], node: int) -> int:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


def _numbers(typecode: str, values: npt.NDArray[Any]) -> array[Any]:
    """Numbers that Python changes one by one, in the memory that NumPy would take."""
    made = array(typecode)
    made.frombytes(values.tobytes())
    return made


def _forest(basin_of_piece: Ids, passes: Passes, first_voxel: Integers) -> Passes:
    """Those of a block's passes that may lie on the tree of the whole volume, between basins.

    The lowest pass of a circle is on no such tree, and a circle within a block is one of the whole.
    """
    a, b = basin_of_piece[passes.first], basin_of_piece[passes.second]
    apart = a != b
    a, b = a[apart], b[apart]
    earlier = first_voxel[a] < first_voxel[b]
    keys = pair_keys(np.where(earlier, a, b), np.where(earlier, b, a))
    whole = _highest_first(highest_passes(keys, passes.height[apart]), first_voxel)
    n = len(whole.height)
    basins, places = np.unique(np.concatenate([whole.first, whole.second]), return_inverse=True)
    ends = places.astype(np.uint32)
    return _spanning_tree(len(basins), Passes(ends[:n], ends[n:], whole.height), whole)


def _all_of(parts: list[Passes]) -> Passes:
    """One after the other; the list is emptied, so that none is there twice."""
    first, second, height = zip(*((p.first, p.second, p.height) for p in parts), strict=True)
    parts.clear()
    return Passes(np.concatenate(first), np.concatenate(second), np.concatenate(height))


def _highest_first(passes: Passes, first_voxel: Integers) -> Passes:
    """Passes in order; `first` of each must be the basin whose first voxel comes first."""
    by = (first_voxel[passes.second], first_voxel[passes.first], -passes.height)
    order = np.lexsort(by)
    return Passes(passes.first[order], passes.second[order], passes.height[order])


def _spanning_tree(n: int, places: Passes, passes: Passes) -> Passes:
    """Those of ordered passes that are on the maximum spanning forest; earlier ones go first."""
    # Ranks instead of heights: all different, so that there is only one tree, and never 0, which a
    # sparse graph would read as no edge.
    rank = np.arange(1, len(passes.height) + 1, dtype=np.float64)
    graph = coo_array((rank, (places.first, places.second)), shape=(n, n)).tocsr()
    chosen = np.sort(minimum_spanning_tree(graph, overwrite=True).tocoo().data.astype(np.intp)) - 1
    return Passes(passes.first[chosen], passes.second[chosen], passes.height[chosen])
