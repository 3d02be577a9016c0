from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data.utils import dense_patch_slices
from monai.inferers.utils import _get_scan_interval

from cellseg_app.inference.windows import (
    first_layer_of_slab,
    read_reflected,
    slab_bounds,
    window_grid,
)

shapes = st.tuples(*[st.integers(1, 97)] * 3)


@settings(max_examples=60, deadline=None)
@given(
    shape=shapes,
    window=st.sampled_from([8, 16, 24, "whole"]),
    overlap=st.sampled_from([0.0, 0.25, 0.5, 0.9]),
    margin=st.sampled_from([0, 3]),
)
def test_every_voxel_is_covered_and_weighted_once(
    shape: tuple[int, int, int], window: int, overlap: float, margin: int
) -> None:
    grid = window_grid(shape, window, overlap, divisor=8, margin=margin)
    for axis in grid.axes:
        assert axis.window % 8 == 0
        total = np.zeros(axis.size + 4 * axis.window)
        for start, weights in zip(axis.starts, axis.weights, strict=True):
            begin = start + 2 * axis.window
            total[begin : begin + axis.window] += weights
        covered = total[2 * axis.window : 2 * axis.window + axis.size]
        np.testing.assert_allclose(covered, 1.0, rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(shape=shapes, overlap=st.sampled_from([0.0, 0.25, 0.5]))
def test_without_margin_the_windows_are_those_of_monai(
    shape: tuple[int, int, int], overlap: float
) -> None:
    padded = tuple(max(size, 16) for size in shape)
    grid = window_grid(shape, 16, overlap)
    interval = _get_scan_interval(padded, (16, 16, 16), 3, (overlap,) * 3)
    assert grid.n_windows == len(dense_patch_slices(padded, (16, 16, 16), interval))


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    starts=st.tuples(*[st.integers(-30, 9)] * 3),
    length=st.tuples(*[st.integers(1, 40)] * 3),
)
def test_reading_beyond_the_border_mirrors_the_volume(
    shape: tuple[int, int, int], starts: tuple[int, int, int], length: tuple[int, int, int]
) -> None:
    volume = np.random.default_rng(0).integers(0, 1000, shape)
    pad = 80
    mirrored = np.pad(volume, pad, mode="symmetric")
    box = tuple(slice(pad + s, pad + s + n) for s, n in zip(starts, length, strict=True))
    np.testing.assert_array_equal(read_reflected(volume, starts, length), mirrored[box])


@pytest.mark.parametrize("depth", [1, 7, 16, 17, 63, 64, 65, 200])
@pytest.mark.parametrize("margin", [0, 4])
def test_slabs_tile_the_depth_and_need_only_layers_up_to_their_own(depth: int, margin: int) -> None:
    grid = window_grid((depth, 20, 20), 16, 0.5, margin=margin)
    bounds = slab_bounds(grid)
    assert bounds[0][0] == 0
    assert bounds[-1][1] == depth
    assert all(a[1] == b[0] for a, b in itertools.pairwise(bounds))
    z_axis = grid.axes[0]
    for slab, (begin, end) in enumerate(bounds):
        reaching = [
            i
            for i, start in enumerate(z_axis.starts)
            if start < end and start + z_axis.window > begin
        ]
        if end > begin:
            assert max(reaching) <= slab
            assert first_layer_of_slab(grid, slab) == min(reaching)
