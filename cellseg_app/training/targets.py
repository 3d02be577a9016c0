"""What a network is taught: labels on its own lattice, and the centre-peaked map made of them."""

from __future__ import annotations

from typing import Any

import edt
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cellseg_app.core.volume import ShapeZYX
from cellseg_app.inference.resample import ResampledArray

_FOOT_VOXELS = 1.5
_PEAKEDNESS = 0.75
_GROWTH = 2


class _OneLabel:
    """One object of a label volume, read as an image of zeros and ones."""

    def __init__(self, labels: npt.NDArray[np.integer[Any]], label: int) -> None:
        self._labels = labels
        self._label = label
        self.shape = labels.shape
        self.ndim = labels.ndim
        self.dtype: np.dtype[Any] = np.dtype(np.float32)

    def __getitem__(self, key: tuple[slice, ...], /) -> npt.NDArray[np.float32]:
        return np.asarray(self._labels[key] == self._label, dtype=np.float32)


def resample_labels(
    labels: npt.NDArray[np.integer[Any]], shape_zyx: ShapeZYX
) -> npt.NDArray[np.uint32]:
    """Resample labels without steps: each object is interpolated and cut at one half.

    Parameters
    ----------
    labels
        (Z, Y, X) label volume.
    shape_zyx
        Shape of the new lattice over the same extent, voxel centres aligned.
    """
    result = np.zeros(shape_zyx, np.uint32)
    best = np.full(shape_zyx, 0.5, np.float32)
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        region = tuple(
            slice(
                max(0, int((part.start - _GROWTH) * new / old)),
                min(new, int(np.ceil((part.stop + _GROWTH) * new / old))),
            )
            for part, old, new in zip(box, labels.shape, shape_zyx, strict=True)
        )
        share = ResampledArray(_OneLabel(labels, label), shape_zyx)[region]
        wins = share >= best[region]
        best[region][wins] = share[wins]
        result[region][wins] = label
    return result


def centre_peaked(labels: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.float32]:
    """Return the map a network learns: 1 at each centre, 0.5 at its border, 0 away from all.

    Parameters
    ----------
    labels
        (Z, Y, X) label volume with cubic voxels.

    Notes
    -----
    Outside, the map falls to 0 within one and a half voxels instead of at once. A jump right at
    the border would put the interpolated 0.5 contour inside the object and shrink every cell.
    """
    inside = edt.edt(np.ascontiguousarray(labels), black_border=False, parallel=1)
    outside = edt.edt(np.ascontiguousarray(labels == 0), black_border=False, parallel=1)
    inside = np.where(np.isfinite(inside), inside, 0).astype(np.float32)
    outside = np.where(np.isfinite(outside), outside, np.inf).astype(np.float32)
    deepest = np.zeros(int(labels.max(initial=0)) + 1, np.float32)
    np.maximum.at(deepest, labels.ravel(), inside.ravel())
    height = (inside - 0.5) / np.maximum(deepest[labels] - 0.5, 1.0)
    peak = 0.5 + 0.5 * np.clip(height, 0, 1) ** _PEAKEDNESS
    foot = 0.5 * np.clip(1 - (outside - 0.5) / _FOOT_VOXELS, 0, 1)
    if not labels.any():
        return np.zeros(labels.shape, np.float32)
    return np.where(labels > 0, peak, foot).astype(np.float32)


def typical_diameter(
    labels: npt.NDArray[np.integer[Any]], step_zyx: tuple[float, float, float]
) -> float | None:
    """Median diameter of the spheres as large as the objects; None without objects.

    Parameters
    ----------
    labels
        (Z, Y, X).
    step_zyx
        Voxel size; the result has its unit.
    """
    sizes = np.bincount(labels.ravel())[1:]
    sizes = sizes[sizes > 0]
    if not len(sizes):
        return None
    return float(np.cbrt(6 / np.pi * float(np.median(sizes)) * float(np.prod(step_zyx))))
