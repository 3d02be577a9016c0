"""Cells that are two: where they are divided."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from cellseg_app.analysis.splitting import divide, find_seeds

Spacing = tuple[float, float, float]
SPACINGS = [(1.0, 1.0, 1.0), (3.0, 1.0, 1.0), (2.5, 0.8, 0.8)]


def ellipsoid(centre_um: Spacing, half_um: Spacing, spacing: Spacing) -> npt.NDArray[np.bool_]:
    """An ellipsoid in a volume of 60 µm."""
    axes = [np.arange(int(60 / step)) * step for step in spacing]
    grid = np.meshgrid(*axes, indexing="ij")
    far = sum(((g - c) / h) ** 2 for g, c, h in zip(grid, centre_um, half_um, strict=True))
    return np.asarray(far <= 1)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("other", [(30.0, 29.0, 37.0), (42.0, 25.0, 25.0)])
def test_two_touching_ellipsoids_are_divided_at_their_neck(
    spacing: Spacing, other: Spacing
) -> None:
    first = ellipsoid((28.0, 25.0, 22.0), (9.0, 9.0, 9.0), spacing)
    second = ellipsoid(other, (7.0, 9.0, 8.0), spacing)
    cell = first | second
    seeds = find_seeds(cell, spacing)
    assert seeds is not None
    parts = divide(cell, seeds, spacing)
    for alone in (first & ~second, second & ~first):
        found = np.bincount(parts[alone], minlength=3)
        assert found.max() > 0.98 * found.sum()
    assert parts[first & ~second][0] != parts[second & ~first][0]


@pytest.mark.parametrize("spacing", SPACINGS)
def test_a_cell_without_a_neck_is_halved_across_its_longest_axis(spacing: Spacing) -> None:
    cell = ellipsoid((30.0, 30.0, 30.0), (6.0, 6.0, 14.0), spacing)
    seeds = find_seeds(cell, spacing)
    assert seeds is not None
    parts = divide(cell, seeds, spacing)
    sizes = np.bincount(parts[cell])[1:]
    assert sizes.min() > 0.4 * sizes.sum()
    middles = [np.argwhere(parts == k).mean(axis=0) * spacing for k in (1, 2)]
    way = np.abs(middles[1] - middles[0])
    assert way[2] > 5 * max(way[0], way[1])


def test_parts_of_a_cell_in_two_pieces_are_its_pieces() -> None:
    cell = np.zeros((5, 8, 30), bool)
    cell[1:4, 2:6, 2:8] = cell[1:4, 2:6, 20:28] = True
    seeds = find_seeds(cell, (1.0, 1.0, 1.0))
    assert seeds is not None
    parts = divide(cell, seeds, (1.0, 1.0, 1.0))
    assert len(np.unique(parts[:, :, :10])) == len(np.unique(parts[:, :, 15:])) == 2
    assert set(np.unique(parts)) == {0, 1, 2}


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(2, 5),
    spacing=st.tuples(*[st.floats(0.2, 4)] * 3),
)
def test_whatever_its_shape_no_part_is_empty_and_it_is_always_the_same(
    seed: int, n: int, spacing: Spacing
) -> None:
    noise = np.random.default_rng(seed).normal(size=(6, 11, 12))
    cell = ndimage.gaussian_filter(noise, 1.2) > 0.1
    seeds = find_seeds(cell, spacing, n)
    if seeds is None:
        assert np.count_nonzero(cell) < n
        return
    parts = divide(cell, seeds, spacing)
    assert set(np.unique(parts[cell])) == set(range(1, n + 1))
    assert not parts[~cell].any()
    assert find_seeds(cell, spacing, n) == seeds
    np.testing.assert_array_equal(divide(cell, seeds, spacing), parts)
