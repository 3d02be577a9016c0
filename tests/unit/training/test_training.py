"""Training: it learns, resumes exactly, stops when asked, and its result loads strictly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cellseg_app.core.errors import Cancelled, SettingsError
from cellseg_app.core.progress import CancelToken, Progress
from cellseg_app.inference.cards import read_card
from cellseg_app.inference.nets import build_network
from cellseg_app.inference.weights import load_network
from cellseg_app.training.augment import draw_patch
from cellseg_app.training.dataset import batches
from cellseg_app.training.emptiness import draw_empty
from cellseg_app.training.evaluation import count_matches, split_at_peaks
from cellseg_app.training.export import bright_class_first
from cellseg_app.training.losses import (
    bright_first_loss,
    centre_peaked_loss,
    soft_normalized_cut,
    uneven_classes_loss,
)
from cellseg_app.training.requests import TrainingRequest
from cellseg_app.training.samples import Sample, list_samples, read_sample, write_sample
from cellseg_app.training.session import run_training
from cellseg_app.training.settings import SampleFolder, TrainingSettings
from cellseg_app.training.simulator import SimulationSettings, simulate_to_folder
from cellseg_app.training.targets import centre_peaked
from cellseg_app.training.trainer import train_supervised, train_wnet
from tests.labelled_balls import write_start

_NARROW = {"init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1], "vae": False}


def _two_phase_volume(seed: int) -> Sample:
    """Bright balls on a dark ground."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((32, 32, 32), np.uint16)
    z, y, x = np.ogrid[:32, :32, :32]
    for label, (cz, cy, cx) in enumerate([(9, 9, 9), (22, 22, 10), (12, 22, 23)], start=1):
        labels[(z - cz) ** 2 + (y - cy) ** 2 + (x - cx) ** 2 < 30] = label
    image = (labels > 0) + rng.normal(0, 0.05, labels.shape)
    target = np.rint(255 * centre_peaked(labels)).astype(np.uint8)
    return Sample(image.astype(np.float16), target, labels)


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    folder = tmp_path / "samples"
    folder.mkdir()
    for seed in range(2):
        write_sample(_two_phase_volume(seed), folder / f"{seed}.npz")
    return folder


def _settings(samples: Path, **changes: object) -> TrainingSettings:
    values: dict[str, object] = {
        "options": _NARROW,
        "data": (SampleFolder(path=samples),),
        "validation": (samples,),
        "steps": 8,
        "batch": 1,
        "patch_voxels": 32,
        "warm_up_steps": 1,
        "validate_every_steps": 4,
        "average_decay": 0.5,
        "precision": "float32",
        "threads": 1,
    }
    return TrainingSettings.model_validate({**values, **changes})


def _request(tmp_path: Path, *, volumes: int, seed: int, **changes: object) -> TrainingRequest:
    """A training on simulated volumes, which are made."""
    simulation = SimulationSettings(extent_diameters=4, diameter_voxels=(8, 8))
    simulate_to_folder(simulation, tmp_path / "sim", count=volumes, seed=seed)
    values: dict[str, object] = {
        "options": _NARROW,
        "data": ((tmp_path / "sim", 1.0),),
        "out": tmp_path / "out",
        "batch": 1,
        "patch_voxels": 32,
        "threads": 1,
    }
    return TrainingRequest.model_validate({**values, **changes})


def test_a_few_steps_lower_the_loss(samples: Path, tmp_path: Path) -> None:
    result = train_supervised(_settings(samples, steps=12, learning_rate=4e-3), tmp_path / "run")
    assert result.log[-1].loss < 0.9 * result.log[0].loss
    assert (tmp_path / "run" / "log.csv").read_text().startswith("step,loss")


def test_a_cancelled_run_goes_on_exactly(samples: Path, tmp_path: Path) -> None:
    settings = _settings(samples)
    whole = train_supervised(settings, tmp_path / "whole")
    token = CancelToken()

    def stop_at_five(report: Progress) -> None:
        if report.done == 5:
            token.cancel()

    with pytest.raises(Cancelled):
        train_supervised(settings, tmp_path / "parts", progress=stop_at_five, cancel=token)
    resumed_at: list[int] = []
    parts = train_supervised(
        settings, tmp_path / "parts", progress=lambda report: resumed_at.append(report.done)
    )
    assert resumed_at[0] == 5
    for key, value in whole.weights.items():
        assert torch.equal(value, parts.weights[key]), key


