"""Unsupervised adaptation: no labels, the bright class first, a card of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cellseg_app.core.errors import SettingsError, WeightsError
from cellseg_app.inference.cards import read_card
from cellseg_app.inference.weights import load_network
from cellseg_app.inference.weights_formats import read_weights
from cellseg_app.training.adapt import run_adaptation
from cellseg_app.training.adapt_samples import parts_of
from cellseg_app.training.requests import AdaptRequest
from cellseg_app.training.samples import list_samples, read_sample
from cellseg_app.training.simulator.stream import write_volume
from tests.labelled_balls import balls, write_start


def _request(tmp_path: Path, **changes: object) -> AdaptRequest:
    image, _ = balls(5, n=12, edge=48)
    write_volume(tmp_path / "brain.tif", image, (1.0, 1.0, 1.0))
    values: dict[str, object] = {
        "volumes": (tmp_path / "brain.tif",),
        "weights": str(write_start(tmp_path / "start", "WNet")),
        "out": tmp_path / "mine",
        "diameter": "11um",
        "steps": 40,
        "validate_every_steps": 20,
        "patch_voxels": 16,
        "learning_rate": 3e-3,
        "threads": 1,
    }
    return AdaptRequest.model_validate({**values, **changes})


def test_it_parts_the_users_volume_and_puts_the_bright_class_first(tmp_path: Path) -> None:
    card_path = run_adaptation(_request(tmp_path))
    card = read_card(card_path)
    assert (card.name, card.architecture, card.output.foreground_class) == ("mine", "WNet", 0)
    assert card.training is not None
    assert card.training.recipe[-1][0] == "adapt"
    log = (tmp_path / "mine" / "mine_curve.csv").read_text().splitlines()
    scores = [float(line.split(",")[2]) for line in log[1:]]
    assert scores[-1] > scores[0]
    loaded = load_network(card_path, network="WNet")
    image, labels = balls(5, n=12, edge=48)
    seen = torch.from_numpy(((image - 200.0) / 800).astype(np.float32))[None, None]
    with torch.inference_mode():
        bright = torch.softmax(loaded.module(seen), 1)[0, 0].numpy()
    assert bright[labels > 0].mean() > bright[labels == 0].mean() + 0.1


def test_the_encoder_rests_until_the_decoder_has_learned(tmp_path: Path) -> None:
    request = _request(tmp_path, steps=10, validate_every_steps=5)
    start = read_weights(Path(request.weights)).state
    result = read_weights(run_adaptation(request).with_suffix(".safetensors")).state
    # Twenty updates are the decoder's alone.
    assert all(torch.equal(start[key], result[key]) for key in start)


def test_a_part_is_kept_to_judge_by_and_large_volumes_are_cut() -> None:
    one, other = parts_of((40, 48, 60))
    assert (one[2], other[2]) == (slice(0, 44), slice(44, 60))
    assert len(parts_of((20, 20, 20))) == 1
    assert len(parts_of((100, 200, 300))) == 2 * 3 * 4


def test_every_volume_is_on_the_networks_lattice(tmp_path: Path) -> None:
    run_adaptation(_request(tmp_path, diameter="22px", steps=1))
    folders = sorted((tmp_path / "mine" / "samples").glob("*/*"))
    parts = [
        read_sample(path).image.shape for path in list_samples(f for f in folders if f.is_dir())
    ]
    # Twice as wide as the network learned: 48 voxels become 24, too few to keep a part back.
    assert parts == [(24, 24, 24)]


def test_other_weights_and_empty_requests_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="for SegResNet, not for WNet"):
        run_adaptation(_request(tmp_path, weights=str(write_start(tmp_path / "other"))))
    with pytest.raises(SettingsError, match="multiples of 8"):
        run_adaptation(_request(tmp_path).model_copy(update={"patch_voxels": 20}))
