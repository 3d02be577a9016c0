"""Fine-tuning: better on cells not learned from, resumable, usable at once, here and there."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from cellseg_app.cli import main
from cellseg_app.core.errors import Cancelled, SettingsError, WeightsError
from cellseg_app.core.progress import CancelToken, Progress
from cellseg_app.inference.cards import read_card
from cellseg_app.inference.nets import build_network
from cellseg_app.inference.weights import load_network
from cellseg_app.inference.weights_formats import read_weights
from cellseg_app.io.open import open_volume
from cellseg_app.training.finetune import run_finetuning
from cellseg_app.training.requests import FinetuneRequest
from tests.labelled_balls import write_pair, write_start
from tests.reference_weights import reference_weights

REFERENCE = Path(__file__).parents[2] / "data" / "reference"


def _request(tmp_path: Path, **changes: object) -> FinetuneRequest:
    if not (tmp_path / "data").exists():
        for seed, name in enumerate(("a", "b", "c")):
            write_pair(tmp_path / "data", name, seed)
    values: dict[str, object] = {
        "data": (tmp_path / "data",),
        "weights": str(write_start(tmp_path / "start")),
        "out": tmp_path / "mine",
        "steps": 6,
        "validate_every_steps": 3,
        "batch": 1,
        "patch_voxels": 24,
        "learning_rate": 3e-3,
        "threads": 1,
    }
    return FinetuneRequest.model_validate({**values, **changes})


def test_it_learns_the_users_cells_and_the_result_runs_at_once(tmp_path: Path) -> None:
    card_path = run_finetuning(_request(tmp_path, steps=60, validate_every_steps=20))
    card = read_card(card_path)
    log = (tmp_path / "mine" / "mine_curve.csv").read_text().splitlines()
    before, after = (float(line.split(",")[3]) for line in (log[1], log[-1]))
    assert after > max(0.6, before + 0.2)
    assert card.accuracy["validation Dice"] == pytest.approx(after, abs=0.1)
    assert (tmp_path / "mine" / "mine_curve.svg").read_text().startswith("<svg")
    assert card.training is not None
    assert card.training.recipe[-1][0] == "finetune"
    weights = card_path.with_suffix(".safetensors")
    image = tmp_path / "data" / "c_image.tif"
    arguments = ["--weights", str(weights), "--diameter", "11px", "--no-surface"]
    assert main(["run", str(image), "-o", str(tmp_path / "out"), *arguments]) == 0
    labels = open_volume(next((tmp_path / "out").glob("Instance_seg*.tif"))).data
    truth = open_volume(tmp_path / "data" / "c_labels.tif").data
    everything = (slice(None), slice(None), slice(None))
    found, true = labels[everything] > 0, truth[everything] > 0
    assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.6


def test_what_the_card_of_the_start_says_is_taken_over(tmp_path: Path) -> None:
    request = _request(tmp_path, steps=3)
    start, new = read_card(Path(request.weights).with_suffix(".json")), None
    new = read_card(run_finetuning(request))
    for field in ("architecture", "options", "normalization", "object_diameter_voxels", "output"):
        assert getattr(new, field) == getattr(start, field), field
    assert new.default_threshold == start.default_threshold
    assert not list((tmp_path / "mine").glob("*.pth"))


def test_a_cancelled_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole = run_finetuning(_request(tmp_path, out=tmp_path / "whole", name="n"))
    request = _request(tmp_path, out=tmp_path / "parts", name="n")
    token = CancelToken()

    def stop_at_four(report: Progress) -> None:
        if report.stage.startswith("Train") and report.done == 4:
            token.cancel()

    with pytest.raises(Cancelled):
        run_finetuning(request, progress=stop_at_four, cancel=token)
    seen: list[int] = []
    parts = run_finetuning(
        request, progress=lambda r: seen.append(r.done) if r.stage.startswith("Train") else None
    )
    assert seen[0] == 4
    assert read_card(parts).weights_sha256 == read_card(whole).weights_sha256


def test_ctrl_c_ends_after_a_step_and_the_same_command_goes_on(tmp_path: Path) -> None:
    request = _request(tmp_path)
    out = tmp_path / "mine"
    command = ["train", "finetune", "--data", str(tmp_path / "data"), "-o", str(out)]
    command += ["--weights", request.weights, "--patch", "24", "--batch", "1", "--threads", "1"]
    command += ["--steps", "60", "--validate-every", "30"]

    def interrupt_once_it_learns() -> None:
        while not (out / "run" / "log.csv").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    watcher = threading.Thread(target=interrupt_once_it_learns)
    watcher.start()
    assert main(command) == 130
    watcher.join()
    step = torch.load(out / "run" / "checkpoint.pt", weights_only=True)["step"]
    assert 0 < step < 60
    assert main(command) == 0
    rows = (out / "mine_curve.csv").read_text().splitlines()[1:]
    assert [int(row.split(",")[0]) for row in rows] == [0, 30, 60]


def test_other_labels_do_not_go_on_with_the_old_training(tmp_path: Path) -> None:
    request = _request(tmp_path, steps=2)
    run_finetuning(request)
    write_pair(tmp_path / "data", "a", 77)
    with pytest.raises(SettingsError, match="other settings or data"):
        run_finetuning(request)


def test_weights_that_get_no_better_are_those_started_from(tmp_path: Path) -> None:
    request = _request(tmp_path, learning_rate=1e-12, validate_every_steps=1, patience=2, steps=50)
    card_path = run_finetuning(request)
    log = (tmp_path / "mine" / "mine_curve.csv").read_text().splitlines()
    assert len(log) < 12
    start = read_weights(Path(request.weights)).state
    result = read_weights(card_path.with_suffix(".safetensors")).state
    assert all(torch.equal(start[key], result[key]) for key in start)


def test_without_anything_to_judge_by_the_last_weights_count(tmp_path: Path) -> None:
    card_path = run_finetuning(_request(tmp_path, validation_share=0, augment=False))
    start = read_weights(tmp_path / "start" / "start.safetensors").state
    result = read_weights(card_path.with_suffix(".safetensors")).state
    assert any(not torch.equal(start[key], result[key]) for key in start)
    assert read_card(card_path).accuracy == {}


def test_a_published_checkpoint_stays_one_that_the_plugin_loads(tmp_path: Path) -> None:
    checkpoint = tmp_path / "SegResNet_latest.pth"
    torch.save(reference_weights(build_network("SegResNet", {})), checkpoint)
    request = _request(tmp_path, weights=str(checkpoint), steps=2, patch_voxels=32)
    card = read_card(run_finetuning(request))
    assert (card.input_axes, card.normalization.scope) == ("XYZ", "window")
    assert (card.output.activation, card.output.target) == ("sigmoid", "foreground")
    assert card.object_diameter_voxels is None
    assert load_network(tmp_path / "mine" / "mine.json").card == card
    state = torch.load(tmp_path / "mine" / "mine_cellseg3d.pth", weights_only=True)
    expected = json.loads((REFERENCE / "SegResNet.keys.json").read_text())
    assert {key: list(value.shape) for key, value in state.items()} == {
        key: shape for key, (shape, _) in expected.items()
    }
    assert all(
        str(value.dtype).removeprefix("torch.") == expected[k][1] for k, value in state.items()
    )


def test_weights_that_cannot_be_taught_are_refused(tmp_path: Path) -> None:
    wnet = write_start(tmp_path / "wnet", "WNet")
    with pytest.raises(SettingsError, match="cellseg train adapt"):
        run_finetuning(_request(tmp_path, weights=str(wnet)))
    script = tmp_path / "scripted.pt"
    torch.jit.script(torch.nn.Conv3d(1, 1, 1)).save(str(script))
    with pytest.raises(WeightsError, match="TorchScript"):
        run_finetuning(_request(tmp_path, weights=str(script)))
    with pytest.raises(SettingsError, match="--patch 24"):
        run_finetuning(_request(tmp_path, patch_voxels=25))


@pytest.mark.parametrize("network", ["TRAILMAP_MS", "VNet", "SwinUNetR"])
def test_the_other_supervised_networks_can_be_taught_too(network: str, tmp_path: Path) -> None:
    options = {"TRAILMAP_MS": {"f_maps": 4, "num_levels": 2}, "VNet": {"base_features": 2}}
    small = options.get(network, {"feature_size": 12, "depths": [1, 1, 1, 1]})
    torch.manual_seed(0)
    checkpoint = tmp_path / "own.pth"
    torch.save(build_network(network, small).state_dict(), checkpoint)
    patch = {"TRAILMAP_MS": 24, "VNet": 32}.get(network, 64)
    card_path = run_finetuning(
        _request(tmp_path, weights=str(checkpoint), steps=1, patch_voxels=patch)
    )
    loaded = load_network(card_path, network=network)
    with torch.inference_mode():
        answer = loaded.module(torch.zeros(1, 1, 64, 64, 64)).numpy()
    assert np.isfinite(answer).all()
