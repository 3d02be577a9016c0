"""What every bundled network must get right whatever it was trained on; new ones are included.

The larger scenes and cell sizes stand in `tests/benchmarks/accuracy.py --robustness`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from cellseg_app.inference.cards import looks_like_card
from tests.small_scene import find_cells, scene_of_cells

CARDS = sorted(
    path
    for path in (Path(__file__).parents[3] / "resources" / "weights").glob("*.json")
    if looks_like_card(path)
)
CENTRES = np.array([(12, 12, 12), (12, 30, 16), (30, 14, 30), (31, 31, 13), (20, 29, 33)], float)
DIAMETER = 11.0


@pytest.fixture(params=CARDS, ids=lambda path: path.stem)
def card_path(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def _as_counts(scene: npt.NDArray[np.float32], *, gain: float, offset: float) -> np.ndarray:
    return np.clip(np.rint(offset + gain * scene), 0, 65535).astype(np.uint16)


def test_there_are_bundled_networks() -> None:
    assert {"SegResNet", "WNet"} <= {path.stem for path in CARDS}


def test_clear_cells_are_found_each_once(card_path: Path, tmp_path: Path) -> None:
    scene = scene_of_cells(CENTRES, DIAMETER, edge=44)
    image = _as_counts(scene, gain=800, offset=100)
    labels = find_cells(image, card_path, tmp_path / "a", diameter_px=DIAMETER)
    found = [labels[tuple(centre.astype(int))] for centre in CENTRES]
    assert len(set(found) - {0}) == len(CENTRES)
    assert labels.max() == len(CENTRES)


def test_brightness_and_offset_change_nothing(card_path: Path, tmp_path: Path) -> None:
    scene = scene_of_cells(CENTRES, DIAMETER, edge=44)
    plain, brighter, lifted = (
        find_cells(
            _as_counts(scene, gain=gain, offset=offset),
            card_path,
            tmp_path / name,
            diameter_px=DIAMETER,
        )
        for name, gain, offset in (("a", 800, 100), ("b", 8000, 1000), ("c", 800, 5100))
    )
    assert plain.max() == len(CENTRES)
    # Counts are whole numbers, so that a voxel on the border may change sides.
    for other in (brighter, lifted):
        assert other.max() == plain.max()
        both = np.logical_and(plain, other).sum() / np.logical_or(plain, other).sum()
        assert both > 0.98


@pytest.mark.parametrize("kind", ["white", "poisson", "flat", "gradient"])
def test_where_there_is_nothing_nothing_is_found(
    kind: str, card_path: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(2)
    shape = (40, 40, 40)
    ramp = np.linspace(0, 1, shape[2]) * np.ones(shape)
    image = {
        "white": rng.normal(500, 20, shape),
        "poisson": rng.poisson(12.0, shape) * 10.0,
        "flat": np.full(shape, 321.0),
        "gradient": 200 + 300 * ndimage.gaussian_filter(ramp, 2) + rng.normal(0, 5, shape),
    }[kind]
    labels = find_cells(image.astype(np.uint16), card_path, tmp_path / kind, diameter_px=DIAMETER)
    assert labels.max() == 0
