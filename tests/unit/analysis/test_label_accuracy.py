"""Scores: by hand where they can be counted, by their definitions elsewhere."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from cellseg_app.analysis.accuracy import (
    adjusted_rand_index,
    centroids,
    compare_labels,
    detection_scores,
)
from cellseg_app.core.errors import InputError
from tests.synthetic_cells import touching_ellipsoids


def bars(*spans: tuple[int, int]) -> npt.NDArray[np.uint32]:
    """A volume of 1 × 1 × 100 with one label per span."""
    volume = np.zeros((1, 1, 100), np.uint32)
    for label, (start, stop) in enumerate(spans, start=1):
        volume[0, 0, start:stop] = label * 10
    return volume


def test_scores_counted_by_hand() -> None:
    true = bars((0, 10), (20, 30), (40, 50), (60, 70))
    # Exact; overlap 8 of 12; split in two halves; missed; one false.
    found = bars((0, 10), (22, 32), (40, 45), (45, 50), (80, 90))
    result = compare_labels(found, true, iou=(0.5, 0.7), min_voxels=1)
    half, strict = result.matches
    assert (half.n_found, half.n_true) == (5, 4)
    assert half.n_matched == 3, "exact, shifted, and one half of the split cell"
    assert strict.n_matched == 1
    assert half.precision == 3 / 5
    assert half.recall == 3 / 4
    assert half.f1 == pytest.approx(6 / 9)
    assert half.average_precision == 3 / 6
    assert half.quality == pytest.approx((1 + 8 / 12 + 0.5) / 3)
    assert result.dice == pytest.approx(2 * (10 + 8 + 10) / (40 + 40))
    assert result.as_dict()["f1@0.5"] == half.f1


def test_matching_pairs_as_many_objects_as_possible() -> None:
    # The first found object fits both true ones, the second only the first: greedy would miss one.
    true, found = bars((0, 30), (30, 50)), bars((10, 50), (0, 10))
    low = compare_labels(found, true, iou=(0.25,), min_voxels=1).matches[0]
    assert low.n_matched == 2


def test_objects_below_fifty_voxels_count_neither_way() -> None:
    true, found = bars((0, 60), (70, 75)), bars((0, 60), (80, 90))
    match = compare_labels(found, true).matches[0]
    assert (match.n_found, match.n_true, match.f1) == (1, 1, 1.0)


def test_nothing_found_where_nothing_is_is_perfect() -> None:
    nothing, one = bars(), bars((0, 60))
    assert compare_labels(nothing, nothing).matches[0].f1 == 1
    assert compare_labels(nothing, nothing).dice == 1
    assert compare_labels(nothing, one).matches[0].f1 == 0
    assert compare_labels(one, nothing).matches[0].recall == 1


def test_volumes_of_different_shape_are_refused() -> None:
    with pytest.raises(InputError, match="shapes"):
        compare_labels(bars(), np.zeros((1, 1, 99), np.uint32))


def test_adjusted_rand_ignores_ids_and_follows_its_definition() -> None:
    rng = np.random.default_rng(0)
    a = touching_ellipsoids((20, 30, 30), 20, radius=(4, 7))
    shuffled = rng.permutation(np.arange(1000, 2000))[a].astype(np.uint32)
    assert adjusted_rand_index(a, shuffled) == pytest.approx(1)
    b = np.where(rng.random(a.shape) < 0.1, rng.integers(0, 5, a.shape), a).astype(np.uint32)
    table = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(table, (a.ravel(), b.ravel()), 1)
    pairs = lambda n: (n * (n - 1) / 2).sum()  # noqa: E731
    rows, columns = pairs(table.sum(1)), pairs(table.sum(0))
    expected = rows * columns / pairs(table.sum())
    truth = (pairs(table) - expected) / ((rows + columns) / 2 - expected)
    assert adjusted_rand_index(a, b) == pytest.approx(truth)
    assert adjusted_rand_index(a, b, foreground_only=True) < truth
    one = np.ones_like(a)
    assert abs(adjusted_rand_index(one, a)) < 1e-12


def test_points_are_matched_one_to_one_within_the_tolerance() -> None:
    true = np.array([[0, 0, 0], [0, 0, 4], [10, 10, 10]])
    found = np.array([[0, 0, 2], [0, 0, 6.5], [10, 10, 10], [30, 30, 30]])
    match = detection_scores(found, true, tolerance=3)
    assert (match.n_matched, match.n_found, match.n_true) == (3, 4, 3)
    assert match.f1 == pytest.approx(6 / 7)
    stretched = detection_scores(found, true, tolerance=3, spacing_um_zyx=(5, 2, 2))
    assert stretched.n_matched == 1, "the voxel size turns 2 and 2.5 voxels into 4 and 5 µm"
    assert detection_scores(found[:0], true, tolerance=3).f1 == 0
    with pytest.raises(InputError, match="coordinates"):
        detection_scores(found[:, :2], true, tolerance=3)


def test_centroids_of_labels() -> None:
    volume = np.zeros((5, 5, 9), np.uint32)
    volume[1:4, 2, 3] = 9
    volume[0, 0, 5:9] = 4
    np.testing.assert_allclose(centroids(volume), [[0, 0, 6.5], [2, 2, 3]])
