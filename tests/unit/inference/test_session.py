from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from cellseg_app.core.blocks import whole
from cellseg_app.core.errors import SettingsError
from cellseg_app.core.progress import StageProgress
from cellseg_app.core.settings import RunSettings
from cellseg_app.core.volume import Volume
from cellseg_app.inference.cards import ModelCard, OutputSpec, write_card
from cellseg_app.inference.fingerprint import sha256_of
from cellseg_app.inference.nets import build_network, network_traits
from cellseg_app.inference.session import NetworkSession
from cellseg_app.inference.session_setup import open_session
from cellseg_app.inference.weights import LoadedNetwork, load_network

NARROW: dict[str, dict[str, object]] = {
    "SwinUNetR": {"feature_size": 12, "depths": (1, 1, 1, 1)},
    "SegResNet": {"init_filters": 8, "vae": False},
    "WNet": {"channels": (8, 8, 16, 16), "rescale_input_to": None},
    "TRAILMAP_MS": {"f_maps": 4},
    "VNet": {"base_features": 4},
}


def _network(architecture: str, folder: Path) -> LoadedNetwork:
    torch.manual_seed(0)
    options = NARROW[architecture]
    try:
        module = build_network(architecture, options)
    except SettingsError:
        options = {k: v for k, v in options.items() if k != "depths"}
        module = build_network(architecture, options)
    path = folder / f"{architecture}.safetensors"
    save_file(module.state_dict(), path)
    traits = network_traits(architecture, options)
    card = ModelCard(
        name=architecture,
        title=architecture,
        architecture=architecture,  # type: ignore[arg-type]
        options=dict(options),
        weights_file=path.name,
        weights_sha256=sha256_of(path),
        output=OutputSpec(activation="sigmoid"),
        classes=traits.classes,
        divisor=traits.divisor,
        minimum=traits.minimum,
        window_default=64 if architecture == "SwinUNetR" else 32,
    )
    write_card(card, path.with_suffix(".json"))
    return load_network(path)


def _session(loaded: LoadedNetwork, image: np.ndarray, **inference: object) -> NetworkSession:
    settings = RunSettings.model_validate({"inference": {"precision": "float32", **inference}})
    return open_session(loaded, Volume(image, None, "v"), settings)


def _probability(session: NetworkSession) -> np.ndarray:
    stage = StageProgress(None, "network", session.grid.n_windows)
    return np.concatenate([slab.probability for slab in session.slabs(stage)], axis=1)


@pytest.mark.parametrize("architecture", NARROW)
@pytest.mark.parametrize("window", ["auto", "whole"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 37, 5), (29, 1, 31)])
def test_every_network_runs_on_every_shape(
    architecture: str, window: str, shape: tuple[int, int, int], tmp_path: Path
) -> None:
    loaded = _network(architecture, tmp_path)
    image = np.random.default_rng(0).random(shape, dtype=np.float32)
    result = _probability(_session(loaded, image, window=window))
    assert result.shape == (loaded.card.classes, *shape)
    assert np.isfinite(result).all()
    assert result.min() >= 0
    assert result.max() <= 1


def test_a_box_is_seen_as_in_the_whole_volume(tmp_path: Path) -> None:
    loaded = _network("SegResNet", tmp_path)
    image = np.random.default_rng(0).random((40, 40, 40), dtype=np.float32)
    image[:12] *= 100
    session = _session(loaded, image)
    box = (slice(4, 36), slice(0, 32), slice(8, 40))
    part = session.for_region(box)
    assert part.scale == session.scale
    assert part.grid.n_windows <= session.grid.n_windows
    np.testing.assert_array_equal(part.image[whole((32, 32, 32))], image[box])
    assert _probability(part).shape == (1, 32, 32, 32)


def test_a_device_that_is_not_there_is_refused_naming_those_that_are(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has the device")
    with pytest.raises(SettingsError, match="cpu"):
        _session(_network("VNet", tmp_path), np.zeros((4, 4, 4), np.float32), device="cuda")


def test_timing_tells_what_a_window_costs(tmp_path: Path) -> None:
    image = np.random.default_rng(0).random((40, 40, 40), dtype=np.float32)
    session = _session(_network("VNet", tmp_path), image)
    assert session.timing.seconds_per_window > 0
