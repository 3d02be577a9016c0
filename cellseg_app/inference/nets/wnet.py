"""WNet: two U-Nets in a row; the first one segments, the second one draws the image again.

Only the first (the encoder) is needed for inference. The second exists for unsupervised
training, where the image must be recoverable from the classes.
"""

from __future__ import annotations

from typing import Final

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import nn
from torch.nn import functional

from cellseg_app.inference.nets.traits import NetworkOptions, NetworkTraits

_DIVISOR: Final = 2**3
_PUBLISHED_WINDOW: Final = 64
_Widths = tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt]


class WNetOptions(NetworkOptions):
    """Options of WNet; the defaults are the published CellSeg3D network.

    `rescale_input_to` stretches every window from 0 to this value by its own minimum and
    maximum before the first layer; None leaves the window as it is.
    """

    in_channels: PositiveInt = 1
    classes: int = Field(default=2, ge=2)
    channels: _Widths = (64, 128, 256, 512)
    norm_groups: PositiveInt = 4
    dropout: float = Field(default=0.65, ge=0, lt=1)
    rescale_input_to: float | None = Field(default=100.0, gt=0)
    decoder: bool = False

    @model_validator(mode="after")
    def _channels_split_into_groups(self) -> WNetOptions:
        if any(width % self.norm_groups for width in self.channels):
            raise ValueError("every channel count must be a multiple of norm_groups")
        return self


class _Block(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.module = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.module(x)
        return out


def _plain(in_channels: int, out_channels: int, options: WNetOptions) -> list[nn.Module]:
    return [
        nn.Conv3d(in_channels, out_channels, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Dropout(options.dropout),
        nn.GroupNorm(options.norm_groups, out_channels),
    ]


def _pointwise(in_channels: int, out_channels: int, options: WNetOptions) -> list[nn.Module]:
    return [
        nn.Conv3d(in_channels, in_channels, 3, padding=1),
        nn.Conv3d(in_channels, out_channels, 1),
        nn.ReLU(inplace=True),
        nn.Dropout(options.dropout),
        nn.GroupNorm(options.norm_groups, out_channels),
    ]


def _middle(in_channels: int, out_channels: int, options: WNetOptions) -> _Block:
    return _Block(
        *_pointwise(in_channels, out_channels, options),
        *_pointwise(out_channels, out_channels, options),
    )


class _UNet(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, options: WNetOptions) -> None:
        super().__init__()
        c1, c2, c3, c4 = options.channels
        self.in_b = _Block(*_plain(in_channels, c1, options), *_plain(c1, c1, options))
        self.conv1 = _middle(c1, c2, options)
        self.conv2 = _middle(c2, c3, options)
        self.bot = _middle(c3, c4, options)
        self.deconv2 = _middle(2 * c3, c3, options)
        self.deconv3 = _middle(2 * c2, c2, options)
        self.out_b = _Block(
            *_plain(2 * c1, c1, options),
            *_plain(c1, c1, options),
            nn.Conv3d(c1, out_channels, 1),
        )
        self.conv_trans2 = nn.ConvTranspose3d(c4, c3, 2, stride=2)
        self.conv_trans3 = nn.ConvTranspose3d(c3, c2, 2, stride=2)
        self.conv_trans_out = nn.ConvTranspose3d(c2, c1, 2, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        level_1 = self.in_b(x)
        level_2 = self.conv1(functional.max_pool3d(level_1, 2))
        level_4 = self.conv2(functional.max_pool3d(level_2, 2))
        x = self.bot(functional.max_pool3d(level_4, 2))
        x = self.deconv2(torch.cat((level_4, self.conv_trans2(x)), dim=1))
        x = self.deconv3(torch.cat((level_2, self.conv_trans3(x)), dim=1))
        out: torch.Tensor = self.out_b(torch.cat((level_1, self.conv_trans_out(x)), dim=1))
        return out


def rescale_windows(x: torch.Tensor, *, to: float) -> torch.Tensor:
    """Return `x` (N, C, Z, Y, X) with every window and channel stretched to 0…`to`.

    A constant window becomes zero.
    """
    low = x.amin(dim=(2, 3, 4), keepdim=True)
    span = x.amax(dim=(2, 3, 4), keepdim=True) - low
    return (x - low) / torch.where(span > 0, span, torch.ones_like(span)) * to


class WNet(nn.Module):
    """Encoder of a 3D W-Net, and its decoder when the options ask for one.

    References
    ----------
    Xia and Kulis, "W-Net: A deep model for fully unsupervised image segmentation",
    arXiv:1711.08506; in 3D: Achard et al., "CellSeg3D", eLife 2024.
    """

    def __init__(self, options: WNetOptions) -> None:
        super().__init__()
        self.rescale_input_to = options.rescale_input_to
        self.encoder = _UNet(options.in_channels, options.classes, options)
        if options.decoder:
            self.decoder = _UNet(options.classes, options.in_channels, options)

    def prepare(self, x: torch.Tensor) -> torch.Tensor:
        """Return the image as the encoder sees it, which is what the decoder must redraw."""
        return x if self.rescale_input_to is None else rescale_windows(x, to=self.rescale_input_to)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return class logits (N, C, Z, Y, X)."""
        logits: torch.Tensor = self.encoder(self.prepare(x))
        return logits

    def forward_with_reconstruction(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return class logits and the image redrawn from the class probabilities.

        Raises
        ------
        RuntimeError
            The network was built without a decoder.
        """
        if not isinstance(getattr(self, "decoder", None), nn.Module):
            raise RuntimeError("This WNet was built without its decoder.")
        logits = self(x)
        return logits, self.decoder(torch.softmax(logits, dim=1))


def build(options: WNetOptions) -> nn.Module:
    """Return WNet (linear output) of the given width."""
    return WNet(options)


def traits(options: WNetOptions) -> NetworkTraits:
    """Return the window demands of WNet.

    With `rescale_input_to` the output depends on the extremes of the window, so the window
    stays the one the network was trained with.
    """
    bound = options.rescale_input_to is not None
    return NetworkTraits(
        divisor=_DIVISOR,
        minimum=_DIVISOR,
        classes=options.classes,
        in_channels=options.in_channels,
        fixed_window=_PUBLISHED_WINDOW if bound else None,
    )
