"""Which fields do nothing for the network, method and volume chosen, and why. Qt-free."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from cellseg_app.core.extras import how_to_install
from cellseg_app.core.settings import RunSettings
from cellseg_app.inference.cards import ModelCard
from cellseg_app.io.open import VolumeInfo
from cellseg_app.ui.forms.field_specs import FieldPath

# The options that each method looks at; held against the engine by a test.
METHOD_OPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "cell-peaks": (
        "min_size_voxels",
        "min_uncut_voxels",
        "seed_smoothing",
        "seed_depth",
        "remove_border",
    ),
    "voronoi-otsu": ("min_size_voxels", "spot_sigma", "outline_sigma", "remove_border"),
    "watershed": ("min_size_voxels", "seed_threshold", "min_seed_voxels", "remove_border"),
    "connected-components": ("min_size_voxels", "remove_border"),
    "none": (),
}
_DEFAULT_METHOD: Final = "cell-peaks"
_WITH_INPUT_SIZE: Final = ("SegResNet", "SwinUNetR")


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the form is filled in for.

    Attributes
    ----------
    card
        Card of the weights chosen; None if they have none or are not here.
    info
        The volume looked at; None before one is open.
    has_dask
        Whether the extra `cluster` is installed.
    """

    settings: RunSettings
    card: ModelCard | None = None
    info: VolumeInfo | None = None
    has_dask: bool = True

    @property
    def method(self) -> str:
        """The instance method that will be used."""
        own = self.card.default_instances if self.card else None
        return self.settings.instances.method or own or _DEFAULT_METHOD


Rule = Callable[[Circumstances], str]


def reasons(now: Circumstances) -> dict[FieldPath, str]:
    """Return the fields that do nothing now, each with the reason."""
    found: dict[FieldPath, str] = {("run", *path): rule(now) for path, rule in _RULES.items()}
    if not now.has_dask:
        found["cluster", "scheduler"] = f"Dask is not installed. {how_to_install('cluster')}"
    return {path: reason for path, reason in found.items() if reason}


def _window(now: Circumstances) -> str:
    name = now.settings.network.name
    if now.card is not None and now.card.window_fixed:
        return f"{name} always sees windows of {now.card.window_default} voxels."
    if now.card is None and name == "WNet":
        return "WNet always sees windows of 64 voxels, the size it was trained on."
    return ""


def _input_size(now: Circumstances) -> str:
    network = now.settings.network
    if network.name not in _WITH_INPUT_SIZE:
        return f"Weights of {network.name} do not depend on an input size."
    if network.weights is None:
        return "The bundled weights know their input size."
    return "" if now.card is None else "The model card states the input size."


def _class_choice(now: Circumstances) -> str:
    if now.card is not None:
        return "" if now.card.classes > 1 else "These weights tell cells from background only."
    name = now.settings.network.name
    return "" if name == "WNet" else f"{name} tells cells from background only."


def _diameter(now: Circumstances) -> str:
    if now.card is not None and now.card.object_diameter_voxels is None:
        return "These weights do not state a cell size, so volumes are never resized for them."
    return ""


def _diameter_unit(now: Circumstances) -> str:
    return _diameter(now) or (
        "" if isinstance(now.settings.size.diameter, (int, float)) else "Set a cell diameter first."
    )


def _channel(now: Circumstances) -> str:
    return "The volume has one channel." if now.info and now.info.n_channels < 2 else ""


def _timepoint(now: Circumstances) -> str:
    return "The volume has one time point." if now.info and now.info.n_timepoints < 2 else ""


def _level(now: Circumstances) -> str:
    return "The volume has one resolution level." if now.info and now.info.levels < 2 else ""


def _isotropic(now: Circumstances) -> str:
    known = now.info is None or now.info.spacing_um_zyx is not None
    if known or now.settings.data.voxel_size_um_zyx is not None:
        return ""
    return "The voxel size is unknown; give it under Data."


def _mask(now: Circumstances) -> str:
    return "The empty surroundings are left out." if now.settings.region.non_empty else ""


def _non_empty(now: Circumstances) -> str:
    return "The mask says what is searched." if now.settings.region.mask else ""


def _overlap(now: Circumstances) -> str:
    return "A single window has no overlap." if now.settings.inference.window == "whole" else ""


def _batch(now: Circumstances) -> str:
    return "There is only one window." if now.settings.inference.window == "whole" else ""


def _statistic(now: Circumstances) -> str:
    return "" if now.settings.statistics.enabled else "Cells are not measured."


def _ome_zarr_version(now: Circumstances) -> str:
    return "" if now.settings.output.format == "zarr" else "Results are written as TIFF."


def _probability_dtype(now: Circumstances) -> str:
    output = now.settings.output
    if not output.save_probability:
        return "The semantic map is not saved."
    return "" if output.format == "zarr" else "TIFF holds the map as float32."


def _remove_large(now: Circumstances) -> str:
    return "No cells are told apart." if now.method == "none" else ""


def _option(name: str) -> Rule:
    def rule(now: Circumstances) -> str:
        if name in METHOD_OPTIONS[now.method]:
            return ""
        users = [m for m, options in METHOD_OPTIONS.items() if name in options]
        return f"Only used by {' and '.join(users)}; the method is {now.method}."

    return rule


_RULES: Final[Mapping[tuple[str, str], Rule]] = {
    ("data", "channel"): _channel,
    ("data", "timepoint"): _timepoint,
    ("data", "level"): _level,
    ("region", "mask"): _mask,
    ("region", "non_empty"): _non_empty,
    ("network", "input_size"): _input_size,
    ("inference", "window"): _window,
    ("inference", "overlap"): _overlap,
    ("inference", "batch"): _batch,
    ("size", "diameter"): _diameter,
    ("size", "diameter_unit"): _diameter_unit,
    ("size", "isotropic"): _isotropic,
    ("threshold", "class_choice"): _class_choice,
    ("threshold", "remove_large_voxels"): _remove_large,
    ("statistics", "surface"): _statistic,
    ("statistics", "intensity"): _statistic,
    ("statistics", "uncertainty"): _statistic,
    ("output", "ome_zarr_version"): _ome_zarr_version,
    ("output", "probability_dtype"): _probability_dtype,
    **{
        ("instances", name): _option(name)
        for name in dict.fromkeys(n for options in METHOD_OPTIONS.values() for n in options)
    },
}
