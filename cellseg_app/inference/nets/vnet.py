"""VNet, assembled from MONAI's transitions because MONAI's own class fixes its width at 16."""

from __future__ import annotations

from typing import Final

import torch
from monai.networks.nets.vnet import (
    DownTransition,
    InputTransition,
    OutputTransition,
    UpTransition,
)
from pydantic import Field, PositiveInt
from torch import nn

from cellseg_app.inference.nets.traits import NetworkOptions, NetworkTraits

_DIVISOR: Final = 2**4
_ACTIVATION: Final = ("elu", {"inplace": True})


class VNetOptions(NetworkOptions):
    """Options of VNet; the defaults are the published CellSeg3D network."""

    in_channels: PositiveInt = 1
    classes: PositiveInt = 1
    base_features: int = Field(default=16, ge=2, multiple_of=2)
    dropout: float = Field(default=0.5, ge=0, lt=1)
    bias: bool = True


class VNet(nn.Module):
    """V-Net of any width; its state-dict keys are those of MONAI's class.

    References
    ----------
    Milletari et al., "V-Net: Fully convolutional neural networks for volumetric medical
    image segmentation", 3DV 2016, arXiv:1606.04797.
    """

    def __init__(self, options: VNetOptions) -> None:
        super().__init__()
        width, bias, dropout = options.base_features, options.bias, options.dropout
        deep_dropout = (dropout, dropout)
        self.in_tr = InputTransition(3, options.in_channels, width, _ACTIVATION, bias=bias)
        self.down_tr32 = DownTransition(3, width, 1, _ACTIVATION, bias=bias)
        self.down_tr64 = DownTransition(3, 2 * width, 2, _ACTIVATION, bias=bias)
        self.down_tr128 = DownTransition(
            3, 4 * width, 3, _ACTIVATION, dropout_prob=dropout, bias=bias
        )
        self.down_tr256 = DownTransition(
            3, 8 * width, 2, _ACTIVATION, dropout_prob=dropout, bias=bias
        )
        self.up_tr256 = UpTransition(
            3, 16 * width, 16 * width, 2, _ACTIVATION, dropout_prob=deep_dropout
        )
        self.up_tr128 = UpTransition(
            3, 16 * width, 8 * width, 2, _ACTIVATION, dropout_prob=deep_dropout
        )
        self.up_tr64 = UpTransition(3, 8 * width, 4 * width, 1, _ACTIVATION, (None, dropout))
        self.up_tr32 = UpTransition(3, 4 * width, 2 * width, 1, _ACTIVATION, (None, dropout))
        self.out_tr = OutputTransition(3, 2 * width, options.classes, _ACTIVATION, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return class logits (N, C, Z, Y, X)."""
        level_1 = self.in_tr(x)
        level_2 = self.down_tr32(level_1)
        level_4 = self.down_tr64(level_2)
        level_8 = self.down_tr128(level_4)
        level_16 = self.down_tr256(level_8)
        x = self.up_tr256(level_16, level_8)
        x = self.up_tr128(x, level_4)
        x = self.up_tr64(x, level_2)
        x = self.up_tr32(x, level_1)
        logits: torch.Tensor = self.out_tr(x)
        return logits


def build(options: VNetOptions) -> nn.Module:
    """Return VNet (linear output) of the given width."""
    return VNet(options)


def traits(options: VNetOptions) -> NetworkTraits:
    """Return the window demands of VNet."""
    return NetworkTraits(
        divisor=_DIVISOR,
        minimum=_DIVISOR,
        classes=options.classes,
        in_channels=options.in_channels,
    )
