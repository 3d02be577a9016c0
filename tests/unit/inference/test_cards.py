"""A model card survives the disk, refuses nonsense, and can be made for a plugin checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cellseg_app.core.errors import OutputError, SettingsError, WeightsError
from cellseg_app.inference.cards import (
    ModelCard,
    Normalization,
    OutputSpec,
    TrainingRecord,
    card_path_for,
    read_card,
    write_card,
)
from cellseg_app.inference.compatible import card_name, compatible_card
from cellseg_app.inference.fingerprint import sha256_of


def own_card(**changes: object) -> ModelCard:
    fields: dict[str, object] = {
        "name": "SegResNet",
        "title": "SegResNet",
        "architecture": "SegResNet",
        "weights_file": "SegResNet.safetensors",
        "weights_sha256": "0" * 64,
    }
    return ModelCard.model_validate(fields | changes)


def test_a_card_comes_back_as_it_was_written(tmp_path: Path) -> None:
    card = own_card(
        options={"init_filters": 16, "vae": False, "blocks_down": [1, 2, 2]},
        normalization=Normalization(low_quantile=0.005, high_quantile=0.995),
        output=OutputSpec(activation="softmax", target="classes", foreground_class=1),
        classes=2,
        training=TrainingRecord(
            command="cellseg train", seed=3, date="2025-01-01", data="simulated", steps=9, hours=0.5
        ),
        default_instance_options={"seed_smoothing": 1.5},
    )
    path = tmp_path / "new folder" / "SegResNet.json"
    write_card(card, path)
    assert read_card(path) == card
    assert [child.name for child in path.parent.iterdir()] == ["SegResNet.json"]


@pytest.mark.parametrize(
    "change",
    [
        {"weights_file": "../../etc/passwd"},
        {"weights_file": "C:\\secret"},
        {"name": "../x"},
        {"unknown_field": 1},
        {"default_threshold": 1.5},
        {"window_default": 60},
        {"output": {"foreground_class": 1}},
        {"normalization": {"low_quantile": 0.9, "high_quantile": 0.1}},
        {"architecture": "custom"},
        {"weights_sha256": "abc"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_card_that_contradicts_itself_is_refused(
    tmp_path: Path, change: dict[str, object]
) -> None:
    path = tmp_path / "card.json"
    path.write_text(json.dumps(own_card().model_dump(mode="json") | change))
    with pytest.raises(WeightsError, match="not a usable model card") as caught:
        read_card(path)
    assert caught.value.path == path
    assert caught.value.remedy


@pytest.mark.parametrize("content", [b"{broken", b"\xff\xfe\x00", b"[]"])
def test_a_file_that_is_no_card_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "card.json"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="model card"):
        read_card(path)
    with pytest.raises(WeightsError, match="cannot be read"):
        read_card(tmp_path / "absent.json")


def test_a_card_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be")
    with pytest.raises(OutputError):
        write_card(own_card(), tmp_path / "taken" / "card.json")
    assert [child.name for child in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize(
    ("architecture", "threshold"),
    [
        ("SegResNet", 0.3),
        ("SwinUNetR", 0.4),
        ("VNet", 0.15),
        ("TRAILMAP_MS", 0.15),
        ("WNet3D", 0.6),
    ],
)
def test_a_plugin_checkpoint_gets_the_plugins_ways(
    tmp_path: Path, architecture: str, threshold: float
) -> None:
    weights = tmp_path / "my cells (best).pth"
    weights.write_bytes(b"weights")
    card = compatible_card(architecture, weights)
    assert card.default_threshold == threshold
    assert card.input_axes == "XYZ"
    assert card.normalization == Normalization(
        scope="window", kind="quantile_clip", low_quantile=0.01, high_quantile=0.99
    )
    assert card.output.activation == "stretch_per_window"
    assert (card.window_default, card.overlap_default, card.blend_sigma) == (64, 0.25, None)
    assert card.cellseg3d_compatible
    assert card.voxel_size_um is None
    assert card.object_diameter_voxels is None
    assert card.weights_sha256 == sha256_of(weights)
    assert card.classes == (2 if architecture == "WNet3D" else 1)
    assert card.window_fixed == (architecture == "WNet3D")
    assert card.name == "my-cells--best-"


def test_the_input_size_becomes_the_window(tmp_path: Path) -> None:
    weights = tmp_path / "w.pth"
    weights.write_bytes(b"weights")
    assert compatible_card("SegResNet", weights, 96).window_default == 96
    for architecture, input_size, reason in [
        ("SegResNet", 100, "multiple of 8"),
        ("SwinUNetR", 32, "64 or more"),
        ("WNet", 96, "bound to windows of 64"),
    ]:
        with pytest.raises(SettingsError, match=reason):
            compatible_card(architecture, weights, input_size)


def test_names_and_paths() -> None:
    assert card_name("...") == "weights"
    assert card_name("Zellkerne_äöü.v2") == "Zellkerne_---.v2"
    assert card_path_for(Path("a/b.safetensors")) == Path("a/b.json")
