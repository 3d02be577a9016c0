"""Numbers of objects and what is known of them, with few ids at a time instead of millions."""

from __future__ import annotations

import numpy as np
import pytest

from cellseg_app.analysis import numbering, pieces
from cellseg_app.analysis.instances import cell_peaks
from cellseg_app.analysis.numbering import kept_objects, raster_numbers
from cellseg_app.analysis.pieces import PieceStatistics

N = 5_000


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (numbering, pieces, cell_peaks):
        monkeypatch.setattr(module, "AT_ONCE", 256)


def objects(rng: np.random.Generator) -> PieceStatistics:
    made = PieceStatistics.empty(N)
    some = 1 + rng.permutation(N)[: N - 700]
    made.count[some] = rng.integers(1, 400, len(some))
    made.first[some] = rng.permutation(N * 9)[: len(some)]
    made.border[some] = rng.random(len(some)) < 0.1
    return made


def test_numbers_follow_the_first_voxels_of_those_that_stay() -> None:
    statistics = objects(np.random.default_rng(0))
    keep = kept_objects(statistics, min_size_voxels=50, min_uncut_voxels=120)
    n, numbers = raster_numbers(statistics, keep)
    ids = np.flatnonzero(numbers)
    assert np.array_equal(ids, np.flatnonzero(keep))
    assert np.array_equal(np.sort(numbers[ids]), np.arange(1, n + 1))
    assert (np.diff(statistics.first[ids[np.argsort(numbers[ids])]]) > 0).all()


def test_the_border_of_the_volume_lets_cells_be_half_as_large() -> None:
    sizes, border = np.array([0, 29, 30, 59, 60, 30]), np.array([0, 1, 1, 0, 0, 0], np.bool_)
    statistics = PieceStatistics(sizes, np.arange(6), border)
    keep = kept_objects(statistics, min_size_voxels=1, min_uncut_voxels=60)
    assert keep.tolist() == [False, False, True, False, True, False]


def test_what_leads_to_another_is_counted_there() -> None:
    rng = np.random.default_rng(1)
    led, before = objects(rng), objects(np.random.default_rng(1))
    to = np.arange(N + 1)
    leaving = 1 + rng.permutation(N)[: N // 2]
    stay = np.setdiff1d(to[1:], leaving)
    to[leaving] = rng.choice(stay[:40], len(leaving))
    led.lead(to)
    expected = before.by_group(to, N)
    assert led.count.sum() == before.count.sum() > 0
    for name in ("count", "first", "border"):
        np.testing.assert_array_equal(getattr(led, name), getattr(expected, name))


def test_the_believable_size_is_a_fortieth_of_the_cell_of_the_median_voxel() -> None:
    statistics = objects(np.random.default_rng(2))
    np.multiply(statistics.count, 20, out=statistics.count)
    sizes = np.sort(statistics.count)
    typical = np.repeat(sizes, sizes)[(sizes.sum() - 1) // 2]
    assert cell_peaks.smallest_believable(statistics) == round(typical / 40)
