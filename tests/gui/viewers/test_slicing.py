"""Which voxels a pane asks for, and what is read for it."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cellseg_app.state.display import Layer, LayerLook, ViewState
from cellseg_app.state.slicing import Plane, SliceRequest, Viewport, resolve_slice, voxel_at
from cellseg_app.viewers.voxels import SLOW_S, Abandoned, VoxelReader

WIDE = Viewport((-1000.0, -1000.0), (1000.0, 1000.0), px_um=0.1)
EXPECTED = {
    "xy": lambda a: a[3],
    "xz": lambda a: a[:, 10],
    "yz": lambda a: a[:, :, 15].T,
}


def request_of(
    layer: Layer, plane: Plane, *, viewport: Viewport = WIDE, slab: int = 1
) -> SliceRequest:
    state = ViewState(slab_planes=slab)
    # The middle of voxel (3, 10, 15) at a voxel size of 2, 1, 0.5 µm.
    found = resolve_slice(
        layer, state, look=LayerLook(), plane=plane, viewport=viewport, point_um=(7.0, 10.5, 7.75)
    )
    assert found is not None
    return found


@pytest.mark.parametrize("plane", ["xy", "xz", "yz"])
def test_every_plane_shows_the_voxels_it_cuts(
    layers: list[Layer], image: npt.NDArray[Any], plane: Plane
) -> None:
    flat = VoxelReader().read(request_of(layers[0], plane), lambda: False)
    np.testing.assert_array_equal(flat, EXPECTED[plane](image))


@pytest.mark.parametrize("plane", ["xy", "xz", "yz"])
def test_slow_files_are_read_several_slices_at_once_and_show_the_same(
    layers: list[Layer], image: npt.NDArray[Any], plane: Plane
) -> None:
    counted = Counted(image)
    layer = Layer("image", "Image", "image", counted, (2.0, 1.0, 0.5))
    reader = VoxelReader()
    reader.seconds[layer, plane] = deque([10 * SLOW_S, 2 * SLOW_S], maxlen=2)
    request = request_of(layer, plane)
    np.testing.assert_array_equal(reader.read(request, lambda: False), EXPECTED[plane](image))
    first, last = request.planes

    def read_next(n: int) -> int:
        n_before = counted.n_read
        neighbour = SliceRequest(
            plane, layer, (first - n, last - n), request.rows, request.columns, request.look
        )
        reader.read(neighbour, lambda: False)
        return counted.n_read - n_before

    # Nobody walks yet; then a step is taken, and the next is there.
    assert [read_next(1), read_next(2)] == [1, 0]


def test_a_slab_shows_its_maximum(layers: list[Layer], image: npt.NDArray[Any]) -> None:
    flat = VoxelReader().read(request_of(layers[0], "xy", slab=5), lambda: False)
    np.testing.assert_array_equal(flat, image[1:6].max(axis=0))


def test_labels_have_no_maximum(layers: list[Layer], labels: npt.NDArray[Any]) -> None:
    flat = VoxelReader().read(request_of(layers[2], "xy", slab=9), lambda: False)
    np.testing.assert_array_equal(flat, labels[3])


def test_zoomed_out_a_pixel_is_the_mean_of_its_voxels(
    layers: list[Layer], image: npt.NDArray[Any]
) -> None:
    viewport = Viewport((-1000.0, -1000.0), (1000.0, 1000.0), px_um=2.0)
    request = request_of(layers[0], "xy", viewport=viewport)
    assert (request.rows.step, request.columns.step) == (2, 4)
    flat = VoxelReader().read(request, lambda: False)
    expected = image[3].reshape(20, 2, 15, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(flat, expected, rtol=1e-6)


def test_only_what_is_in_view_is_read(layers: list[Layer]) -> None:
    near = Viewport((10.0, 10.0), (14.0, 14.0), px_um=0.1)
    request = request_of(layers[0], "xy", viewport=near)
    # With a margin of 0.6 µm, at 1 and 0.5 µm a voxel.
    assert (request.rows.start, request.rows.stop) == (9, 15)
    assert (request.columns.start, request.columns.stop) == (18, 30)


def test_hidden_layers_and_places_outside_ask_for_nothing(layers: list[Layer]) -> None:
    def ask(look: LayerLook, viewport: Viewport, z_um: float) -> SliceRequest | None:
        return resolve_slice(
            layers[0], ViewState(), look=look, plane="xy", viewport=viewport,
            point_um=(z_um, 1.0, 1.0),
        )  # fmt: skip

    far = Viewport((500.0, 500.0), (600.0, 600.0), px_um=0.1)
    assert ask(LayerLook(visible=False), WIDE, 7.0) is None
    assert ask(LayerLook(opacity=0.0), WIDE, 7.0) is None
    assert ask(LayerLook(), far, 7.0) is None
    assert ask(LayerLook(), WIDE, 40.0) is None
    assert ask(LayerLook(), WIDE, 39.9) is not None


def test_a_preview_of_a_crop_lies_where_it_was_cut_out(labels: npt.NDArray[Any]) -> None:
    crop = Layer("p", "P", "labels", labels[4:8, 10:20, 10:30], (2.0, 1.0, 0.5), (4, 10, 10))
    assert voxel_at(crop, (8.5, 10.5, 5.1)) == (0, 0, 0)
    assert voxel_at(crop, (7.9, 10.5, 5.1)) is None
    request = resolve_slice(
        crop, ViewState(), look=LayerLook(), plane="xy", viewport=WIDE, point_um=(9.0, 0.0, 0.0)
    )
    assert request is not None
    assert request.rect_um == (10.0, 5.0, 10.0, 10.0)
    assert request.planes == (0, 1)


def test_a_slow_reading_is_given_up_for_a_newer_one(image: npt.NDArray[Any]) -> None:
    layer = Layer("image", "Image", "image", image, (2.0, 1.0, 0.5))
    reader = VoxelReader()
    reader.seconds[layer, "xz"] = deque([10.0], maxlen=2)
    with pytest.raises(Abandoned):
        reader.read(request_of(layer, "xz"), lambda: True)


def pyramid(image: npt.NDArray[Any]) -> Layer:
    """The image with a level of half its size across Y and X, and one across all."""
    flat = image.reshape(20, 20, 2, 30, 2).mean(axis=(2, 4))
    small = flat.reshape(10, 2, 10, 2, 15, 2).mean(axis=(1, 3, 5))
    levels = (
        Layer("image", "Image", "image", flat, (2.0, 2.0, 1.0)),
        Layer("image", "Image", "image", small, (4.0, 4.0, 2.0)),
    )
    return Layer("image", "Image", "image", image, (2.0, 1.0, 0.5), coarser=levels)


@pytest.mark.parametrize(
    ("plane", "px_um", "level"),
    [
        ("xy", 0.9, 0),
        ("xy", 2.0, 1),
        ("xy", 4.0, 2),
        ("xz", 2.0, 1),
        ("yz", 1.9, 0),
        ("yz", 5.0, 2),
    ],
)
def test_the_level_of_a_pyramid_goes_by_pane_and_zoom(
    image: npt.NDArray[Any], plane: Plane, px_um: float, level: int
) -> None:
    layer = pyramid(image)
    viewport = Viewport((-1000.0, -1000.0), (1000.0, 1000.0), px_um=px_um)
    request = request_of(layer, plane, viewport=viewport)
    assert request.layer is (layer, *layer.coarser)[level]
    top, left, height, width = request.rect_um
    axes = {"xy": (40, 30), "xz": (40, 30), "yz": (40, 40)}[plane]
    assert (top, left) == (0, 0)
    assert height == pytest.approx(axes[0], abs=px_um)
    assert width == pytest.approx(axes[1], abs=px_um)


def test_a_coarse_level_shows_the_same_place(image: npt.NDArray[Any]) -> None:
    layer = pyramid(image)
    viewport = Viewport((-1000.0, -1000.0), (1000.0, 1000.0), px_um=2.0)
    flat = VoxelReader().read(request_of(layer, "xy", viewport=viewport), lambda: False)
    alone = VoxelReader().read(
        request_of(replace(layer, coarser=()), "xy", viewport=viewport), lambda: False
    )
    np.testing.assert_allclose(flat, alone, rtol=1e-6)


def test_a_projection_is_that_of_the_finest_level(image: npt.NDArray[Any]) -> None:
    layer = pyramid(image)
    viewport = Viewport((-1000.0, -1000.0), (1000.0, 1000.0), px_um=4.0)
    assert request_of(layer, "xy", viewport=viewport, slab=5).layer is layer


class Counted:
    """A volume that counts how often it is read; no NumPy array, as files are none."""

    def __init__(self, array: npt.NDArray[Any]) -> None:
        self._array, self.n_read = array, 0
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __getitem__(self, key: tuple[slice, ...]) -> npt.NDArray[Any]:
        self.n_read += 1
        return self._array[key]
