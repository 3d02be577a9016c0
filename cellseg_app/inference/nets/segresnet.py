"""SegResNet: residual encoder-decoder, with or without its published autoencoder branch."""

from __future__ import annotations

from typing import Any

import torch
from monai.networks.nets.segresnet import SegResNet, SegResNetVAE
from pydantic import Field, PositiveInt, model_validator
from torch import nn

from cellseg_app.inference.nets.traits import NetworkOptions, NetworkTraits


class SegResNetOptions(NetworkOptions):
    """Options of SegResNet; the defaults are the published CellSeg3D network."""

    in_channels: PositiveInt = 1
    classes: PositiveInt = 1
    # MONAI's group normalization splits every level into eight groups.
    init_filters: int = Field(default=8, ge=8, multiple_of=8)
    blocks_down: tuple[PositiveInt, ...] = (1, 2, 2, 4)
    blocks_up: tuple[PositiveInt, ...] = (1, 1, 1)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    vae: bool = True
    input_size: int = Field(default=64, ge=16)
    vae_latent: PositiveInt = 256

    @model_validator(mode="after")
    def _as_many_levels_up_as_down(self) -> SegResNetOptions:
        if len(self.blocks_up) != len(self.blocks_down) - 1:
            raise ValueError("blocks_up must have one entry fewer than blocks_down")
        return self


class VariationalSegResNet(SegResNetVAE):  # type: ignore[misc]  # MONAI is not followed
    """SegResNet whose autoencoder branch is stored, but computed only on request.

    MONAI's class returns a pair and runs the branch on every training step; segmentation
    needs neither.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return class logits (N, C, Z, Y, X) and leave the autoencoder branch alone."""
        features, skips = self.encode(x)
        logits: torch.Tensor = self.decode(features, skips[::-1])
        return logits

    def forward_with_vae_loss(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return class logits and the autoencoder loss; `x` must have the declared input size."""
        features, skips = self.encode(x)
        logits = self.decode(features, skips[::-1])
        loss: torch.Tensor = self._get_vae_loss(x, features)
        return logits, loss


def build(options: SegResNetOptions) -> nn.Module:
    """Return SegResNet (linear output) of the given width.

    References
    ----------
    Myronenko, "3D MRI brain tumor segmentation using autoencoder regularization",
    BrainLes 2018, arXiv:1810.11654.
    """
    shape: dict[str, Any] = {
        "spatial_dims": 3,
        "in_channels": options.in_channels,
        "out_channels": options.classes,
        "init_filters": options.init_filters,
        "blocks_down": options.blocks_down,
        "blocks_up": options.blocks_up,
        "dropout_prob": options.dropout,
    }
    network: nn.Module = (
        VariationalSegResNet(
            input_image_size=(options.input_size,) * 3, vae_nz=options.vae_latent, **shape
        )
        if options.vae
        else SegResNet(**shape)
    )
    return network


def traits(options: SegResNetOptions) -> NetworkTraits:
    """Return the window demands of SegResNet."""
    divisor = 2 ** (len(options.blocks_down) - 1)
    return NetworkTraits(
        divisor=divisor, minimum=divisor, classes=options.classes, in_channels=options.in_channels
    )
