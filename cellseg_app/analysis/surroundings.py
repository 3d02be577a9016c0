"""Where a volume holds something: everything brighter than its empty surroundings."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.filters import threshold_li, threshold_triangle

from cellseg_app.core.progress import CancelToken, ProgressSink, StageProgress
from cellseg_app.core.volume import LazyArray

# Voxels of the coarse picture along an axis, at most.
_EDGE: Final = 96
# What is empty must be clearly apart from the rest, or nothing counts as empty.
_LEAST_CONTRAST: Final = 4.0
_MARGIN_CELLS: Final = 2
_LEAST_EMPTY_SHARE: Final = 0.05


def occupied(
    image: LazyArray, *, progress: ProgressSink | None = None, cancel: CancelToken | None = None
) -> npt.NDArray[np.bool_] | None:
    """Return where a volume is not empty, as a coarse mask over its whole extent.

    The volume is thinned to means and maxima of cells of at most 1/96 of its edges (along Z, one
    plane of each cell is read). The dark mode of the logarithm of their brightness is told from
    the rest by the lower one of the thresholds of Zack's triangle and of Li; holes are filled and
    two cells are added on every side.

    Returns
    -------
    array or None
        (Z, Y, X) of cells; None where the volume has no surroundings that are clearly empty.
    """
    bright = coarse_brightness(image, progress=progress, cancel=cancel)
    logs = np.log1p(bright - bright.min())
    if logs.max() <= 0:
        return None
    smooth = ndimage.gaussian_filter(logs, 0.7, mode="nearest")
    threshold = min(float(threshold_triangle(smooth)), float(threshold_li(smooth)))
    inside = smooth > threshold
    dark, rest = smooth[~inside], smooth[inside]
    if dark.size < _LEAST_EMPTY_SHARE * smooth.size or rest.size == 0:
        return None
    scatter = float(np.std(dark))
    if float(np.median(rest)) - float(np.median(dark)) < _LEAST_CONTRAST * scatter:
        return None
    ball = ndimage.generate_binary_structure(3, 1)
    grown = ndimage.binary_dilation(inside, ball, iterations=_MARGIN_CELLS)
    filled: npt.NDArray[np.bool_] = ndimage.binary_fill_holes(grown)
    return filled


def coarse_brightness(
    image: LazyArray, *, progress: ProgressSink | None = None, cancel: CancelToken | None = None
) -> npt.NDArray[np.float64]:
    """The volume thinned to at most 96 cells along each axis: mean plus a share of the maximum."""
    shape = image.shape
    cells = [min(n, _EDGE) for n in shape]
    edges = [np.arange(c + 1) * n // c for c, n in zip(cells, shape, strict=True)]
    steps = StageProgress(progress, "looking for the empty part", cells[0], cancel=cancel)
    result = np.zeros(cells)
    for number in range(cells[0]):
        middle = int(edges[0][number] + edges[0][number + 1]) // 2
        plane = image[slice(middle, middle + 1), slice(0, shape[1]), slice(0, shape[2])][0]
        result[number] = _cells(np.asarray(plane, np.float64), edges[1], edges[2])
        steps.advance()
    return result


def _cells(
    plane: npt.NDArray[Any], rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64]:
    """Of every cell, half its mean and half its maximum: one bright cell body is enough."""
    total = np.add.reduceat(np.add.reduceat(plane, rows[:-1], axis=0), columns[:-1], axis=1)
    size = np.outer(np.diff(rows), np.diff(columns))
    most = np.maximum.reduceat(np.maximum.reduceat(plane, rows[:-1], 0), columns[:-1], 1)
    return np.asarray(0.5 * (total / size + most), np.float64)
