"""A network that needs no training: it blurs and thresholds softly.

That is enough to find round cells, and it runs through the same loading, windows, stitching and
files as any other network.
"""

from __future__ import annotations

from pathlib import Path

import torch

from cellseg_app.inference.cards import ModelCard, Normalization, OutputSpec, write_card
from cellseg_app.inference.fingerprint import sha256_of


class _BlurAndThreshold(torch.nn.Module):
    """Two classes if asked: cells and the rest."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        blurred = torch.nn.functional.avg_pool3d(batch, 3, stride=1, padding=1)
        logit = 12.0 * (blurred - 0.5)
        if self.classes == 1:
            return logit
        return torch.cat([-logit / 2, logit / 2], dim=1)


def write_blur_network(
    folder: Path, name: str, *, classes: int = 1, diameter_voxels: float | None = None
) -> Path:
    """Write weights and card, for cells of a size or of any; returns the weights file."""
    path = folder / f"{name}.pt"
    torch.jit.script(_BlurAndThreshold(classes)).save(str(path))
    card = ModelCard(
        name=name,
        title="Blur and threshold",
        architecture="custom",
        weights_file=path.name,
        weights_sha256=sha256_of(path),
        file_kind="torchscript",
        normalization=Normalization(low_quantile=0.01, high_quantile=0.998),
        output=OutputSpec(activation="sigmoid" if classes == 1 else "softmax", target="foreground"),
        classes=classes,
        window_default=24,
        divisor=1,
        minimum=8,
        object_diameter_voxels=diameter_voxels,
    )
    write_card(card, path.with_suffix(".json"))
    return path
