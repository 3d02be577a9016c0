from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from cellseg_app.inference.cell_size import estimate_diameter_px


def _balls(diameter: float, shape: tuple[int, int, int], z_ratio: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(0)
    seeds = np.ones(shape, bool)
    pitch = int(diameter * 1.6)
    seeds[:: max(1, round(pitch / z_ratio)), ::pitch, ::pitch] = False
    distance = ndimage.distance_transform_edt(seeds, sampling=(z_ratio, 1, 1))
    cells = 100.0 * (distance < diameter / 2)
    return ndimage.gaussian_filter(cells, (1 / z_ratio, 1, 1)) + rng.normal(20, 5, shape)


@pytest.mark.parametrize("diameter", [6, 12, 25, 40])
def test_diameter_of_balls_is_found_within_a_quarter(diameter: int) -> None:
    image = _balls(diameter, (100, 130, 130))
    assert estimate_diameter_px(image, None) == pytest.approx(diameter, rel=0.2)


def test_coarse_sections_do_not_shrink_the_cells() -> None:
    image = _balls(16, (40, 130, 130), z_ratio=4.0)
    found = estimate_diameter_px(image, (4.0, 1.0, 1.0))
    assert found == pytest.approx(16, rel=0.2)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 64, 64), (40, 60, 60)])
def test_noise_alone_has_no_cell_size(shape: tuple[int, int, int]) -> None:
    noise = np.random.default_rng(0).normal(100, 10, shape)
    assert estimate_diameter_px(noise, None) is None


def test_brightness_does_not_matter() -> None:
    image = _balls(12, (60, 80, 80))
    assert estimate_diameter_px(image, None) == estimate_diameter_px(image * 10 + 500, None)
