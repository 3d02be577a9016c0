"""Cells on a slope, in haze or beside a bright border stand on nothing once background is gone."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from pydantic import ValidationError

from cellseg_app.core.settings import RunSettings
from cellseg_app.core.volume import Volume
from cellseg_app.inference.background import WithoutBackground, sample_cubes
from cellseg_app.inference.cards import ModelCard, Normalization
from cellseg_app.inference.normalize import intensity_scale
from cellseg_app.inference.session_setup import open_session
from cellseg_app.inference.weights import load_network
from cellseg_app.training.samples import make_sample
from tests.small_scene import scene_of_cells

WIDTH = 25.0
BUNDLED = Path(__file__).parents[3] / "resources" / "weights"
CENTRES = np.array([(14, 14, 14), (14, 34, 40), (36, 14, 22), (34, 36, 12), (24, 26, 30)], float)


def _noise(shape: tuple[int, int, int], *, sigma: float) -> npt.NDArray[np.float32]:
    return np.random.default_rng(3).normal(0, sigma, shape).astype(np.float32)


def _whole(array: WithoutBackground) -> npt.NDArray[np.float32]:
    z, y, x = array.shape
    return array[0:z, 0:y, 0:x]


def test_cells_keep_their_height_and_what_they_stand_on_goes() -> None:
    cells = 1000 * scene_of_cells(CENTRES, 11.0, edge=50)
    slope = 500 + 20 * np.arange(50, dtype=np.float32)
    left = _whole(WithoutBackground(cells + slope, WIDTH))
    between = np.where(cells < np.median(cells), left, np.nan)
    along = np.nanmedian(between, axis=(0, 1))
    assert np.abs(along[6:44]).max() < 50
    assert abs(along[-1] - along[0]) < 0.15 * (slope[-1] - slope[0])
    tops = [left[tuple(centre.astype(int))] for centre in CENTRES]
    assert np.allclose(tops, 1000, atol=100)


def test_noise_stays_the_same_everywhere() -> None:
    left = _whole(WithoutBackground(500 + _noise((40, 41, 43), sigma=20), WIDTH))
    for axis in range(3):
        means = left.mean(axis=tuple(a for a in range(3) if a != axis))
        assert np.ptp(means) < 6
    assert left.std() == pytest.approx(20, rel=0.05)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 40, 5), (7, 2, 90), (100, 70, 130)])
def test_a_part_is_that_of_the_whole(shape: tuple[int, int, int]) -> None:
    image = 300 + _noise(shape, sigma=30)
    array = WithoutBackground(image, WIDTH)
    whole = _whole(array)
    assert whole.shape == shape
    low = [size // 3 for size in shape]
    key = tuple(slice(a, a + max(1, size // 2)) for a, size in zip(low, shape, strict=True))
    assert np.allclose(pickle.loads(pickle.dumps(array))[key], whole[key], atol=1e-3)
    assert np.array_equal(array[0:1, 0:0, 0:1], whole[0:1, 0:0, 0:1])


def test_the_sample_is_bounded_and_a_small_volume_is_taken_whole() -> None:
    small = _noise((30, 70, 130), sigma=1)
    assert np.array_equal(np.sort(sample_cubes(small)), np.sort(small.ravel()))
    long = np.broadcast_to(np.float32(1), (4000, 300, 3))
    assert sample_cubes(long).size == 4 * 4 * 64 * 64 * 3


def test_a_card_must_say_how_large_the_objects_are() -> None:
    card = ModelCard.model_validate_json((BUNDLED / "WNet.json").read_text())
    assert card.normalization.background_diameters is not None
    for change in (
        {"object_diameter_voxels": None},
        {"normalization": card.normalization.model_copy(update={"scope": "window"})},
    ):
        with pytest.raises(ValidationError, match="background_diameters needs"):
            ModelCard.model_validate({**card.model_dump(), **change})


def test_learning_sees_what_running_sees() -> None:
    loaded = load_network(BUNDLED / "WNet.safetensors")
    cells = scene_of_cells(CENTRES, 11.0, edge=50)
    image = (700 * cells + 300 + 8 * np.arange(50) + _noise(cells.shape, sigma=9)).astype(np.uint16)
    settings = RunSettings.model_validate(
        {
            "size": {"diameter": 16.0, "diameter_unit": "px"},
            "inference": {"runtime": "torch", "precision": "float32"},
        }
    )
    session = open_session(loaded, Volume(image, (1.0, 1.0, 1.0), "v"), settings)
    assert session.scale is not None
    z, y, x = session.image.shape
    seen = session.scale.apply(session.image[0:z, 0:y, 0:x])
    sample = make_sample(
        image,
        (cells > 0.5).astype(np.uint16),
        step_zyx=(1.0, 1.0, 1.0),
        object_diameter_voxels=11.0,
        diameter=16.0,
        normalization=loaded.card.normalization,
    )
    assert sample.image.shape == (z, y, x)
    assert np.allclose(sample.image, seen, atol=2e-3)


def test_without_background_removal_a_sample_is_scaled_by_the_volume_itself() -> None:
    image = 100 + _noise((20, 22, 24), sigma=5)
    plain = make_sample(
        image,
        np.zeros(image.shape, np.uint16),
        step_zyx=(1.0, 1.0, 1.0),
        object_diameter_voxels=None,
        normalization=Normalization(low_quantile=0.01, high_quantile=0.998),
    )
    scale = intensity_scale(image.ravel(), 0.01, 0.998, rescale=True)
    assert np.allclose(plain.image, scale.apply(image), atol=1e-3)
