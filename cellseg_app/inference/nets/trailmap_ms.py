"""TRAILMAP_MS: a plain 3D U-Net with batch normalization after each activation."""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from typing import cast

import torch
from pydantic import Field, PositiveInt
from torch import nn
from torch.nn import functional

from cellseg_app.inference.nets.traits import NetworkOptions, NetworkTraits


class TrailmapOptions(NetworkOptions):
    """Options of TRAILMAP_MS; the defaults are the published CellSeg3D network."""

    in_channels: PositiveInt = 1
    classes: PositiveInt = 1
    f_maps: int = Field(default=64, ge=2, multiple_of=2)
    num_levels: int = Field(default=4, ge=2, le=6)


def _single_convolution(in_channels: int, out_channels: int) -> nn.Sequential:
    # The batch normalization that follows shifts anyway, so the convolution has no bias.
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv3d(in_channels, out_channels, 3, padding=1, bias=False),
            ReLU=nn.ReLU(inplace=True),
            batchnorm=nn.BatchNorm3d(out_channels),
        )
    )


class _Level(nn.Module):
    def __init__(self, in_channels: int, middle_channels: int, out_channels: int) -> None:
        super().__init__()
        self.basic_module = nn.Sequential(
            OrderedDict(
                SingleConv1=_single_convolution(in_channels, middle_channels),
                SingleConv2=_single_convolution(middle_channels, out_channels),
            )
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.basic_module(x)
        return out


class TrailmapMS(nn.Module):
    """3D U-Net: pooling down, nearest upsampling and concatenation up, 1x1x1 convolution out.

    References
    ----------
    Friedmann et al., "Mapping mesoscale axonal projections in the mouse brain using a 3D
    convolutional network", PNAS 2020; Çiçek et al., "3D U-Net", MICCAI 2016.
    """

    def __init__(self, options: TrailmapOptions) -> None:
        super().__init__()
        widths = [options.f_maps * 2**level for level in range(options.num_levels)]
        encoders = [
            _Level(options.in_channels, max(widths[0] // 2, options.in_channels), widths[0])
        ]
        for shallow, deep in pairwise(widths):
            encoders.append(_Level(shallow, shallow, deep))
        decoders = [
            _Level(deep + shallow, shallow, shallow)
            for deep, shallow in zip(widths[:0:-1], widths[-2::-1], strict=True)
        ]
        self.encoders = nn.ModuleList(encoders)
        self.decoders = nn.ModuleList(decoders)
        self.final_conv = nn.Conv3d(widths[0], options.classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return probabilities (N, C, Z, Y, X) in eval mode, logits while training."""
        skips: list[torch.Tensor] = []
        for level, encoder in enumerate(self.encoders):
            x = encoder(functional.max_pool3d(x, 2) if level else x)
            skips.append(x)
        skips.pop()
        for decoder in self.decoders:
            skip = skips.pop()
            x = functional.interpolate(x, size=skip.shape[2:], mode="nearest")
            x = decoder(torch.cat((skip, x), dim=1))
        logits: torch.Tensor = self.final_conv(x)
        return logits if self.training else torch.sigmoid(logits)


class QuickTrailmapMS(nn.Module):
    """The same function with a third fewer operations, for inference.

    A 3x3x3 convolution of nearest-upsampled voxels meets every one of them up to eight times; a
    transposed 4x4x4 convolution with the kernel's sums meets it once. Nothing is concatenated
    either. Windows must be multiples of the network's divisor.

    References
    ----------
    Shi et al., "Is the deconvolution layer the same as a convolutional layer?", arXiv:1609.07009.
    """

    def __init__(self, network: TrailmapMS) -> None:
        super().__init__()
        self.network = network
        self.of_skip = nn.ParameterList()
        self.of_deeper = nn.ParameterList()
        for decoder, final in zip(network.decoders, _skip_norms(network), strict=True):
            kernel = _first_convolution(decoder).weight.detach()
            width = final.num_features
            self.of_skip.append(nn.Parameter(kernel[:, :width].clone(), requires_grad=False))
            deeper = _summed_for_upsampling(kernel[:, width:])
            self.of_deeper.append(nn.Parameter(deeper, requires_grad=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the network returns in eval mode."""
        skips: list[torch.Tensor] = []
        for level, encoder in enumerate(self.network.encoders):
            x = encoder(functional.max_pool3d(x, 2) if level else x)
            skips.append(x)
        skips.pop()
        parts = zip(self.network.decoders, self.of_skip, self.of_deeper, strict=True)
        for decoder, of_skip, of_deeper in parts:
            x = functional.conv3d(skips.pop(), of_skip, padding=1) + functional.conv_transpose3d(
                x, of_deeper, stride=2, padding=1
            )
            first, second = cast(_Level, decoder).basic_module
            x = second(cast(nn.BatchNorm3d, first.batchnorm)(functional.relu(x)))
        return torch.sigmoid(self.network.final_conv(x))


def _first_convolution(decoder: nn.Module) -> nn.Conv3d:
    return cast(nn.Conv3d, cast(_Level, decoder).basic_module[0].conv)


def _skip_norms(network: TrailmapMS) -> list[nn.BatchNorm3d]:
    """The last normalization of what each decoder takes from its encoder."""
    levels = [cast(_Level, encoder) for encoder in network.encoders][-2::-1]
    return [cast(nn.BatchNorm3d, level.basic_module[1].batchnorm) for level in levels]


def _summed_for_upsampling(kernel: torch.Tensor) -> torch.Tensor:
    """The transposed kernel (in, out, 4, 4, 4) of a kernel (out, in, 3, 3, 3) behind upsampling."""
    for axis in (2, 3, 4):
        turned = kernel.flip(axis)
        nothing = torch.zeros_like(turned.narrow(axis, 0, 1))
        kernel = torch.cat((turned, nothing), axis) + torch.cat((nothing, turned), axis)
    return kernel.transpose(0, 1).contiguous()


def build(options: TrailmapOptions) -> nn.Module:
    """Return TRAILMAP_MS (sigmoid output in eval mode) of the given width."""
    return TrailmapMS(options)


def quick_form(network: nn.Module) -> nn.Module:
    """Return a network that gives the same and computes less, see `QuickTrailmapMS`."""
    return QuickTrailmapMS(network) if isinstance(network, TrailmapMS) else network


def traits(options: TrailmapOptions) -> NetworkTraits:
    """Return the window demands of TRAILMAP_MS."""
    divisor = 2 ** (options.num_levels - 1)
    return NetworkTraits(
        divisor=divisor, minimum=divisor, classes=options.classes, in_channels=options.in_channels
    )
