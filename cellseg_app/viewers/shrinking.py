"""Fewer voxels of the same picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def block_mean(
    voxels: npt.NDArray[Any], step_y: int, step_x: int, *, at_most: int
) -> npt.NDArray[np.float32]:
    """Mean over blocks of the last two axes; those at the end may be smaller.

    Parameters
    ----------
    voxels
        Axes ..., Y, X.
    step_y, step_x
        Size of a block.
    at_most
        Number of voxels along each side of a block that are looked at.

    Notes
    -----
    Whole strided arrays are added up, not blocks one by one: NumPy lets go of the interpreter lock
    during that, so that the window stays alive, and it takes half the time.
    """
    n_y, n_x = -(-voxels.shape[-2] // step_y), -(-voxels.shape[-1] // step_x)
    total = np.zeros((*voxels.shape[:-2], n_y, n_x), np.float32)
    count = np.zeros((n_y, n_x), np.float32)
    for y in _places(step_y, at_most):
        for x in _places(step_x, at_most):
            part = voxels[..., y::step_y, x::step_x]
            rows, columns = part.shape[-2:]
            total[..., :rows, :columns] += part
            count[:rows, :columns] += 1
    total /= count
    return total


def _places(step: int, at_most: int) -> list[int]:
    """Evenly spread over a block; the first is there in every block."""
    return sorted({place * step // min(step, at_most) for place in range(min(step, at_most))})
