"""What every network file states about itself: its options and its demands on a window."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict


class NetworkOptions(BaseModel):
    """Width and depth of one architecture; the defaults are the published size."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class NetworkTraits:
    """What the window engine must know before it feeds a network.

    Attributes
    ----------
    divisor
        Every spatial extent handed to the network is a multiple of this (voxels).
    minimum
        Smallest spatial extent the network can normalize over (voxels).
    classes
        Number of output channels.
    in_channels
        Number of input channels.
    fixed_window
        Window extent the network is bound to because its output depends on the window as a
        whole, or None when any extent that fits `divisor` and `minimum` will do (voxels).
    """

    divisor: int
    minimum: int
    classes: int
    in_channels: int = 1
    fixed_window: int | None = None
