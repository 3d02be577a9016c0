"""Named settings of the user, one JSON file each; the command line reads the same files."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from cellseg_app.atomic import output_error, write_text_atomic
from cellseg_app.core.errors import InputError
from cellseg_app.core.settings import RunSettings
from cellseg_app.io.naming import clean_name
from cellseg_app.paths import user_data_path


def presets_folder() -> Path:
    """Where presets lie on this machine."""
    return user_data_path() / "presets"


def list_presets(folder: Path) -> list[str]:
    """Return the names of the presets, in alphabetical order."""
    return sorted((path.stem for path in folder.glob("*.json")), key=str.casefold)


def save_preset(folder: Path, name: str, settings: RunSettings) -> Path:
    """Write a preset; one of the same name is replaced. A region stays with its volume.

    Raises
    ------
    OutputError
        The folder cannot be written to.
    """
    path = folder / f"{clean_name(name)}.json"
    write_text_atomic(path, settings.for_any_volume().model_dump_json(indent=2) + "\n")
    return path


def load_preset(path: Path) -> RunSettings:
    """Read a preset.

    Raises
    ------
    InputError
        It is missing, no JSON, or holds values that are not allowed.
    """
    try:
        return RunSettings.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"The preset has a value that is not allowed: {where}: {first['msg']}.",
            "Correct it, or save the preset anew.",
            path=path,
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(
            "The preset cannot be read.", "Give a JSON file of settings.", path=path
        ) from error


def delete_preset(path: Path) -> None:
    """Remove a preset.

    Raises
    ------
    OutputError
        The file cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise output_error(path, error) from error
