from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellseg_app.inference.resample import ResampledArray, resample, resampled_shape


def _centroid(image: np.ndarray) -> np.ndarray:
    axes = np.indices(image.shape).reshape(3, -1)
    return (axes * image.ravel()).sum(axis=1) / image.sum()


@pytest.mark.parametrize("shape", [(20, 24, 30), (60, 48, 90), (13, 80, 31), (40, 48, 60)])
def test_a_cell_stays_where_it_is(shape: tuple[int, int, int]) -> None:
    z, y, x = np.indices((40, 48, 60))
    cell = np.exp(-(((z - 17) / 4) ** 2 + ((y - 29) / 4) ** 2 + ((x - 22) / 4) ** 2))
    moved = _centroid(resample(cell, shape))
    scale = np.array(cell.shape) / shape
    np.testing.assert_allclose((moved + 0.5) * scale - 0.5, [17, 29, 22], atol=0.02)


def test_there_and_back_keeps_a_smooth_volume() -> None:
    z, y, x = np.indices((30, 30, 30))
    smooth = np.sin(z / 6) + np.cos(y / 7) + x / 30
    back = resample(resample(smooth, (45, 60, 41)), (30, 30, 30))
    assert np.abs(back - smooth)[2:-2, 2:-2, 2:-2].max() < 0.05


def test_coarser_lattice_averages_noise_instead_of_picking_voxels() -> None:
    noise = np.random.default_rng(0).normal(size=(64, 64, 64))
    assert resample(noise, (16, 16, 16)).std() < 0.25


def test_constant_stays_constant_up_to_the_border() -> None:
    np.testing.assert_allclose(resample(np.full((5, 7, 9), 3.0), (11, 4, 23)), 3.0, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    old=st.tuples(*[st.integers(1, 24)] * 3),
    new=st.tuples(*[st.integers(1, 24)] * 3),
    data=st.data(),
)
def test_every_region_equals_the_same_part_of_the_whole(
    old: tuple[int, int, int], new: tuple[int, int, int], data: st.DataObject
) -> None:
    source = np.random.default_rng(1).random(old, dtype=np.float32)
    region = []
    for size in new:
        start = data.draw(st.integers(0, size - 1))
        region.append(slice(start, data.draw(st.integers(start + 1, size))))
    lazy = ResampledArray(source, new)
    np.testing.assert_allclose(lazy[tuple(region)], resample(source, new)[tuple(region)], atol=1e-6)


def test_axes_before_zyx_are_kept() -> None:
    classes = np.random.default_rng(2).random((3, 8, 8, 8), dtype=np.float32)
    shrunk = resample(classes, (4, 4, 4))
    assert shrunk.shape == (3, 4, 4, 4)
    np.testing.assert_allclose(shrunk[1], resample(classes[1], (4, 4, 4)))


def test_shape_of_the_new_lattice_never_vanishes() -> None:
    assert resampled_shape((1, 10, 100), (4.0, 4.0, 0.5)) == (1, 2, 200)
