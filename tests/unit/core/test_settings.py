from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from cellseg_app.core.settings import RunSettings

SECTIONS = {name: field.annotation for name, field in RunSettings.model_fields.items()}


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_explains_itself(section: str) -> None:
    model = SECTIONS[section]
    assert isinstance(model, type)
    assert issubclass(model, BaseModel)
    for name, field in model.model_fields.items():
        assert field.title, name
        assert field.description, name
        assert field.description.endswith("."), name


def test_settings_survive_a_file() -> None:
    settings = RunSettings.model_validate(
        {
            "data": {"voxel_size_um_zyx": [2, 0.5, 0.5]},
            "size": {"diameter": 12.5, "diameter_unit": "px"},
            "inference": {"window": "whole"},
            "threshold": {"class_choice": 1},
        }
    )
    assert RunSettings.model_validate_json(settings.model_dump_json()) == settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"inference": {"overlap": 0.95}},
        {"inference": {"window": 7}},
        {"inference": {"device": "tpu"}},
        {"network": {"name": "UNet"}},
        {"size": {"diameter": -3}},
        {"data": {"voxel_size_um_zyx": [1, 0, 1]}},
        {"threshold": {"threshold": 1.5}},
        {"instances": {"methode": "watershed"}},
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RunSettings.model_validate(wrong)


def test_settings_cannot_be_changed_behind_a_runs_back() -> None:
    with pytest.raises(ValidationError):
        RunSettings().threshold.threshold = 0.3
