"""Colours of intensities and of labels, as tables of pixels."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, NamedTuple

import cmap
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint32]

# What the layer panel offers; the first of each is the default of its kind of layer.
INTENSITY_COLORMAPS = (
    "gray",
    "green",
    "magenta",
    "cyan",
    "yellow",
    "red",
    "blue",
    "viridis",
    "magma",
    "inferno",
    "cividis",
    "turbo",
    "gray_r",
)

# 24 colours chosen one by one, each the farthest from those before it in CIELAB, the distance
# being the smallest of normal, protanope, deuteranope and tritanope sight (Machado et al. 2009,
# doi:10.1109/TVCG.2009.113), among colours of lightness 45 to 93 that are not greyish.
LABEL_COLORS = (
    *("#e99b00", "#00d3ff", "#8537ff", "#e9e9b1", "#d31643", "#9b5990", "#597ade", "#b1ff6f"),
    *("#bc5900", "#c8a659", "#85b185", "#de85c8", "#437a4e", "#219b85", "#bc16bc", "#7aff00"),
    *("#ff2cff", "#7ac8b1", "#37d32c", "#b1c885", "#a66fbc", "#00ffd3", "#d3f490", "#7a902c"),
)
NO_VALUE_COLOR = "#808080"
HIGHLIGHT_PIXEL = 0xFFFFFFFF
_N_INTENSITIES = 1024


def pixels_of(rgb: npt.NDArray[Any]) -> Pixels:
    """Opaque pixels (0xAARRGGBB) of colours (n, 3) in 0..1."""
    r, g, b = np.rint(np.asarray(rgb, float).T * 255).astype(np.uint32)
    return np.asarray(np.uint32(0xFF000000) | (r << 16) | (g << 8) | b, np.uint32)


def rgb_of(name: str, n: int) -> npt.NDArray[np.float64]:
    """`n` colours (n, 3) in 0..1 along a colormap of `cmap`."""
    ramp = np.linspace(0, 1, n)
    if name in ("red", "green", "blue", "cyan", "magenta", "yellow"):
        # In microscopy these run from black to the colour.
        return np.outer(ramp, np.asarray(cmap.Color(_bright(name)))[:3])
    return np.asarray(cmap.Colormap(name)(ramp))[:, :3]


@lru_cache(maxsize=32)
def intensity_table(colormap: str, gamma: float) -> Pixels:
    """Pixels from darkest to brightest, gamma included."""
    rgb = rgb_of(colormap, _N_INTENSITIES)
    place = np.linspace(0, 1, _N_INTENSITIES) ** gamma * (_N_INTENSITIES - 1)
    return pixels_of(rgb[np.rint(place).astype(int)])


def hashed(labels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """A colour number from 1 for every label id, the same in every run; 0 for background.

    Ids are scattered by multiplication (Knuth, The Art of Computer Programming 3, 6.4), since
    neighbours in the volume tend to have neighbouring ids.
    """
    ids = labels.astype(np.uint32, copy=False)
    mixed = (ids * np.uint32(2654435761)) >> np.uint32(8)
    number = (mixed % np.uint32(len(LABEL_COLORS)) + np.uint32(1)).astype(np.uint8)
    number[ids == 0] = 0
    return number


@lru_cache(maxsize=1)
def plain_table() -> Pixels:
    """Pixels of the label colours by their number, the first transparent."""
    rgb = np.array([np.asarray(cmap.Color(color))[:3] for color in LABEL_COLORS])
    return np.concatenate([np.zeros(1, np.uint32), pixels_of(rgb)])


@dataclass(frozen=True, eq=False)
class LabelColors:
    """Which colour each label id has: one of few by its id, or a colour by its value.

    Attributes
    ----------
    table
        Pixels by colour number; number 0, of the background, is transparent.
    numbers
        Colour number by label id; None to scatter the ids over the table.
    shown
        Whether each label id is drawn, by the id; those beyond its end are not. None for all.
    """

    table: Pixels = field(default_factory=plain_table)
    numbers: npt.NDArray[np.uint8] | None = None
    shown: npt.NDArray[np.bool_] | None = None

    def index(self, labels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Colour numbers of an array of label ids."""
        if self.numbers is None:
            found = hashed(labels)
        else:
            found = np.asarray(self.numbers[np.minimum(labels, len(self.numbers) - 1)], np.uint8)
        if self.shown is not None:
            found[~self.shown[np.minimum(labels, len(self.shown) - 1)]] = 0
        return found

    def only(self, ids: npt.NDArray[np.int64] | None) -> LabelColors:
        """The same colours for some label ids, and none for the others; None for all."""
        if ids is None:
            return self if self.shown is None else replace(self, shown=None)
        shown = np.zeros((int(ids.max()) if ids.size else 0) + 2, bool)
        shown[ids] = True
        return replace(self, shown=shown)

    def rgba(self) -> npt.NDArray[np.float32]:
        """The table as colours (256, 4) in 0..1, for the graphics card."""
        colors = np.zeros((256, 4), np.float32)
        pixel = self.table
        for place, shift in enumerate((16, 8, 0, 24)):
            colors[: len(pixel), place] = ((pixel >> np.uint32(shift)) & np.uint32(255)) / 255
        return colors


class LabelValues(NamedTuple):
    """A number for each of some label ids; NaN for none."""

    ids: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]


def colors_by_value(of_labels: LabelValues, colormap: str) -> LabelColors:
    """Colours along a colormap, from the smallest value to the largest.

    Ids without a finite value are grey, so that cells left out of the table stay in sight.
    """
    ids, numeric = of_labels
    finite = np.isfinite(numeric)
    ids, numeric = ids[finite], numeric[finite]
    # One more than the largest id: every unknown id is looked up there.
    numbers = np.ones((int(ids.max()) if ids.size else 0) + 2, np.uint8)
    numbers[0] = 0
    if ids.size:
        low, high = float(numeric.min()), float(numeric.max())
        numbers[ids] = 2 + np.rint((numeric - low) / ((high - low) or 1.0) * 253).astype(np.uint8)
    ramp = pixels_of(rgb_of(colormap, 254))
    grey = pixels_of(np.asarray(cmap.Color(NO_VALUE_COLOR))[None, :3])
    return LabelColors(np.concatenate([np.zeros(1, np.uint32), grey, ramp]), numbers)


def _bright(name: str) -> str:
    return {"green": "#00ff00", "blue": "#3060ff"}.get(name, name)