def test_a_folder_of_another_run_is_refused(samples: Path, tmp_path: Path) -> None:
    train_supervised(_settings(samples, steps=1), tmp_path / "run")
    with pytest.raises(SettingsError, match="other settings"):
        train_supervised(_settings(samples, steps=2), tmp_path / "run")


def test_training_stops_early_without_progress(samples: Path, tmp_path: Path) -> None:
    settings = _settings(samples, steps=40, validate_every_steps=1, patience=2, learning_rate=1e-12)
    assert len(train_supervised(settings, tmp_path / "run").log) < 10


def test_from_simulation_to_weights_that_load_strictly(tmp_path: Path) -> None:
    request = _request(tmp_path, volumes=3, seed=1, hold_out=("simulated_00002",), steps=2)
    loaded = load_network(run_training(request), network="SegResNet")
    assert loaded.card.object_diameter_voxels == 11
    assert loaded.card.training is not None
    assert "cellseg train supervised" in loaded.card.training.command
    with torch.inference_mode():
        assert loaded.module(torch.zeros(1, 1, 16, 16, 16)).shape == (1, 1, 16, 16, 16)


def test_a_plain_foreground_can_be_the_target_and_the_card_says_so(tmp_path: Path) -> None:
    request = _request(tmp_path, volumes=1, seed=3, steps=1, target="foreground")
    card = read_card(run_training(request))
    assert card.output.target == "foreground"
    assert card.training is not None
    assert "--target foreground" in card.training.command
    for path in list_samples([request.out / "samples" / "0"]):
        assert set(np.unique(read_sample(path).target)) == {0, 255}


def test_wnet_learns_the_bright_class_first_without_labels(samples: Path, tmp_path: Path) -> None:
    settings = _settings(
        samples,
        architecture="WNet",
        patch_voxels=16,
        options={"channels": [8, 8, 8, 8], "dropout": 0.0, "rescale_input_to": None},
        steps=12,
        validate_every_steps=6,
        learning_rate=3e-3,
    )
    result = train_wnet(settings, tmp_path / "run")
    assert result.log[-1].score > result.log[0].score


def test_weights_of_a_wnet_look_at_volumes_without_their_background(tmp_path: Path) -> None:
    wnet, supervised = (
        read_card(write_start(tmp_path / name, name).with_suffix(".json")).normalization
        for name in ("WNet", "SegResNet")
    )
    assert wnet.background_diameters is not None
    assert supervised.background_diameters is None


def test_wnet_learns_that_noise_holds_nothing(samples: Path, tmp_path: Path) -> None:
    options = {"channels": [8, 8, 8, 8], "dropout": 0.0, "rescale_input_to": None}

    def bright_share_of_noise(empty_weight: float) -> float:
        settings = _settings(
            samples,
            architecture="WNet",
            options=options,
            steps=15,
            learning_rate=3e-3,
            empty_weight=empty_weight,
            validation=(),
        )
        weights = train_wnet(settings, tmp_path / f"{empty_weight}").weights
        network = build_network("WNet", {**options, "decoder": True}).eval()
        network.load_state_dict(weights)
        torch.manual_seed(7)
        with torch.inference_mode():
            shares = [torch.softmax(network(draw_empty(32)), dim=1)[:, 0].mean() for _ in range(6)]
        return float(torch.stack(shares).mean())

    assert bright_share_of_noise(1.0) < 0.8 * bright_share_of_noise(0.0)


@pytest.mark.parametrize("swap", [False, True])
def test_the_bright_class_of_a_wnet_comes_first(swap: bool) -> None:
    options = {"channels": [8, 8, 8, 8], "dropout": 0.0, "rescale_input_to": None}
    torch.manual_seed(0)
    network = build_network("WNet", {**options, "decoder": True}).eval()
    state = network.state_dict()
    last = "encoder.out_b.module.8"
    if swap:
        state = {
            **state,
            **{f"{last}.{n}": state[f"{last}.{n}"].flip(0) for n in ("weight", "bias")},
        }
    image = _two_phase_volume(0).image.astype(np.float32)
    ordered = build_network("WNet", options).eval()
    state = bright_class_first(state, options, [_two_phase_volume(0)])
    ordered.load_state_dict({k: v for k, v in state.items() if k.startswith("encoder.")})
    with torch.inference_mode():
        tensor = torch.from_numpy(image)[None, None]
        classes = torch.softmax(ordered(tensor), dim=1)
    assert bright_first_loss(classes, tensor, margin=0.0) == 0


