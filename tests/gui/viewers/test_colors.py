"""Colours of labels and intensities."""

from __future__ import annotations

from typing import Any

import cmap
import numpy as np
import numpy.typing as npt
import pytest
from skimage.color import rgb2lab

from cellseg_app.state.display import Layer, LayerLook, ViewState
from cellseg_app.state.slicing import Viewport, resolve_slice
from cellseg_app.viewers.colors import (
    HIGHLIGHT_PIXEL,
    LABEL_COLORS,
    LabelColors,
    LabelValues,
    colors_by_value,
    intensity_table,
)
from cellseg_app.viewers.ortho.rendering import borders, paint

# Machado et al. 2009, severity 1: how linear RGB looks to three kinds of colour-blind eyes.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


@pytest.mark.parametrize("kind", list(BLINDNESS))
def test_label_colors_differ_to_every_eye(kind: str) -> None:
    rgb = np.array([np.asarray(cmap.Color(color))[:3] for color in LABEL_COLORS])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(BLINDNESS[kind]).T, 0, 1)
    seen = np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)
    lab = rgb2lab(seen[None])[0]
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=2)[np.triu_indices(len(lab), 1)]
    # Two colours are told apart side by side from about 2.3 on.
    assert apart.min() > 10
    assert lab[:, 0].min() > 30


def test_a_label_has_the_same_color_in_every_run_and_neighbours_differ() -> None:
    ids = np.array([0, 1, 2, 3, 70_000, 2**32 - 1], np.uint32)
    assert LabelColors().index(ids).tolist() == LabelColors().index(ids).tolist()
    assert LabelColors().index(ids)[0] == 0
    run = LabelColors().index(np.arange(1, 1001))
    assert (run > 0).all()
    assert np.mean(run[1:] == run[:-1]) < 0.1
    assert len(np.unique(run)) == len(LABEL_COLORS)


def of(values: dict[int, float]) -> LabelValues:
    """Values by label id."""
    return LabelValues(np.array([*values], np.int64), np.array([*values.values()], np.float64))


def test_colors_by_value_run_from_the_smallest_to_the_largest() -> None:
    colors = colors_by_value(of({3: 10.0, 5: 20.0, 900: 15.0, 7: float("nan")}), "viridis")
    pixels = colors.table[colors.index(np.array([0, 3, 5, 900, 7, 12_345], np.uint32))]
    ends = intensity_table("viridis", 1.0)
    assert pixels[0] == 0
    assert pixels[1] == ends[0]
    assert pixels[2] == ends[-1]
    assert pixels[3] not in (ends[0], ends[-1])
    assert pixels[4] == pixels[5] == 0xFF808080


def test_cells_left_out_have_no_color() -> None:
    labels = np.array([0, 3, 4, 900, 70_000], np.uint32)
    for colors in (LabelColors(), colors_by_value(of({3: 1.0, 4: 2.0, 900: 3.0}), "viridis")):
        only = colors.only(np.array([3, 900]))
        drawn = only.table[only.index(labels)] != 0
        assert drawn.tolist() == [False, True, False, True, False]
        assert colors.table[colors.index(labels[1:2])] == only.table[only.index(labels[1:2])]
        assert not colors.only(np.zeros(0, np.int64)).index(labels).any()
        np.testing.assert_array_equal(only.only(None).index(labels), colors.index(labels))


def test_colors_by_value_of_no_cells() -> None:
    assert colors_by_value(of({}), "magma").index(np.array([0, 1])).tolist() == [0, 1]


@pytest.mark.parametrize("name", ["gray", "green", "magenta", "viridis"])
def test_intensity_tables_rise_in_brightness(name: str) -> None:
    table = intensity_table(name, 1.0)
    rgb = np.stack([(table >> s) & 255 for s in (16, 8, 0)], axis=-1) / 255
    lightness = rgb2lab(rgb[None])[0, :, 0]
    assert np.all(np.diff(lightness) > -0.5)
    assert lightness[-1] - lightness[0] > 50


def test_gamma_below_one_lifts_the_dark_parts() -> None:
    middle = 512
    assert (intensity_table("gray", 0.5)[middle] & 255) > (intensity_table("gray", 1)[middle] & 255)


def test_borders_are_inside_labels_and_between_them() -> None:
    flat = np.zeros((7, 8), np.uint32)
    flat[1:6, 1:4], flat[1:6, 4:7] = 1, 2
    edge = borders(flat)
    assert not edge[flat == 0].any()
    assert edge[3].tolist() == [False, True, False, True, True, False, True, False]


def painted(layer: Layer, look: LayerLook, flat: npt.NDArray[Any], **state: Any) -> Any:
    viewport = Viewport((0.0, 0.0), (40.0, 30.0), px_um=0.25)
    request = resolve_slice(
        layer, ViewState(**state), look=look, plane="xy", viewport=viewport, point_um=(11, 1, 1)
    )
    assert request is not None
    return paint(flat, request, LabelColors()), request


def test_outlines_stay_thin_however_large_the_voxels(
    layers: list[Layer], labels: npt.NDArray[Any]
) -> None:
    pixels, request = painted(layers[2], LayerLook(outlines_only=True), labels[5])
    assert request.enlarged == (4, 2)
    cell = pixels[10 * 4 : 20 * 4, 10 * 2 : 30 * 2]
    assert (cell[0] != 0).all()
    assert (cell[2:-2, 2:-2] == 0).all()


def test_the_highlighted_cell_is_framed(layers: list[Layer], labels: npt.NDArray[Any]) -> None:
    pixels, _ = painted(layers[2], LayerLook(), labels[9], highlighted=(303,))
    assert (pixels == HIGHLIGHT_PIXEL).any()
    pixels, _ = painted(layers[2], LayerLook(), labels[9], highlighted=(11,))
    assert not (pixels == HIGHLIGHT_PIXEL).any()
    both = np.where(labels[9] == 303, 303, labels[5])
    pixels, _ = painted(layers[2], LayerLook(), both, highlighted=(303, 11))
    framed = both.repeat(4, axis=0).repeat(2, axis=1)[pixels == HIGHLIGHT_PIXEL]
    assert set(framed) == {11, 303}


def test_probability_is_clear_where_it_is_zero(layers: list[Layer]) -> None:
    flat = np.array([[0.0, 0.5, 1.0]], np.float16)
    pixels, _ = painted(layers[1], LayerLook(colormap="magma", clims=(0, 1)), flat)
    assert (pixels >> 24).tolist() == [[0, 127, 255]]
