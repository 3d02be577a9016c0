"""Trained weights as a file with a model card, ready for `cellseg run --weights`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file

from cellseg_app.atomic import atomic_path
from cellseg_app.inference.cards import (
    ModelCard,
    Normalization,
    OutputSpec,
    TrainingRecord,
    write_card,
)
from cellseg_app.inference.fingerprint import sha256_of
from cellseg_app.inference.nets import build_network, network_options, network_traits
from cellseg_app.inference.weights_formats import State
from cellseg_app.training.samples import HIGH_QUANTILE, LOW_QUANTILE
from cellseg_app.training.settings import TrainingSettings

# Below one half, because people outline a little more than half of what a cell stands out.
PEAKED_THRESHOLD = 0.45
SEED_DEPTH = 0.1
_DECODER = "decoder."
_LAST_BLOCK = "encoder.out_b.module."


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
    with atomic_path(path) as temporary:
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
        default_threshold=0.5 if unsupervised else PEAKED_THRESHOLD,
        default_instances="cell-peaks",
        # Sought on held-out volumes; the map of a WNet has no peaks worth a depth of its own.
        default_instance_options={} if unsupervised else {"seed_depth": SEED_DEPTH},
        training=record,
        accuracy=accuracy or {},
        **about,
    )
    write_card(card, folder / f"{name}.json")
    return folder / f"{name}.json"


def bright_class_first(
    state: State, options: dict[str, Any], images: Iterable[npt.NDArray[np.float32]]
) -> State:
    """Return WNet weights whose class 0 is the one that is brightest in some images.

    Parameters
    ----------
    state
        Weights of the encoder, with or without the decoder; the result is without.
    options
        Width of the network.
    images
        Normalized (Z, Y, X) images.
    """
    encoder = {key: value for key, value in state.items() if not key.startswith(_DECODER)}
    network = build_network("WNet", {**options, "decoder": False}).eval()
    network.load_state_dict(encoder)
    light, weight = torch.zeros(1), torch.zeros(1)
    with torch.inference_mode():
        for image in images:
            sides = tuple(slice(0, size // 8 * 8) for size in image.shape)
            tensor = torch.from_numpy(np.ascontiguousarray(image[sides]))[None, None]
            classes = torch.softmax(network(tensor), dim=1)[0]
            light = light + (classes * tensor[0]).sum(dim=(1, 2, 3))
            weight = weight + classes.sum(dim=(1, 2, 3))
    order = torch.argsort(light / (weight + 1e-6), descending=True)
    last = max(int(key.split(".")[3]) for key in encoder if key.startswith(_LAST_BLOCK))
    for name in ("weight", "bias"):
        key = f"{_LAST_BLOCK}{last}.{name}"
        encoder[key] = encoder[key][order]
    return encoder


def _output(architecture: str) -> OutputSpec:
    if architecture == "WNet":
        return OutputSpec(activation="softmax", target="classes", foreground_class=0)
    activation = "identity" if architecture == "TRAILMAP_MS" else "sigmoid"
    return OutputSpec(activation=activation, target="centre_peaked")


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    return {key: list(v) if isinstance(v, tuple) else v for key, v in options.items()}
