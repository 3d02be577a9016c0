"""Trained weights as a file with a model card, ready for `cellseg run --weights`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from cellseg_app.atomic import atomic_path
from cellseg_app.inference.cards import (
    ModelCard,
    OutputSpec,
    TrainingRecord,
    write_card,
)
from cellseg_app.inference.fingerprint import sha256_of
from cellseg_app.inference.nets import build_network, network_options, network_traits
from cellseg_app.inference.recognize import recognize
from cellseg_app.inference.weights_formats import State
from cellseg_app.training.evaluation import as_batch
from cellseg_app.training.network_input import OWN_INPUT, NetworkInput
from cellseg_app.training.requests import TargetKind
from cellseg_app.training.samples import Sample, list_samples, read_sample
from cellseg_app.training.settings import OWN_NORMALIZATION, WNET_NORMALIZATION, TrainingSettings

# Below one half, because people outline a little more than half of what a cell stands out.
PEAKED_THRESHOLD = 0.45
SEED_DEPTH = 0.1
# Small patches train faster; windows as small would only mean more overlap.
_SMALLEST_WINDOW = 64
_DECODER = "decoder."
_ORDERING_SAMPLES = 6
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
    _write_safetensors(state, path, settings.architecture, dtype=torch.float16)
    options = {k: v for k, v in settings.options.items() if k != "decoder"}
    traits = network_traits(settings.architecture, options)
    unsupervised = settings.architecture == "WNet"
    output = _output(settings.architecture, settings.target)
    card = ModelCard(
        name=name,
        title=about.pop("title", f"{settings.architecture}, trained with CellSeg"),
        architecture=settings.architecture,
        options=_plain(network_options(settings.architecture, options).model_dump(mode="json")),
        weights_file=path.name,
        weights_sha256=sha256_of(path),
        normalization=WNET_NORMALIZATION if unsupervised else OWN_NORMALIZATION,
        output=output,
        classes=traits.classes,
        object_diameter_voxels=object_diameter_voxels,
        window_default=max(
            _SMALLEST_WINDOW, settings.patch_voxels // traits.divisor * traits.divisor
        ),
        divisor=traits.divisor,
        minimum=traits.minimum,
        default_threshold=PEAKED_THRESHOLD if output.target == "centre_peaked" else 0.5,
        default_instances="cell-peaks",
        # Sought on held-out volumes; the map of a WNet has no peaks worth a depth of its own.
        default_instance_options={} if unsupervised else {"seed_depth": SEED_DEPTH},
        training=record,
        accuracy=accuracy or {},
        **about,
    )
    write_card(card, folder / f"{name}.json")
    return folder / f"{name}.json"


def write_continued(
    state: State,
    start: ModelCard,
    settings: TrainingSettings,
    folder: Path,
    *,
    name: str,
    record: TrainingRecord,
    accuracy: dict[str, float],
) -> Path:
    """Write weights that were trained further, with the card they started from; return its path.

    Beside `NAME.safetensors` and its card comes `NAME_cellseg3d.pth`, a plain state dict for
    napari-cellseg3d, where the network has the published width.

    Parameters
    ----------
    state
        The weights, for WNet with its decoder.
    start
        Card of the weights started from: how to use them stays as it was, but for the stretching
        of every window, which finds cells in empty windows; what was learned is a probability.
    settings, folder, name, record, accuracy
        As for `write_weights`.
    """
    path = folder / f"{name}.safetensors"
    _write_safetensors(state, path, start.architecture, dtype=torch.float32)
    changes: dict[str, Any] = {
        "name": name,
        "title": f"{start.architecture}, trained further from {start.name}",
        "weights_file": path.name,
        "weights_sha256": sha256_of(path),
        "training": record.model_dump(),
        "accuracy": accuracy,
        "notes": f"Trained further on own data. {start.notes}".strip(),
    }
    if start.output.activation == "stretch_per_window":
        output = _output(start.architecture, settings.target).model_dump()
        changes |= {"output": output, "default_threshold": 0.5, "cellseg3d_compatible": False}
        changes |= {"blend_sigma": ModelCard.model_fields["blend_sigma"].default}
        changes["notes"] = f"Trained further on own data from {start.name}."
    elif start.architecture == "WNet":
        changes["output"] = _output("WNet", settings.target).model_dump()
    write_card(ModelCard.model_validate({**start.model_dump(), **changes}), folder / f"{name}.json")
    if _is_published_size(state, start.architecture):
        with atomic_path(folder / f"{name}_cellseg3d.pth") as temporary:
            torch.save(state, temporary)
    return folder / f"{name}.json"


def _write_safetensors(state: State, path: Path, architecture: str, *, dtype: torch.dtype) -> None:
    kept = {
        key: (value.to(dtype) if value.is_floating_point() else value).contiguous()
        for key, value in state.items()
        if not key.startswith(_DECODER)
    }
    with atomic_path(path) as temporary:
        save_file(kept, temporary, metadata={"architecture": architecture})


def _is_published_size(state: State, architecture: str) -> bool:
    """Whether the plugin's own network takes these weights: same keys, same shapes."""
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    if recognize(shapes).options:
        return False
    options = {"decoder": True} if architecture == "WNet" else {}
    published = build_network(architecture, options).state_dict()
    return {key: tuple(value.shape) for key, value in published.items()} == shapes


def ordered_by_training_data(state: State, settings: TrainingSettings) -> State:
    """Return WNet weights with the bright class first, judged by the first training samples."""
    paths = list_samples(folder.path for folder in settings.data)[:_ORDERING_SAMPLES]
    return bright_class_first(
        state,
        settings.options,
        map(read_sample, paths),
        seen_as=NetworkInput(settings.normalization, settings.input_axes),
    )


def bright_class_first(
    state: State,
    options: dict[str, Any],
    samples: Iterable[Sample],
    *,
    seen_as: NetworkInput = OWN_INPUT,
) -> State:
    """Return WNet weights whose class 0 is the one that is brightest in some samples.

    Parameters
    ----------
    state
        Weights of the encoder, with or without the decoder, which stays as it is: it is to be
        trained anew or left out.
    options
        Width of the network.
    samples
        What to look at.
    seen_as
        How the network sees it.
    """
    encoder = {key: value for key, value in state.items() if not key.startswith(_DECODER)}
    network = build_network("WNet", {**options, "decoder": False}).eval()
    network.load_state_dict(encoder)
    light, weight = torch.zeros(1), torch.zeros(1)
    with torch.inference_mode():
        for sample in samples:
            z, y, x = (max(8, size // 8 * 8) for size in sample.image.shape)
            batch = as_batch(sample, (z, y, x))
            classes = torch.softmax(seen_as(network, batch), dim=1)[0]
            light = light + (classes * batch.image[0]).sum(dim=(1, 2, 3))
            weight = weight + classes.sum(dim=(1, 2, 3))
    order = torch.argsort(light / (weight + 1e-6), descending=True)
    last = max(int(key.split(".")[3]) for key in encoder if key.startswith(_LAST_BLOCK))
    ordered = dict(state)
    for name in ("weight", "bias"):
        key = f"{_LAST_BLOCK}{last}.{name}"
        ordered[key] = state[key][order]
    return ordered


def _output(architecture: str, target: TargetKind) -> OutputSpec:
    if architecture == "WNet":
        return OutputSpec(activation="softmax", target="classes", foreground_class=0)
    activation = "identity" if architecture == "TRAILMAP_MS" else "sigmoid"
    return OutputSpec(activation=activation, target=target)


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    return {key: list(v) if isinstance(v, tuple) else v for key, v in options.items()}
