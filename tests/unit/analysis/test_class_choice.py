"""The class with the cells is found whatever their brightness and crowding, among two or three."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from cellseg_app.analysis.class_choice import foreground_class
from tests.synthetic_cells import touching_ellipsoids

SCENES = {
    "sparse": {"n": 12, "radius": (5, 8), "closeness": 1.1},
    "crowded": {"n": 130, "radius": (5, 8), "closeness": 0.8},
    "small": {"n": 900, "radius": (2, 3.5), "closeness": 0.9},
}


def class_maps(inside: npt.NDArray[np.float32], *, shell: bool) -> npt.NDArray[np.float32]:
    """Cells, background and perhaps the shell between them, noisy, as a soft assignment."""
    rim = 4 * inside * (1 - inside) * shell
    maps = np.stack([inside * (1 - rim), (1 - inside) * (1 - rim)] + ([rim] if shell else []))
    noise = ndimage.gaussian_filter(np.random.default_rng(4).normal(size=maps.shape), (0, 1, 1, 1))
    noisy = np.clip(maps + 0.15 * noise / noise.std(), 1e-3, None)
    return (noisy / noisy.sum(axis=0)).astype(np.float32)


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("shell", [False, True])
def test_cells_are_found_whatever_their_brightness_and_order(scene: str, shell: bool) -> None:
    labels = touching_ellipsoids((48, 96, 96), **SCENES[scene])
    inside = ndimage.gaussian_filter((labels > 0).astype(np.float32), 1)
    bright = inside + np.random.default_rng(1).normal(0, 0.1, inside.shape)
    maps = class_maps(inside, shell=shell)
    last = len(maps) - 1
    for image in (bright, -bright, None):
        assert foreground_class(image, maps) == 0
        assert foreground_class(image, maps[::-1].copy()) == last


def test_a_single_class_needs_no_choice() -> None:
    assert foreground_class(None, np.zeros((1, 4, 4, 4), np.float16)) == 0


def test_a_class_that_never_wins_is_not_chosen() -> None:
    maps = np.zeros((3, 20, 40, 40), np.float32)
    maps[0] = 0.5
    maps[1, 5:9, 10:20, 10:20] = 0.9
    assert foreground_class(None, maps) == 1


@pytest.mark.parametrize("winner", [0, 1])
def test_where_one_class_has_everything_there_are_no_cells(winner: int) -> None:
    maps = np.full((2, 20, 40, 40), 0.1, np.float32)
    maps[winner] = 0.9
    assert foreground_class(None, maps) == 1 - winner
