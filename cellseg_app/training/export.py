"""Trained weights as a file with a model card, ready for `cellseg run --weights`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from cellseg_app.inference.cards import (
    ModelCard,
    Normalization,
    OutputSpec,
    TrainingRecord,
    write_card,
)
from cellseg_app.inference.fingerprint import replacing, sha256_of
from cellseg_app.inference.nets import network_options, network_traits
from cellseg_app.inference.weights_formats import State
from cellseg_app.training.samples import HIGH_QUANTILE, LOW_QUANTILE
from cellseg_app.training.settings import TrainingSettings

SEED_DEPTH = 0.08
_DECODER = "decoder."


def write_weights(
    state: State,
    settings: TrainingSettings,
    folder: Path,
    *,
    name: str,
    record: TrainingRecord,
    object_diameter_voxels: float,
    accuracy: dict[str, float] | None = None,
    **about: str,
) -> Path:
    """Write `NAME.safetensors` (half precision) and its card; return the card's path.

    Parameters
    ----------
    state
        Weights; those of a WNet decoder are left out, only training needs them.
    settings
        What the weights were trained with.
    folder, name
        Where to write and what to call it.
    record
        How to make the weights again.
    object_diameter_voxels
        Diameter of a typical object on the network's lattice.
    accuracy
        Measured figures by name.
    about
        Further fields of the card: title, licence, source, citation, notes.
    """
    path = folder / f"{name}.safetensors"
    kept = {
        key: value.half().contiguous() if value.is_floating_point() else value.contiguous()
        for key, value in state.items()
        if not key.startswith(_DECODER)
    }
    with replacing(path) as temporary:
        save_file(kept, temporary, metadata={"architecture": settings.architecture})
    options = {k: v for k, v in settings.options.items() if k != "decoder"}
    traits = network_traits(settings.architecture, options)
    unsupervised = settings.architecture == "WNet"
    card = ModelCard(
        name=name,
        title=about.pop("title", f"{settings.architecture}, trained with CellSeg"),
        architecture=settings.architecture,
        options=_plain(network_options(settings.architecture, options).model_dump(mode="json")),
        weights_file=path.name,
        weights_sha256=sha256_of(path),
        normalization=Normalization(low_quantile=LOW_QUANTILE, high_quantile=HIGH_QUANTILE),
        output=_output(settings.architecture),
        classes=traits.classes,
        object_diameter_voxels=object_diameter_voxels,
        window_default=max(
            traits.divisor, settings.patch_voxels // traits.divisor * traits.divisor
        ),
        divisor=traits.divisor,
        minimum=traits.minimum,
        default_threshold=0.5,
        default_instances="cell-peaks",
        # Sought on held-out volumes; the map of a WNet has no peaks worth a depth of its own.
        default_instance_options={} if unsupervised else {"seed_depth": SEED_DEPTH},
        training=record,
        accuracy=accuracy or {},
        **about,
    )
    write_card(card, folder / f"{name}.json")
    return folder / f"{name}.json"


def bright_class_first(state: State, *, bright: int) -> State:
    """Return WNet weights whose class 0 is what was class `bright`."""
    result = dict(state)
    order = torch.tensor([bright])
    for key, value in state.items():
        if not key.startswith("encoder.out_b.") or not _is_last_layer(key, state):
            continue
        rest = torch.tensor([k for k in range(len(value)) if k != bright])
        result[key] = value[torch.cat([order, rest])]
    return result


def _is_last_layer(key: str, state: State) -> bool:
    numbers = [int(k.split(".")[3]) for k in state if k.startswith("encoder.out_b.module.")]
    return int(key.split(".")[3]) == max(numbers)


def _output(architecture: str) -> OutputSpec:
    if architecture == "WNet":
        return OutputSpec(activation="softmax", target="classes", foreground_class=0)
    activation = "identity" if architecture == "TRAILMAP_MS" else "sigmoid"
    return OutputSpec(activation=activation, target="centre_peaked")


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    return {key: list(v) if isinstance(v, tuple) else v for key, v in options.items()}
