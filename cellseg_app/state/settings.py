"""What the application remembers from one start to the next.

A settings file never stops the start: it is read key by key, what is good is kept, the rest
falls back to its default.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel, ValidationError, field_validator

from cellseg_app.atomic import write_text_atomic
from cellseg_app.core.errors import SettingsError, UserError
from cellseg_app.core.scheduler import parse_scheduler
from cellseg_app.core.settings import RunSettings, Section, setting
from cellseg_app.core.sources import shown
from cellseg_app.paths import user_data_path

Theme = Literal["system", "light", "dark"]
_MAX_RECENT: Final = 12
_log = logging.getLogger(__name__)
_Model = TypeVar("_Model", bound=BaseModel)


class DisplaySettings(Section):
    """Which results are shown in the window after a batch."""

    show_results: bool = setting(
        True, "Show results", "Opens the cells in the viewer as soon as a volume is done."
    )
    max_results: int = setting(
        5,
        "Side by side, at most",
        "How many results of a folder the grid shows side by side.",
        unit="results",
        ge=1,
        le=16,
    )
    with_original: bool = setting(
        True, "With the original", "Shows the image under the labels in the grid."
    )


class ClusterSettings(Section):
    """Which processes share the work; results are the same whoever computes them."""

    scheduler: str = setting(
        "",
        "Dask scheduler",
        "Shares runs out over Dask workers: the address of a scheduler such as tcp://host:8786, "
        "local:4 for processes of this computer, or slurm:partition.yaml (also pbs:, lsf:, sge:). "
        "All workers must reach input, output and weights by the same paths. Empty means that "
        "this computer does it alone.",
    )

    @field_validator("scheduler", mode="before")
    @classmethod
    def _is_one(cls, text: object) -> object:
        if not isinstance(text, str) or not text.strip():
            return "" if text is None or isinstance(text, str) else text
        try:
            parse_scheduler(text)
        except SettingsError as error:
            raise ValueError(str(error)) from error
        return text.strip()


class FormSettings(Section):
    """Everything the form edits: the run, where results go, who computes, and what is shown."""

    run: RunSettings = RunSettings()
    output_folder: str = setting(
        "",
        "Output folder",
        "Where results go; empty means a folder “CellSeg results” beside the volume.",
    )
    cluster: ClusterSettings = ClusterSettings()
    display: DisplaySettings = DisplaySettings()


class UserSettings(Section):
    """Layout, recent files and the last form.

    Attributes
    ----------
    geometry, layout
        Size and docks of the main window, as Qt saves them, in hexadecimal.
    release_feed
        Where "Check for updates" asks; empty for the address that the program was built with.
    """

    form: FormSettings = FormSettings()
    recent: tuple[str, ...] = ()
    theme: Theme = "system"
    geometry: str = ""
    layout: str = ""
    release_feed: str = ""

    def with_recent(self, path: Path) -> UserSettings:
        """The settings with `path` first among the recent files."""
        others = [known for known in self.recent if known != shown(path)]
        return self.model_copy(update={"recent": (shown(path), *others)[:_MAX_RECENT]})


def settings_path() -> Path:
    """Where the settings lie on this machine."""
    return user_data_path() / "window.json"


def read_settings(path: Path) -> UserSettings:
    """Read the settings; whatever cannot be read is replaced by its default."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return UserSettings()
    except (OSError, ValueError) as error:
        _log.warning("The settings %s cannot be read (%s); defaults are used.", path, error)
        return UserSettings()
    return salvaged(UserSettings, content)


def write_settings(path: Path, settings: UserSettings) -> None:
    """Write the settings; a failure is logged and nothing else.

    The region is left out: at the next start it would silently restrict runs of other volumes.
    """
    run = settings.form.run.for_any_volume()
    form = settings.form.model_copy(update={"run": run})
    kept = settings.model_copy(update={"form": form})
    try:
        write_text_atomic(path, kept.model_dump_json(indent=1))
    except UserError as error:
        _log.warning("The settings could not be saved: %s", error)


def salvaged(model: type[_Model], content: object) -> _Model:
    """Build a model from the parts of `content` that are allowed; defaults for the rest."""
    good: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if not isinstance(content, dict) or name not in content:
            continue
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            good[name] = salvaged(inner, content[name])
        elif _is_allowed(model, name, content[name]):
            good[name] = content[name]
        else:
            _log.warning("The setting %s=%r is not allowed; the default is used.", name, content)
    try:
        return model.model_validate(good)
    except ValidationError:
        return model()


def _is_allowed(model: type[BaseModel], name: str, value: object) -> bool:
    try:
        model.model_validate({name: value})
    except ValidationError:
        return False
    return True
