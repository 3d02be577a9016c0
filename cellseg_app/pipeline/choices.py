"""What holds once the user's choices, the card and the method's own values are put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from cellseg_app.analysis.instances import INSTANCE_METHODS
from cellseg_app.core.errors import SettingsError
from cellseg_app.core.settings import InstanceSettings, RunSettings
from cellseg_app.inference.cards import ModelCard

_DEFAULT_METHOD: Final = "cell-peaks"


@dataclass(frozen=True, slots=True)
class CellDefaults:
    """What holds where the settings leave it open; from the model card."""

    threshold: float = 0.5
    method: str = _DEFAULT_METHOD
    options: dict[str, Any] | None = None

    @classmethod
    def of(cls, card: ModelCard) -> CellDefaults:
        """The defaults of a card."""
        return cls(
            card.default_threshold,
            card.default_instances or _DEFAULT_METHOD,
            dict(card.default_instance_options),
        )


@dataclass(frozen=True, slots=True)
class InstanceChoice:
    """Method, its threshold (None: its own) and options, after all defaults."""

    method: str
    threshold: float | None
    options: InstanceSettings


def instance_choice(settings: RunSettings, defaults: CellDefaults) -> InstanceChoice | None:
    """How cells are told apart; None if the user wants no instances."""
    method = settings.instances.method or defaults.method
    if method == "none":
        return None
    threshold = settings.threshold.threshold
    # Otsu's method finds its own threshold unless the user insists on one.
    if threshold is None and method != "voronoi-otsu":
        threshold = defaults.threshold
    return InstanceChoice(method, threshold, _options(settings.instances, method, defaults))


def _options(chosen: InstanceSettings, method: str, defaults: CellDefaults) -> InstanceSettings:
    """The user's options, completed by the card's where it speaks of the same method."""
    if method != defaults.method or not defaults.options:
        return chosen
    given = {key: value for key, value in chosen.model_dump().items() if value is not None}
    known = {k: v for k, v in defaults.options.items() if k in INSTANCE_METHODS[method].options}
    return InstanceSettings.model_validate({**known, **given})


def no_such_class(wanted: int, n_classes: int) -> SettingsError:
    """The sentence for a user who asked for a class that the network does not have."""
    return SettingsError(
        f"There is no class {wanted}: this network has {n_classes}.",
        f"Choose auto, all or a class from 0 to {n_classes - 1}.",
    )
