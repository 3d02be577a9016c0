"""The overview of labels of which some boxes changed: only these are read again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from cellseg_app.core.blocks import Region
from cellseg_app.core.volume import ShapeZYX
from cellseg_app.state.display import Change, Layer
from cellseg_app.viewers.overview import Overview, first_plane, level_for, planes_at_once

_Edges = npt.NDArray[np.int64]
_ROUNDING: Final = 1e-6


def changed_overview(
    before: Overview,
    layer: Layer,
    boxes: Sequence[Region],
    *,
    step_zyx: ShapeZYX,
    stale: Callable[[], bool],
) -> Overview | None:
    """What `build_overview` gives for labels, made from the overview of labels before.

    Parameters
    ----------
    before
        Not changed itself: others may be looking at it.
    layer
        The labels now.
    boxes
        In voxels of the layer; outside of them the labels are those of `before`.
    step_zyx, stale
        As for `build_overview`.

    Returns
    -------
    Overview | None
        None if `before` has other voxels than this overview would have, or `stale` turned true.
    """
    level, level_step, own_step = level_for(layer, step_zyx)
    sizes = tuple(-(-n // s) for n, s in zip(level.shape_zyx, level_step, strict=True))
    is_alike = level_for(before.layer, step_zyx)[1:] == (level_step, own_step)
    if not is_alike or before.step_zyx != own_step or before.data.shape != sizes:
        return None
    first = (first_plane(level.shape_zyx[0], level_step[0]), 0, 0)
    data = before.data.astype(level.data.dtype)
    hulls = []
    edges = _sampled(boxes, layer, level, first, level_step)
    n_at_once = planes_at_once(level, level_step[0])
    for low in range(0, sizes[0], n_at_once):
        hull = _hull(edges, low, min(low + n_at_once, sizes[0]))
        if hull is None:
            continue
        z, y, x = (
            slice(f + part.start * s, f + (part.stop - 1) * s + 1, s)
            for part, f, s in zip(hull, first, level_step, strict=True)
        )
        data[hull] = level.data[z, y, x]
        hulls.append(hull)
        if stale():
            return None
    change = Change(before.layer.data, tuple(hulls))
    return Overview(layer, before.class_index, data, own_step, change)


def _sampled(
    boxes: Sequence[Region], layer: Layer, level: Layer, first: ShapeZYX, step_zyx: ShapeZYX
) -> _Edges:
    """Begin and end of boxes (n, 3, 2) in voxels of the overview; those it misses left out."""
    ends = [[(part.start, part.stop) for part in box] for box in boxes]
    edges = np.array(ends, np.float64).reshape(-1, 3, 2)
    # A voxel of a lower resolution changes if one of those that it stands for does.
    edges /= np.divide(level.scale_zyx, layer.scale_zyx)[:, None]
    low, high = np.floor(edges[..., 0] - _ROUNDING), np.ceil(edges[..., 1] + _ROUNDING)
    sizes = np.ceil(np.divide(level.shape_zyx, step_zyx))
    begin = np.maximum(np.ceil((low - first) / step_zyx), 0)
    end = np.minimum(np.floor((high - 1 - first) / step_zyx) + 1, sizes)
    sampled = np.stack([begin, end], axis=-1).astype(np.int64)
    return np.asarray(sampled[(begin < end).all(axis=1)])


def _hull(edges: _Edges, low: int, high: int) -> Region | None:
    """What is around all boxes within some planes: a file is read at one go, box by box it is not.

    Most files hold whole planes or chunks, that would be decoded for every box again.
    """
    met = edges[(edges[:, 0, 0] < high) & (edges[:, 0, 1] > low)]
    if not len(met):
        return None
    (z0, y0, x0), (z1, y1, x1) = met[..., 0].min(axis=0), met[..., 1].max(axis=0)
    return (
        slice(max(low, int(z0)), min(high, int(z1))),
        slice(int(y0), int(y1)),
        slice(int(x0), int(x1)),
    )
