"""What holds once the user's choices, the card and the method's own values are put together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from cellseg_app.analysis.instances import INSTANCE_METHODS
from cellseg_app.analysis.refining import NOT_REFINED
from cellseg_app.core.errors import SettingsError
from cellseg_app.core.settings import InstanceSettings, RunSettings
from cellseg_app.core.volume import ShapeZYX, SpacingZYX
from cellseg_app.inference.cards import ModelCard
from cellseg_app.inference.lattice import lateral_step_um

_DEFAULT_METHOD: Final = "cell-peaks"
_BELIEVABLE_SHARE: Final = 1 / 16


@dataclass(frozen=True, slots=True)
class CellDefaults:
    """What holds where the settings leave it open; from the model card and the lattice.

    `refine_zyx` tells how the map's voxels are divided, by methods that can.
    """

    threshold: float = 0.5
    method: str = _DEFAULT_METHOD
    options: dict[str, Any] | None = None
    refine_zyx: ShapeZYX = NOT_REFINED

    @classmethod
    def of(cls, card: ModelCard, refine_zyx: ShapeZYX = NOT_REFINED) -> CellDefaults:
        """The defaults of a card, for a map whose voxels are divided so."""
        return cls(
            card.default_threshold,
            card.default_instances or _DEFAULT_METHOD,
            dict(card.default_instance_options),
            refine_zyx,
        )


@dataclass(frozen=True, slots=True)
class InstanceChoice:
    """Method, its threshold (None: its own), options and lattice, after all defaults."""

    method: str
    threshold: float | None
    options: InstanceSettings
    refine_zyx: ShapeZYX = NOT_REFINED


def instance_choice(
    settings: RunSettings, defaults: CellDefaults, spacing_um_zyx: SpacingZYX | None
) -> InstanceChoice | None:
    """How cells are told apart; None if the user wants no instances.

    `spacing_um_zyx` is the voxel size of the map.
    """
    method = settings.instances.method or defaults.method
    if method == "none":
        return None
    threshold = settings.threshold.threshold
    # Otsu's method finds its own threshold unless the user insists on one.
    if threshold is None and method != "voronoi-otsu":
        threshold = defaults.threshold
    options = _options(settings.instances, method, defaults)
    if options.min_uncut_voxels is None and options.min_size_voxels is None:
        smallest = _smallest_uncut(settings, spacing_um_zyx)
        options = options.model_copy(update={"min_uncut_voxels": smallest})
    refine = defaults.refine_zyx if INSTANCE_METHODS[method].refines else NOT_REFINED
    return InstanceChoice(method, threshold, options, refine)


def _smallest_uncut(settings: RunSettings, spacing: SpacingZYX | None) -> int | None:
    """Voxels of a sixteenth of a ball of the stated diameter; None where none was stated.

    Of 607 annotated and 4,159 simulated nuclei of the training data that no border cuts, 6.6 % and
    none are smaller than that of the median nucleus of their volume: fragments and debris.
    """
    lateral_um = lateral_step_um(spacing)
    diameter_px = settings.size.stated_px(lateral_um)
    if diameter_px is None:
        return None
    anisotropy = 1.0 if spacing is None or lateral_um is None else spacing[0] / lateral_um
    return round(_BELIEVABLE_SHARE * math.pi / 6 * diameter_px**3 / anisotropy)


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
