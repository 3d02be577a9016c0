from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from cellseg_app.analysis.instances import segment_instances
from cellseg_app.core.progress import StageProgress
from cellseg_app.core.settings import RunSettings
from cellseg_app.core.volume import Volume
from cellseg_app.inference.cards import Normalization, OutputSpec
from cellseg_app.inference.emptiness import bears_skipping
from cellseg_app.inference.session import NetworkSession
from cellseg_app.inference.session_setup import open_session
from cellseg_app.inference.weights import LoadedNetwork, load_network
from tests.blur_network import write_blur_network

SHAPE = (80, 96, 112)
CENTRES = [(20, 20, 20), (22, 30, 27), (60, 70, 90), (61, 80, 84)]


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedNetwork:
    return load_network(write_blur_network(tmp_path, "blur"))


def _image(noise: float = 20, *, faint: float = 1.0) -> np.ndarray:
    """A dark volume with four cells in two corners; the last of them is as faint as asked."""
    light = np.zeros(SHAPE, np.float32)
    for centre, brightness in zip(CENTRES, (1, 1, 1, faint), strict=True):
        distance = np.linalg.norm(np.indices(SHAPE).T - np.array(centre), axis=-1).T
        light[distance < 5] = brightness
    rng = np.random.default_rng(0)
    return 200 + 1500 * ndimage.gaussian_filter(light, 0.7) + rng.normal(0, noise, SHAPE)


def _session(loaded: LoadedNetwork, image: np.ndarray, **inference: object) -> NetworkSession:
    values = {"inference": {"runtime": "torch", "precision": "float32", "skip_empty": True}}
    values["inference"].update(inference)
    volume = Volume(image.astype(np.float32), None, "v")
    return open_session(loaded, volume, RunSettings.model_validate(values))


def _labels(session: NetworkSession) -> np.ndarray:
    stage = StageProgress(None, "network", session.grid.n_windows)
    slabs = [slab.probability for slab in session.slabs(stage)]
    probability = np.concatenate(slabs, axis=1)[0]
    labels = np.zeros(probability.shape, np.uint32)
    segment_instances(probability, labels, method="connected-components", threshold=0.5)
    return labels


@pytest.mark.parametrize("faint", [1.0, 0.7])
def test_skipped_windows_would_have_given_no_cell(loaded: LoadedNetwork, faint: float) -> None:
    image = _image(faint=faint)
    skipping = _session(loaded, image)
    found = _labels(skipping)
    assert skipping.empty is not None
    assert skipping.empty.n_skipped > skipping.grid.n_windows / 2
    assert any("were skipped" in note for note in skipping.notes)
    np.testing.assert_array_equal(found, _labels(_session(loaded, image, skip_empty=False)))
    assert found.max() > 2


def test_every_window_with_a_cell_is_computed(loaded: LoadedNetwork) -> None:
    session = _session(loaded, _image(faint=0.1))
    assert session.empty is not None
    for z, y, x in CENTRES:
        box = tuple(slice(max(0, c - 12), c + 12) for c in (z, y, x))
        assert not session.empty.holds_nothing(np.asarray(session.image[box]))


def test_a_network_that_sees_cells_in_noise_gets_every_window(loaded: LoadedNetwork) -> None:
    class Imaginative(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.full_like(x, 3.0)

    session = _session(replace(loaded, module=Imaginative()), _image())
    assert session.empty is None


def test_nothing_is_skipped_unless_the_user_asks(loaded: LoadedNetwork) -> None:
    volume = Volume(_image().astype(np.float32), None, "v")
    assert open_session(loaded, volume, RunSettings()).empty is None


def test_cards_that_cannot_bear_it_are_left_alone(loaded: LoadedNetwork) -> None:
    card = loaded.card
    assert bears_skipping(card)
    per_window = Normalization(scope="window")
    stretched = OutputSpec(activation="stretch_per_window")
    for change in (
        {"normalization": per_window},
        {"output": stretched},
        {"cellseg3d_compatible": True},
        {"classes": 3},
    ):
        assert not bears_skipping(card.model_copy(update=change))
