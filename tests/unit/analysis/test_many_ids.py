"""Ids beyond 32 bits, with an offset or a limit instead of billions of cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cellseg_app.analysis import numbering, pieces
from cellseg_app.analysis.instances import INSTANCE_METHODS, segment_instances
from cellseg_app.analysis.joining import _Faces, _Seams
from cellseg_app.analysis.mask_edge import cut_by_mask
from cellseg_app.analysis.measure import measure_cells
from cellseg_app.analysis.numbering import id_dtype
from cellseg_app.analysis.pieces import PieceStatistics, unite
from cellseg_app.core.blocks import whole
from cellseg_app.core.errors import SettingsError
from cellseg_app.io.chunked import ChunkedArray
from cellseg_app.io.ome_zarr_write import new_ome_zarr
from cellseg_app.io.open import open_volume
from tests.synthetic_cells import peaked_map, touching_ellipsoids

SHAPE = (40, 48, 56)
OFFSET = 2**33


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return touching_ellipsoids(SHAPE, 60, radius=(4, 7), closeness=0.8)


def test_ids_are_as_wide_as_their_number_asks_for() -> None:
    assert id_dtype(2**32 - 1) == np.uint32
    assert id_dtype(2**32) == np.uint64


@pytest.mark.parametrize("method", INSTANCE_METHODS)
def test_label_arrays_on_disk_become_wider_where_ids_need_it(
    truth: np.ndarray, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probability = peaked_map(truth)

    def labelled(name: str) -> ChunkedArray:
        labels, parts = (
            ChunkedArray.create(tmp_path / f"{name}-{kind}", SHAPE, np.uint32)
            for kind in ("labels", "pieces")
        )
        segment_instances(
            probability,
            labels,
            method=method,
            threshold=0.5,
            block_zyx=(20, 24, 28),
            pieces_out=parts,
        )
        return labels

    narrow = labelled("narrow")
    monkeypatch.setattr(numbering, "_MOST_IN_32_BITS", 5)
    wide = labelled("wide")
    assert (narrow.dtype, wide.dtype) == (np.uint32, np.uint64)
    np.testing.assert_array_equal(wide[whole(SHAPE)], narrow[whole(SHAPE)])
    assert narrow[whole(SHAPE)].max() > 10
    with pytest.raises(SettingsError, match="more than labels of type uint32"):
        segment_instances(probability, np.zeros(SHAPE, np.uint32), method=method, threshold=0.5)


def test_pieces_beyond_32_bits_are_joined_over_faces() -> None:
    def faces(low: list[int], handed_on: list[int]) -> _Faces[None]:
        plane = np.array([low], np.uint32)
        layer = np.array([handed_on], np.uint32)
        return _Faces(3, PieceStatistics.empty(3), (plane, plane, plane), {(1, 0, 0): layer})

    seams = _Seams()
    seams.add((0, 0, 0), faces([0, 0, 0], [1, 0, 3]), OFFSET)
    seams.add((1, 0, 0), faces([2, 2, 3], [0, 0, 0]), OFFSET + 3)
    first, second = seams.links()
    assert first.tolist() == [OFFSET + 1, OFFSET + 3]
    assert second.tolist() == [OFFSET + 5, OFFSET + 6]


def test_only_linked_parts_take_part_in_a_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "_MOST_NODES", 4)
    n, group = unite(9, (np.array([1, 2]), np.array([2, 7])))
    assert n == 7
    assert group[1] == group[2] == group[7]
    assert len(set(group.tolist())) == 7
    with pytest.raises(SettingsError, match="5 parts of cells"):
        unite(9, (np.array([1, 2, 3]), np.array([2, 7, 4])))


def test_cells_with_wide_ids_are_measured_cut_and_written(
    truth: np.ndarray, tmp_path: Path
) -> None:
    narrow = truth.astype(np.uint32)
    wide = np.where(narrow > 0, narrow.astype(np.uint64) + np.uint64(OFFSET), np.uint64(0))
    expected, found = (
        measure_cells(labels, narrow, spacing_um_zyx=(2, 1, 1), block_zyx=(20, 24, 28)).cells
        for labels in (narrow, wide)
    )
    assert found["label"].min() > OFFSET
    found["label"] -= OFFSET
    pd.testing.assert_frame_equal(found, expected)
    mask = np.ones(SHAPE, np.bool_)
    mask[:, :, 28:] = False
    cut = cut_by_mask(np.where(mask, wide, np.uint64(0)), mask)
    assert (cut - OFFSET).tolist() == cut_by_mask(np.where(mask, narrow, 0), mask).tolist()
    with new_ome_zarr(
        tmp_path / "a.zarr", SHAPE, dtype=np.uint64, spacing_um_zyx=(2, 1, 1), kind="labels"
    ) as image:
        image.fill(wide)
    np.testing.assert_array_equal(open_volume(tmp_path / "a.zarr").data[whole(SHAPE)], wide)
