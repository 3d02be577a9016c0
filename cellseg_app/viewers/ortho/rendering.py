"""From voxels of a slice to pixels of the screen; pure, for the reading threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_app.state.slicing import PLANES, SliceRequest, Span
from cellseg_app.viewers.colors import HIGHLIGHT_PIXEL, LabelColors, Pixels, intensity_table
from cellseg_app.viewers.shrinking import block_mean

# Voxels along a side of a pixel that its mean is taken of: more cost time and change little.
_LOOKED_AT = 4


@dataclass(frozen=True, slots=True, eq=False)
class SliceImage:
    """A layer's picture in a pane.

    Attributes
    ----------
    pixels
        Premultiplied 0xAARRGGBB, (rows, columns).
    rect_um
        Top, left, height, width in the world.
    preview
        Whether it stands in, coarser, for one still being read.
    """

    pixels: Pixels
    rect_um: tuple[float, float, float, float]
    preview: bool = False


def flatten(block: npt.NDArray[Any], request: SliceRequest) -> npt.NDArray[Any]:
    """The block (Z, Y, X) as seen in the pane (rows, columns); its maximum across the pane."""
    axes = PLANES[request.plane]
    flat = block.max(axis=axes.normal) if block.shape[axes.normal] > 1 else _only(block, axes[0])
    return flat.T if axes.vertical > axes.horizontal else flat


def shrink(flat: npt.NDArray[Any], rows: Span, columns: Span, *, mean: bool) -> npt.NDArray[Any]:
    """One value per pixel of what was read at full resolution: the mean, or one of the voxels."""
    if rows.step == columns.step == 1:
        return flat
    if not mean:
        middle = flat[rows.step // 2 :: rows.step, columns.step // 2 :: columns.step]
        return middle[: rows.n, : columns.n]
    tiles = flat[: rows.n * rows.step, : columns.n * columns.step]
    return block_mean(tiles, rows.step, columns.step, at_most=_LOOKED_AT)


def paint(flat: npt.NDArray[Any], request: SliceRequest, colors: LabelColors) -> Pixels:
    """Pixels of a slice, by the request's look; row by row in memory, as Qt wants them."""
    is_labels = request.layer.kind == "labels"
    pixels = _paint_labels(flat, request, colors) if is_labels else paint_intensities(flat, request)
    return np.ascontiguousarray(pixels)


def paint_intensities(flat: npt.NDArray[Any], request: SliceRequest) -> Pixels:
    """Pixels of an image or of a probability map; where it is dark, a probability is clear."""
    look = request.look
    table = intensity_table(look.colormap, look.gamma)
    low, high = look.clims or _extremes(flat)
    factor = (len(table) - 1) / ((high - low) or 1.0)
    place = np.subtract(flat, low, dtype=np.float32)
    place *= np.float32(factor)
    np.clip(place, 0, len(table) - 1, out=place)
    if request.layer.kind == "probability":
        table = _faded(table)
    pixels: Pixels = np.take(table, place.astype(np.uint16))
    return pixels


def _paint_labels(flat: npt.NDArray[Any], request: SliceRequest, colors: LabelColors) -> Pixels:
    down, along = request.enlarged
    if down > 1 or along > 1:
        flat = np.repeat(np.repeat(flat, down, axis=0), along, axis=1)
    pixels = colors.table[colors.index(flat)]
    if request.look.outlines_only:
        pixels[~borders(flat, width=2)] = 0
    if request.highlighted:
        chosen = np.isin(flat, request.highlighted)
        pixels[chosen & borders(flat, width=2)] = HIGHLIGHT_PIXEL
    return pixels


def borders(flat: npt.NDArray[Any], *, width: int = 1) -> npt.NDArray[np.bool_]:
    """Pixels of a label that touch another label or the background within `width` pixels."""
    edge = np.zeros(flat.shape, bool)
    for step in range(1, width + 1):
        down = flat[step:] != flat[:-step]
        along = flat[:, step:] != flat[:, :-step]
        edge[step:] |= down
        edge[:-step] |= down
        edge[:, step:] |= along
        edge[:, :-step] |= along
    return np.asarray(edge & (flat != 0))


def _faded(table: Pixels) -> Pixels:
    alpha = np.linspace(0, 1, len(table), dtype=np.float32)
    faded = (alpha * 255).astype(np.uint32) << 24
    for shift in (16, 8, 0):
        part = (table >> np.uint32(shift)) & np.uint32(255)
        faded |= (part * alpha).astype(np.uint32) << np.uint32(shift)
    return np.asarray(faded, np.uint32)


def _extremes(flat: npt.NDArray[Any]) -> tuple[float, float]:
    return (float(flat.min()), float(flat.max())) if flat.size else (0.0, 1.0)


def _only(block: npt.NDArray[Any], axis: int) -> npt.NDArray[Any]:
    return np.asarray(block[(slice(None),) * axis + (0,)])
