"""Tables made a range of cells at a time are those made at once, to the last bit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cellseg_app.analysis import block_sums, kept, measure
from cellseg_app.analysis.block_sums import BlockSums
from cellseg_app.analysis.kept import Arrays, KeptBlocks
from cellseg_app.analysis.measure import measure_cells
from cellseg_app.core.results import CellTable
from tests.synthetic_cells import touching_ellipsoids

SHAPE = (60, 70, 80)
BLOCK = (15, 35, 20)


def table_of(on_disk: KeptBlocks | None) -> CellTable:
    """Of many small cells, and one that passes through all layers of blocks."""
    labels = touching_ellipsoids(SHAPE, 300, radius=(2, 5), closeness=0.8).astype(np.uint32)
    labels[:, 34:36, 19:21] = labels.max() + 1
    ids, first, place = np.unique(labels, return_index=True, return_inverse=True)
    in_order = np.zeros(len(ids), np.uint32)
    in_order[1 + np.argsort(first[1:])] = np.arange(1, len(ids))
    labels = in_order[place].reshape(SHAPE)
    image = np.random.default_rng(0).normal(100, 20, SHAPE).astype(np.float32)
    return measure_cells(
        labels, image, image / 200, spacing_um_zyx=(2.0, 0.7, 0.7), block_zyx=BLOCK, kept=on_disk
    )


def in_small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_sums, "_CELLS_AT_ONCE", 16)
    monkeypatch.setattr(block_sums, "_LANDMARK_EVERY", 4)
    monkeypatch.setattr(measure, "_ROWS_AT_ONCE", 5)


@pytest.mark.parametrize("most_held", [0, 1_000_000])
@pytest.mark.parametrize("on_disk", [False, True])
def test_ranges_of_cells_make_the_same_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, on_disk: bool, most_held: int
) -> None:
    at_once = table_of(None)
    assert len(list(at_once.parts())) == 1
    in_small_ranges(monkeypatch)
    monkeypatch.setattr(block_sums, "_MOST_HELD_CELLS", most_held)
    table = table_of(KeptBlocks(tmp_path) if on_disk else None)
    parts = list(table.parts())
    assert len(parts) > 50
    assert max(map(len, parts)) == 5
    pd.testing.assert_frame_equal(
        pd.concat(parts, ignore_index=True), at_once.cells, check_exact=True
    )
    pd.testing.assert_frame_equal(table.cells, at_once.cells, check_exact=True)
    assert table.summary == at_once.summary
    assert table.summary["n_objects"] == len(at_once.cells)


def test_few_cells_are_joined_at_once_and_blocks_are_read_about_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_small_ranges(monkeypatch)
    table = table_of(KeptBlocks(tmp_path))
    n_blocks = len(list(tmp_path.rglob("*.npz")))
    assert n_blocks == 4 * 2 * 4
    reads, joins = [], []
    read, join = kept._read, block_sums._joined

    def read_and_note(path: Path) -> Arrays | None:
        reads.append(path)
        return read(path)

    def join_and_note(parts: Sequence[BlockSums]) -> BlockSums:
        joins.append(sum(map(len, parts)))
        return join(parts)

    monkeypatch.setattr(kept, "_read", read_and_note)
    monkeypatch.setattr(block_sums, "_joined", join_and_note)
    rows = sum(map(len, table.parts()))
    assert rows == table.summary["n_objects"]
    # A range has the parts of 16 cells, and in each block of a layer some more up to a landmark.
    assert max(joins) <= 16 + 8 * 4 + n_blocks
    assert sum(joins) > rows
    # Once where the cell that passes through all of them begins, once where the others do.
    assert len(reads) <= 2 * n_blocks + 8
    at_first = len(reads)
    assert sum(map(len, table.parts())) == rows
    assert len(reads) == 2 * at_first


def test_a_volume_without_cells_has_one_part_with_all_columns(tmp_path: Path) -> None:
    nothing = np.zeros((4, 5, 6), np.uint32)
    some = np.ones((4, 5, 6), np.uint32)
    image = np.ones((4, 5, 6), np.float32)
    (part,) = measure_cells(nothing, image, image, kept=KeptBlocks(tmp_path)).parts()
    assert part.empty
    assert list(part) == list(measure_cells(some, image, image).cells)
