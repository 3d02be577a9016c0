"""The graph of a large volume's basins: what it finds, and what a basin costs."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass
from functools import partial

import numpy as np

from cellseg_app.analysis.blockwise import Floats
from cellseg_app.analysis.instances.basin_graph import build_graph, merge_shallow
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
