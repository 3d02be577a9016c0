"""SwinUNetR: shifted-window transformer encoder with a convolutional decoder (version 2)."""

from __future__ import annotations

from monai.networks.nets.swin_unetr import SwinUNETR
from pydantic import Field, PositiveInt
from torch import nn

from cellseg_app.inference.nets.traits import NetworkOptions, NetworkTraits

# Patch embedding halves once and the four stages halve once each.
_DIVISOR = 2**5


class SwinUNetROptions(NetworkOptions):
    """Options of SwinUNetR; the defaults are the published CellSeg3D network."""

    in_channels: PositiveInt = 1
    classes: PositiveInt = 1
    feature_size: int = Field(default=48, ge=12, multiple_of=12)
    depths: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (2, 2, 2, 2)
    num_heads: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (3, 6, 12, 24)
    window_size: int = Field(default=7, ge=2)
    dropout: float = Field(default=0.5, ge=0, lt=1)
    attention_dropout: float = Field(default=0.5, ge=0, lt=1)
    checkpointing: bool = False


def build(options: SwinUNetROptions) -> nn.Module:
    """Return SwinUNetR (linear output) of the given width.

    References
    ----------
    Hatamizadeh et al., "Swin UNETR: Swin transformers for semantic segmentation of brain
    tumors in MRI images", BrainLes 2021, arXiv:2201.01266; version 2: He et al.,
    "SwinUNETR-V2", MICCAI 2023.
    """
    network: nn.Module = SwinUNETR(
        in_channels=options.in_channels,
        out_channels=options.classes,
        feature_size=options.feature_size,
        depths=options.depths,
        num_heads=options.num_heads,
        window_size=options.window_size,
        drop_rate=options.dropout,
        attn_drop_rate=options.attention_dropout,
        use_checkpoint=options.checkpointing,
        spatial_dims=3,
        use_v2=True,
    )
    return network


def traits(options: SwinUNetROptions) -> NetworkTraits:
    """Return the window demands of SwinUNetR.

    The deepest level is instance-normalized, which one voxel alone does not allow: the
    smallest window is therefore twice the divisor.
    """
    return NetworkTraits(
        divisor=_DIVISOR,
        minimum=2 * _DIVISOR,
        classes=options.classes,
        in_channels=options.in_channels,
    )
