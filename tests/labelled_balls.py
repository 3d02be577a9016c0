"""Small labelled volumes of bright balls, and a narrow network to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from cellseg_app.inference.cards import ModelCard, TrainingRecord
from cellseg_app.inference.nets import build_network, network_options
from cellseg_app.training.export import write_weights
from cellseg_app.training.settings import SampleFolder, TrainingSettings
from cellseg_app.training.simulator.stream import write_volume

NARROW = {"init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1], "vae": False, "dropout": 0.0}
NARROW_WNET = {"channels": [8, 8, 8, 8], "dropout": 0.0, "rescale_input_to": None}


def balls(seed: int, *, n: int = 8, edge: int = 40) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Image (uint16) and labels (uint16) of balls eleven voxels wide."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((edge, edge, edge), np.uint16)
    grid = np.indices(labels.shape)
    for label in range(1, n + 1):
        centre = rng.uniform(6, edge - 6, 3).reshape(3, 1, 1, 1)
        labels[((grid - centre) ** 2).sum(0) < 5.5**2] = label
    image = 200 + 800 * (labels > 0) + rng.normal(0, 40, labels.shape)
    return np.clip(image, 0, None).astype(np.uint16), labels


def write_pair(folder: Path, name: str, seed: int, **of_balls: int) -> None:
    """Write `NAME_image.tif` and `NAME_labels.tif`."""
    image, labels = balls(seed, **of_balls)
    folder.mkdir(parents=True, exist_ok=True)
    write_volume(folder / f"{name}_image.tif", image, (1.0, 1.0, 1.0))
    write_volume(folder / f"{name}_labels.tif", labels, (1.0, 1.0, 1.0))


def write_start(folder: Path, architecture: str = "SegResNet") -> Path:
    """Write untrained weights of our own kind; returns the weights file."""
    options = NARROW_WNET if architecture == "WNet" else NARROW
    torch.manual_seed(0)
    settings = TrainingSettings(
        architecture=architecture, options=options, data=(SampleFolder(path=folder),)
    )
    record = TrainingRecord(command="none", seed=0, date="2026-01-01", data="", steps=1, hours=0)
    folder.mkdir(parents=True, exist_ok=True)
    card_path = write_weights(
        build_network(architecture, options).state_dict(),
        settings,
        folder,
        name="start",
        record=record,
        object_diameter_voxels=11.0,
    )
    return card_path.with_suffix(".safetensors")


def plain_options(architecture: str, options: dict[str, Any]) -> dict[str, Any]:
    """Options as a card has them."""
    return network_options(architecture, options).model_dump(mode="json")


def changed(card: ModelCard, **fields: Any) -> ModelCard:
    """The card with other fields, checked."""
    return ModelCard.model_validate({**card.model_dump(), **fields})