def test_normalized_cut_prefers_the_true_parts() -> None:
    image = torch.from_numpy(_two_phase_volume(0).image.astype(np.float32))[None, None]
    true = torch.cat([(image > 0.5).float(), (image <= 0.5).float()], dim=1)
    half = torch.zeros_like(true)
    half[:, 0, :16], half[:, 1, 16:] = 1, 1
    assert soft_normalized_cut(true, image) < soft_normalized_cut(half, image)
    assert soft_normalized_cut(true, image) < soft_normalized_cut(torch.full_like(true, 0.5), image)
    assert uneven_classes_loss(true, image) < 0.2 * uneven_classes_loss(half, image)
    assert bright_first_loss(true, image) == 0
    assert bright_first_loss(true.flip(1), image) > 1


def test_the_loss_is_lowest_where_the_sigmoid_is_the_target() -> None:
    target = torch.from_numpy(_two_phase_volume(0).target / np.float32(255))[None, None]
    exact = centre_peaked_loss(torch.logit(target, eps=1e-4), target)
    assert exact < centre_peaked_loss(torch.logit(target, eps=1e-4) + 0.5, target)
    assert exact < centre_peaked_loss(torch.logit(target, eps=1e-4) - 0.5, target)


def test_peaks_of_a_perfect_map_give_back_the_objects() -> None:
    sample = _two_phase_volume(0)
    found = split_at_peaks(sample.target / np.float32(255))
    assert count_matches(found, sample.labels, minimum_iou=0.8) == (3, 3, 3)


def test_batch_statistics_settle_before_the_end_and_at_once_when_training_goes_on(
    samples: Path, tmp_path: Path
) -> None:
    """A network must learn with the statistics it will be used with."""
    width = {"f_maps": 2, "num_levels": 2}
    seen: list[dict[str, torch.Tensor]] = []

    def train(steps: int, start: Path | None, folder: str) -> dict[str, torch.Tensor]:
        settings = _settings(
            samples,
            architecture="TRAILMAP_MS",
            options=width,
            steps=steps,
            start_weights=start,
            average_decay=0.0,
        )
        weights = train_supervised(settings, tmp_path / folder).weights
        seen.append({k: v for k, v in weights.items() if "running" in k})
        return weights

    first = train(4, None, "fresh")
    torch.save(first, tmp_path / "start.pth")
    train(3, tmp_path / "start.pth", "continued")
    fresh = build_network("TRAILMAP_MS", width).state_dict()
    assert any(not torch.equal(value, fresh[key]) for key, value in seen[0].items())
    assert all(torch.equal(value, seen[0][key]) for key, value in seen[1].items())


def test_a_map_that_is_no_number_holds_no_objects() -> None:
    broken = np.full((8, 8, 8), np.nan, np.float32)
    assert not split_at_peaks(broken).any()


def test_a_training_that_diverges_says_so_instead_of_going_on(
    samples: Path, tmp_path: Path
) -> None:
    settings = _settings(samples, steps=60, learning_rate=1e30, validation=())
    with pytest.raises(SettingsError, match="no longer a number"):
        train_supervised(settings, tmp_path / "run")


def test_patches_without_any_cell_are_shown_as_often_as_asked(samples: Path) -> None:
    shown = _settings(samples, steps=40, empty_share=0.5)
    empty = [not batch.target.any() for batch in batches(shown, 0)]
    assert 10 < sum(empty) < 30
    again = [not batch.target.any() for batch in batches(shown, 0)]
    assert again == empty
    assert all(batch.target.any() for batch in batches(_settings(samples, steps=10), 0))


def test_coarse_patches_keep_their_cells_and_lose_detail(samples: Path) -> None:
    sample = read_sample(list_samples([samples])[0])
    plain, coarse = (
        [draw_patch(sample, 32, np.random.default_rng(k), coarse_share=share) for k in range(20)]
        for share in (0.0, 1.0)
    )
    for (_, before), (_, after) in zip(plain, coarse, strict=True):
        assert np.array_equal(before, after)
    detail = [
        np.mean([np.abs(np.diff(image, axis=2)).mean() for image, _ in patches])
        for patches in (plain, coarse)
    ]
    assert detail[1] < 0.8 * detail[0]
