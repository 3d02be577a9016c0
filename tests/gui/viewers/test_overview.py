"""Lower resolution for 3D and for a first look, and the contrast chosen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cellseg_app.state.display import Layer, LayerLook, ViewState
from cellseg_app.state.slicing import Plane, Viewport, resolve_slice
from cellseg_app.viewers.overview import (
    build_overview,
    choose_step,
    coarse_slice,
    glance,
    statistics,
)

MIB = 1024**2


@pytest.mark.parametrize(
    ("shape", "scale", "expected"),
    [
        ((500, 2048, 2048), (1.0, 1.0, 1.0), (2, 4, 4)),
        ((500, 2048, 2048), (4.0, 1.0, 1.0), (1, 8, 4)),
        ((100, 200, 300), (1.0, 1.0, 1.0), (1, 1, 1)),
        ((4, 5000, 100), (1.0, 1.0, 1.0), (1, 4, 1)),
    ],
)
def test_the_finest_axes_are_thinned_out_first(
    shape: tuple[int, int, int], scale: tuple[float, float, float], expected: tuple[int, int, int]
) -> None:
    step = choose_step(shape, 2, scale_zyx=scale, n_bytes=128 * MIB, max_size=2048)
    assert step == expected


@pytest.mark.parametrize("n_bytes", [1, 1000, 10**6, 10**9])
@pytest.mark.parametrize("max_size", [16, 512])
def test_an_overview_fits_the_card(n_bytes: int, max_size: int) -> None:
    shape = (77, 1300, 901)
    step = choose_step(shape, 4, scale_zyx=(3.0, 0.4, 0.4), n_bytes=n_bytes, max_size=max_size)
    sizes = [-(-n // s) for n, s in zip(shape, step, strict=True)]
    assert max(sizes) <= max_size
    assert np.prod(sizes) * 4 <= max(n_bytes, 4)


def test_intensities_are_averaged_in_the_plane(
    layers: list[Layer], image: npt.NDArray[Any]
) -> None:
    made = build_overview(layers[0], 0, step_zyx=(2, 2, 2), stale=lambda: False)
    assert made is not None
    expected = image[1::2].reshape(10, 20, 2, 30, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(made.data, expected, atol=0.51)
    assert made.data.dtype == image.dtype
    assert made.badge == "shown at 1/2"


def test_an_overview_is_read_from_the_level_of_a_pyramid_that_gives_it(
    layers: list[Layer], image: npt.NDArray[Any]
) -> None:
    class Unread:
        shape, dtype, ndim = image.shape, image.dtype, 3

        def __getitem__(self, key: tuple[slice, ...]) -> npt.NDArray[Any]:
            raise AssertionError("the finest level is not wanted")

    half = image[1::2].reshape(10, 20, 2, 30, 2).mean(axis=(2, 4))
    level = Layer("image", "Image", "image", half, (4.0, 2.0, 1.0))
    layer = Layer("image", "Image", "image", Unread(), (2.0, 1.0, 0.5), coarser=(level,))
    made = build_overview(layer, 0, step_zyx=(2, 4, 4), stale=lambda: False)
    assert made is not None
    assert made.layer is layer
    assert made.step_zyx == (2, 4, 4)
    expected = half.reshape(10, 10, 2, 15, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(made.data, expected, rtol=1e-6)


def test_labels_keep_their_ids(layers: list[Layer]) -> None:
    made = build_overview(layers[2], 0, step_zyx=(1, 3, 3), stale=lambda: False)
    assert made is not None
    assert set(np.unique(made.data)) == {0, 11, 303}
    assert made.data.shape == (20, 14, 20)


def test_a_stale_overview_is_given_up(layers: list[Layer]) -> None:
    assert build_overview(layers[0], 0, step_zyx=(1, 2, 2), stale=lambda: True) is None


@pytest.mark.parametrize("plane", ["xy", "xz", "yz"])
def test_a_coarse_slice_lies_on_the_exact_one(layers: list[Layer], plane: Plane) -> None:
    made = build_overview(layers[2], 0, step_zyx=(1, 1, 1), stale=lambda: False)
    assert made is not None
    viewport = Viewport((-100.0, -100.0), (100.0, 100.0), px_um=0.1)
    request = resolve_slice(
        layers[2], ViewState(), look=LayerLook(), plane=plane, viewport=viewport,
        point_um=(11.0, 15.5, 7.75),
    )  # fmt: skip
    assert request is not None
    found = coarse_slice(made, request)
    assert found is not None
    flat, rect_um = found
    assert rect_um == request.rect_um
    assert flat.shape == (request.rows.n, request.columns.n)
    assert 11 in flat


def test_auto_contrast_leaves_out_the_few_brightest() -> None:
    rng = np.random.default_rng(0)
    voxels = rng.normal(100, 10, (20, 50, 50)).astype(np.float32)
    voxels[10, 20, 20] = 60_000
    found = statistics(voxels)
    assert 60 < found.auto_clims[0] < 90
    assert 120 < found.auto_clims[1] < 160
    assert found.range[1] == 60_000
    assert found.counts.sum() == voxels.size


def test_a_histogram_of_whole_numbers_has_no_empty_teeth() -> None:
    voxels = np.tile(np.arange(135, dtype=np.uint8), (4, 5, 1))
    found = statistics(voxels)
    assert (found.counts == 20).all()
    assert found.range == (0, 134)


@pytest.mark.parametrize("value", [0.0, 5.0, np.nan])
def test_an_even_volume_has_contrast_limits_all_the_same(value: float) -> None:
    low, high = statistics(np.full((3, 4, 5), value, np.float32)).auto_clims
    assert low < high


def test_a_glance_at_several_classes_takes_the_one_asked_for() -> None:
    classes = np.stack([np.full((9, 8, 7), n, np.float32) for n in range(3)])
    layer = Layer("p", "P", "probability", classes)
    assert np.unique(glance(layer, 2)).tolist() == [2.0]


class Counted:
    """An array that counts the voxels read of it."""

    def __init__(self, data: npt.NDArray[Any]) -> None:
        self._data = data
        self.shape, self.dtype, self.ndim = data.shape, data.dtype, data.ndim
        self.n_read = 0

    def __getitem__(self, key: tuple[slice, ...]) -> npt.NDArray[Any]:
        part = self._data[key]
        self.n_read += part.size
        return part


@pytest.mark.parametrize("factor", [(3.0, 3.0, 3.0), (1.0, 2.5, 2.5), (2.0, 2.0, 2.0)])
def test_no_level_is_read_whole_but_a_coarse_one(factor: tuple[float, float, float]) -> None:
    shape = (60, 300, 300)
    layers = []
    scale = (1.0, 1.0, 1.0)
    while True:
        size = [max(1, int(n / s)) for n, s in zip(shape, scale, strict=True)]
        index = np.indices(size).sum(0).astype(np.float32) * scale[2]
        layers.append(Layer("image", "Image", "image", Counted(index), scale))
        if max(size[1:]) < 20:
            break
        scale = (scale[0] * factor[0], scale[1] * factor[1], scale[2] * factor[2])
    finest, *coarser = layers
    layer = replace(finest, coarser=tuple(coarser))
    step = choose_step(shape, 4, scale_zyx=layer.scale_zyx, n_bytes=200_000, max_size=2048)
    made = build_overview(layer, 0, step_zyx=step, stale=lambda: False)
    assert made is not None
    assert made.data.nbytes <= 400_000
    assert made.data.size >= 200_000 / 4 / 30
    assert sum(level.data.n_read for level in layers) <= finest.data.shape[0] * 300 * 300 / 5
    covered = [n * s for n, s in zip(made.data.shape, made.step_zyx, strict=True)]
    for a, b, s in zip(covered, shape, made.step_zyx, strict=True):
        assert abs(a - b) <= 2 * s
