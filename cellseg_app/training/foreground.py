"""The plain target of published networks: 1 in a cell, 0 outside and where two cells touch."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch.nn import functional


def plain_foreground(labels: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.float32]:
    """Return 1 inside objects, 0 outside and on voxels with another object right beside them.

    Parameters
    ----------
    labels
        (Z, Y, X) label volume.
    """
    # The background must not count as a neighbour, so it is larger than every label for the
    # minimum and smaller for the maximum.
    cross = ndimage.generate_binary_structure(3, 1)
    highest = ndimage.maximum_filter(labels, footprint=cross)
    filled = np.where(labels > 0, labels, labels.max(initial=0) + 1)
    lowest = ndimage.minimum_filter(filled, footprint=cross)
    alone = (highest == labels) & (lowest == labels)
    return np.asarray((labels > 0) & alone, dtype=np.float32)


def foreground_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy and overlap (Dice) of a plain foreground map, about equally.

    Parameters
    ----------
    logits
        (N, 1, Z, Y, X), before the sigmoid.
    target
        The same shape, 0 to 1.
    """
    entropy = functional.binary_cross_entropy_with_logits(logits, target)
    inside = torch.sigmoid(logits)
    overlap = 2 * (inside * target).sum() + 50
    return entropy + 1 - overlap / (inside.sum() + target.sum() + 50)
