"""The graph of a large volume's basins: what it finds, and what a basin costs."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest

from cellseg_app.analysis.blockwise import Floats
from cellseg_app.analysis.instances.basin_graph import (
    build_graph,
    merge_shallow,
    shallow_passes,
)
from cellseg_app.analysis.instances.basins import Passes
from cellseg_app.analysis.joining import JoinedPieces
from cellseg_app.analysis.pieces import PieceStatistics

PER_BLOCK = 5_000
NEAR = (1, 17, 290)


@dataclass(frozen=True)
class Found:
    """Basins of one block."""

    peak: Floats
    passes: Passes


def many_basins(n_blocks: int, rng: np.random.Generator) -> JoinedPieces[Found]:
    """Whole basins; every one has passes to those 1, 17 and 290 before it in its block."""
    n = n_blocks * PER_BLOCK
    # Few different heights: most passes have as high ones beside them.
    heights = rng.integers(1, 9, (n_blocks, len(NEAR), PER_BLOCK)).astype(np.float32) / 10
    extras = []
    for block in range(n_blocks):
        first = [np.arange(1, PER_BLOCK + 1 - step, dtype=np.uint32) for step in NEAR]
        second = [ids + np.uint32(step) for ids, step in zip(first, NEAR, strict=True)]
        height = [heights[block, k, : len(ids)] for k, ids in enumerate(first)]
        passes = Passes(np.concatenate(first), np.concatenate(second), np.concatenate(height))
        peak = np.r_[-np.inf, rng.random(PER_BLOCK) / 2 + 0.5].astype(np.float32)
        extras.append((block * PER_BLOCK, partial(Found, peak, passes)))
    statistics = PieceStatistics.empty(n)
    statistics.first[1:] = rng.permutation(n)
    return JoinedPieces(np.arange(n + 1, dtype=np.int32), n, statistics, extras)


def test_a_basin_costs_little_memory() -> None:
    joined = many_basins(40, np.random.default_rng(0))
    tracemalloc.start()
    try:
        cells = merge_shallow(build_graph(joined), 0.25)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 1_000 < len(np.unique(cells)) < len(cells) / 2
    assert peak_bytes < 130 * joined.n_groups


@pytest.mark.parametrize("depth", [0.0, 0.3, 1.0])
def test_cells_are_those_of_flooding_over_all_passes(depth: float) -> None:
    joined = many_basins(1, np.random.default_rng(2))
    found = joined.extras[0][1]()
    expected = flooded(found, joined.statistics.first, depth)
    few = Found(found.peak, shallow_passes(found.passes, found.peak, depth))
    np.testing.assert_array_equal(
        merge_shallow(build_graph(replace(joined, extras=[(0, lambda: few)])), depth), expected
    )
    np.testing.assert_array_equal(merge_shallow(build_graph(joined), depth), expected)


def flooded(found: Found, first_voxel: np.ndarray, depth: float) -> np.ndarray:
    """Smallest basin of every basin's cell; asks only at passes where two floods meet first."""
    peak = found.peak.astype(float)
    cell, flood = np.arange(len(peak)), np.arange(len(peak))
    voxels = [np.sort(first_voxel[[a, b]]) for a, b in ends_of(found.passes)]
    low, high = np.transpose(voxels)
    order = np.lexsort((high, low, -found.passes.height))
    for a, b, height in zip(
        *np.transpose(ends_of(found.passes))[:, order], found.passes.height[order], strict=True
    ):
        if flood[a] == flood[b]:
            continue
        flood[flood == flood[b]] = flood[a]
        a, b = sorted((cell[a], cell[b]))
        if float(height) >= (1 - depth) * min(peak[a], peak[b]):
            peak[a] = max(peak[a], peak[b])
            cell[cell == b] = a
    return cell


def ends_of(passes: Passes) -> np.ndarray:
    return np.stack([passes.first, passes.second], axis=1).astype(np.intp)


def test_nothing_is_said_about_passes_to_peaks_in_other_blocks() -> None:
    peak = np.array([-np.inf, 0.9, -np.inf, 0.8], np.float32)
    ends = np.array([1, 1, 2], np.uint32), np.array([2, 3, 3], np.uint32)
    passes = Passes(*ends, np.full(3, 0.1, np.float32))
    assert shallow_passes(passes, peak, 0.25).second.tolist() == [2, 3]


def test_the_passes_of_a_block_alone_lead_to_the_same_cells_as_all_at_once() -> None:
    parted = many_basins(3, np.random.default_rng(1))
    blocks = [(offset, read()) for offset, read in parted.extras]
    ends = [
        np.concatenate([getattr(found.passes, side) + offset for offset, found in blocks])
        for side in ("first", "second")
    ]
    heights = np.concatenate([found.passes.height for _, found in blocks])
    peak = np.concatenate([[-np.inf], *(found.peak[1:] for _, found in blocks)])
    at_once = Found(peak.astype(np.float32), Passes(ends[0], ends[1], heights))
    whole = JoinedPieces(parted.group, parted.n_groups, parted.statistics, [(0, lambda: at_once)])
    found, expected = (merge_shallow(build_graph(joined), 0.4) for joined in (parted, whole))
    np.testing.assert_array_equal(found, expected)
