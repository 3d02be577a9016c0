"""What a card says can be run again: word for word, in order, and nothing else."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from cellseg_app.cli import main
from cellseg_app.core.errors import InputError, SettingsError, WeightsError
from cellseg_app.inference.cards import TrainingRecord, read_card, write_card
from cellseg_app.training.recipe import check_recipe, recipe_of_command
from cellseg_app.training.reproduce import reproduce
from cellseg_app.training.requests import FinetuneRequest, SimulationRequest, TrainingRequest
from cellseg_app.training.steps import parse_step, step_of
from tests.labelled_balls import write_start

SIMULATE = (
    "simulate -o sim --count 3 --seed 1 --preset embryo --diameter-voxels 8 8 --size 36 36 36"
)
TRAIN = (
    "supervised --network SegResNet --data sim:1 --hold-out simulated_00002 -o round1 --steps 2 "
    "--batch 1 --patch 16 --learning-rate 0.001 --seed 3 --option init_filters=8 "
    "--option blocks_down=[1,1] --option blocks_up=[1] --threads 1"
)


def _record(**changes: object) -> TrainingRecord:
    known = {"seed": 0, "date": "2026-11-25", "data": "", "steps": 1, "hours": 0}
    return TrainingRecord.model_validate({**known, **changes})


@pytest.mark.parametrize(
    "request_",
    [
        SimulationRequest(out=Path("sim"), count=4, size=(40, 44, 48), diameter_voxels=(4.5, 16.0)),
        TrainingRequest(
            network="VNet",
            options={"base_features": 4, "bias": True},
            data=((Path("sim"), 0.85), (Path("own data"), 0.15)),
            hold_out=("Emb11*", "simulated_0000?"),
            out=Path("round2"),
            start=Path("round1/VNet.safetensors"),
            learning_rate=6e-4,
            voxel_size_um_zyx=(1.75, 0.8, 0.8),
        ),
        TrainingRequest(network="WNet", data=((Path("sim"), 1.0),), out=Path("wnet"), seed=3),
        FinetuneRequest(data=(Path("own"),), out=Path("mine"), augment=False, patch_voxels=48),
        FinetuneRequest(images=Path("i"), labels=Path("l"), out=Path("m"), weights="a/b.pth"),
    ],
)
def test_the_words_of_a_step_give_the_same_request_again(request_: TrainingRequest) -> None:
    kind, again = parse_step(step_of(request_))
    assert again == request_
    assert kind == step_of(request_)[0]


def test_the_command_for_people_follows_from_the_steps() -> None:
    record = _record(recipe=[["simulate", "-o", "my sim"], ["wnet", "--hold-out", "a*"]])
    assert record.command == (
        "cellseg train simulate -o 'my sim'; cellseg train wnet --hold-out 'a*'"
    )
    assert _record(command="by hand").recipe == ()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("rm -rf /", "no training step 'rm'"),
        ("simulate -o ../elsewhere", "plain folder name"),
        ("simulate -o /tmp/x", "plain folder name"),
        ("simulate -o a --exec x", "unrecognized"),
        ("simulate -o a --count many", "invalid int"),
        ("simulate -o a --count 0", "--count"),
        ("simulate --count 3", "required"),
        ("supervised --data a -o b --name ../x", "--name"),
        ("supervised --data a -o b --voxel-size 1 0 1", "positive"),
    ],
)
def test_a_step_that_is_not_one_is_refused_with_a_sentence(words: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        check_recipe([tuple(words.split())])


def test_two_steps_must_not_write_to_one_folder() -> None:
    with pytest.raises(SettingsError, match="Two steps"):
        check_recipe([("simulate", "-o", "a"), ("simulate", "-o", "a", "--seed", "2")])


def test_from_commands_to_a_bundled_card_and_back_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in (SIMULATE, TRAIN):
        assert main(["train", *command.split()]) == 0
    with (tmp_path / "accuracy.csv").open("w", newline="") as file:
        rows = [["volume", "group", "method", "f1@0.5", "detection_f1"]]
        rows += [["ovule", "", "SegResNet", "0.9", "1"], ["worm", "", "SegResNet", "", "0.97"]]
        rows += [["a", "both", "SegResNet", "0.5", "1"], ["b", "both", "SegResNet", "0.7", "1"]]
        csv.writer(file).writerows([*rows, ["ovule", "", "WNet", "0.1", "0.2"]])
    bundling = ["train", "bundle", "round1", "-o", "weights", "--name", "Tiny"]
    assert main([*bundling, "--licence", "CC0", "--accuracy", "accuracy.csv"]) == 0
    card = read_card(tmp_path / "weights" / "Tiny.json")
    assert card.training is not None
    assert [step[0] for step in card.training.recipe] == ["simulate", "supervised"]
    assert (card.licence, card.training.curve_file) == ("CC0", "Tiny_curve.csv")
    assert card.accuracy["ovule F1@0.5"] == 0.9
    assert card.accuracy["worm detection F1"] == 0.97
    assert card.accuracy["both F1@0.5"] == 0.6
    assert (tmp_path / "weights" / "Tiny_curve.csv").read_text().startswith("step,loss")

    again = ["train", "reproduce", "weights/Tiny.safetensors", "-o", "again"]
    assert main(again) == 0
    assert "same, bit for bit" in capsys.readouterr().out
    assert (tmp_path / "again" / "round1" / "SegResNet.safetensors").read_bytes() == (
        tmp_path / "weights" / "Tiny.safetensors"
    ).read_bytes()
    assert main(again) == 0
    assert capsys.readouterr().out.count("done before") == 2


def test_data_that_no_step_makes_must_be_named(tmp_path: Path) -> None:
    weights = write_start(tmp_path)
    card = read_card(weights.with_suffix(".json"))
    step = step_of(TrainingRequest(data=((Path("embryos"), 1.0),), out=Path("r")))
    changed = card.model_copy(update={"training": _record(recipe=[step])})
    write_card(changed, weights.with_suffix(".json"))
    with pytest.raises(InputError, match="--data embryos=FOLDER"):
        reproduce(weights, tmp_path / "work", {})


def test_a_step_cannot_read_outside_its_own_folders(tmp_path: Path) -> None:
    weights = write_start(tmp_path)
    card = read_card(weights.with_suffix(".json"))
    step = ("supervised", "--data", "a/../../b:1", "-o", "r")
    changed = card.model_copy(update={"training": _record(recipe=[step])})
    write_card(changed, weights.with_suffix(".json"))
    with pytest.raises(InputError, match="made by no step"):
        reproduce(weights, tmp_path / "work", {"a": tmp_path})


def test_an_old_card_says_what_to_run_by_hand(tmp_path: Path) -> None:
    weights = write_start(tmp_path)
    card = read_card(weights.with_suffix(".json"))
    old = card.model_copy(update={"training": _record(command="cellseg train wnet --data x")})
    write_card(old, weights.with_suffix(".json"))
    with pytest.raises(WeightsError, match="Run by hand: cellseg train wnet --data x"):
        reproduce(weights, tmp_path / "work", {})


def test_the_text_of_an_old_card_becomes_steps() -> None:
    text = (
        "cellseg train simulate --count 748 --seed 2 -o sim2; cellseg train wnet --data sim2:1 "
        "--hold-out 'simulated 0000?' --voxel-size 1.75 0.8 0.8 --steps 900 -o wnet"
    )
    simulate, wnet = recipe_of_command(text)
    assert simulate == ("simulate", "--count", "748", "--seed", "2", "-o", "sim2")
    assert wnet[:5] == ("wnet", "--data", "sim2:1", "--hold-out", "simulated 0000?")
    assert _record(recipe=[simulate, wnet]).command == text
    for other in ("", "make weights", "cellseg train wnet --data a -o b; rm -r b"):
        with pytest.raises(SettingsError):
            recipe_of_command(other)


def test_a_folder_with_another_step_is_not_taken_for_done(tmp_path: Path) -> None:
    weights = write_start(tmp_path)
    card = read_card(weights.with_suffix(".json"))
    recipe = [tuple(SIMULATE.split()), tuple(TRAIN.split())]
    write_card(
        card.model_copy(update={"training": _record(recipe=recipe)}), weights.with_suffix(".json")
    )
    other = tmp_path / "work" / "sim"
    other.mkdir(parents=True)
    (other / "step.json").write_text(json.dumps(["simulate", "-o", "sim", "--seed", "9"]))
    with pytest.raises(SettingsError, match="another step"):
        reproduce(weights, tmp_path / "work", {})
