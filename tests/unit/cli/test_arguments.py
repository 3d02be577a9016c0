from __future__ import annotations

import argparse

import pytest

from cellseg_app.cli.arguments import CELL_FLAGS, NETWORK_FLAGS, add_flags, settings_from
from cellseg_app.core.errors import SettingsError
from cellseg_app.core.settings import RunSettings


def _settings(*words: str) -> RunSettings:
    parser = argparse.ArgumentParser()
    add_flags(parser, (*NETWORK_FLAGS, *CELL_FLAGS))
    return settings_from(parser.parse_args(words), RunSettings())


def test_every_setting_has_a_flag() -> None:
    fields = {
        f"{section}.{name}"
        for section, field in RunSettings.model_fields.items()
        for name in field.annotation.model_fields  # type: ignore[union-attr]
    }
    # The unit is part of what --diameter takes.
    assert fields - {"size.diameter_unit"} == {f.target for f in (*NETWORK_FLAGS, *CELL_FLAGS)}


def test_without_flags_nothing_changes() -> None:
    assert _settings() == RunSettings()


@pytest.mark.parametrize(
    ("words", "diameter", "unit"),
    [
        ("12um", 12.0, "um"),
        ("12 µm", 12.0, "um"),
        ("14px", 14.0, "px"),
        ("7.5", 7.5, "um"),
        ("auto", "auto", "um"),
        ("none", None, "um"),
    ],
)
def test_diameter_is_understood(words: str, diameter: object, unit: str) -> None:
    size = _settings("--diameter", words).size
    assert (size.diameter, size.diameter_unit) == (diameter, unit)


@pytest.mark.parametrize("words", ["12cm", "big", "-3um", "0px"])
def test_a_diameter_that_makes_no_sense_is_refused_with_the_right_form(words: str) -> None:
    with pytest.raises(SettingsError, match="12um"):
        _settings(f"--diameter={words}")


def test_words_and_numbers_are_told_apart() -> None:
    settings = _settings("--window", "whole", "--class", "2", "--voxel-size", "2", "0.5", "0.5")
    assert settings.inference.window == "whole"
    assert settings.threshold.class_choice == 2
    assert settings.data.voxel_size_um_zyx == (2.0, 0.5, 0.5)


def test_a_wrong_value_names_its_flag() -> None:
    with pytest.raises(SettingsError, match="--threshold cannot be 3"):
        _settings("--threshold", "3")


@pytest.mark.parametrize("word", ["WNet", "wnet", "WNet3D"])
def test_networks_are_known_by_their_usual_names(word: str) -> None:
    assert _settings("--model", word).network.name == "WNet"


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(SettingsError, match="--model"):
        _settings("--model", "UNet")
