"""Freshly initialized networks that are loaded like any other, for tests and benchmarks."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from cellseg_app.inference.cards import ModelCard, OutputSpec, write_card
from cellseg_app.inference.fingerprint import sha256_of
from cellseg_app.inference.nets import build_network, network_traits
from cellseg_app.inference.weights import LoadedNetwork, load_network
from tests.reference_weights import reference_weights


def seeded_network(architecture: str, options: dict[str, object], *, edge: int = 32) -> nn.Module:
    """A network with seeded weights whose batch normalization has seen one volume."""
    torch.manual_seed(0)
    module = build_network(architecture, options)
    if any(isinstance(part, nn.BatchNorm3d) for part in module.modules()):
        module.train()
        with torch.no_grad():
            module(torch.rand(2, 1, edge, edge, edge))
    return module.eval()


def stored_network(
    architecture: str,
    options: dict[str, object],
    folder: Path,
    *,
    module: nn.Module | None = None,
    **card_fields: object,
) -> LoadedNetwork:
    """A network written with its card and loaded; by default with the weights of the references."""
    if module is None:
        module = build_network(architecture, options).eval()
        module.load_state_dict(reference_weights(module))
    path = folder / f"{architecture}.safetensors"
    save_file(module.state_dict(), path)
    traits = network_traits(architecture, options)
    own_sigmoid = architecture == "TRAILMAP_MS"
    fields: dict[str, object] = {
        "name": architecture,
        "title": architecture,
        "architecture": architecture,
        "options": options,
        "weights_file": path.name,
        "weights_sha256": sha256_of(path),
        "output": OutputSpec(activation="identity" if own_sigmoid else "sigmoid"),
        "classes": traits.classes,
        "divisor": traits.divisor,
        "minimum": traits.minimum,
        "window_default": 64 if architecture == "SwinUNetR" else 32,
    }
    card = ModelCard.model_validate(fields | card_fields)
    write_card(card, path.with_suffix(".json"))
    return load_network(path)
