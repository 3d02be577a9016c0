"""What training minimises."""

from __future__ import annotations

import torch
from torch.nn import functional

_SHARPNESS = 4.0


def centre_peaked_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Loss of a centre-peaked foreground map.

    Parameters
    ----------
    logits
        (N, 1, Z, Y, X), before the sigmoid.
    target
        The same shape, 0 to 1, 0.5 at the border of an object.

    Notes
    -----
    Cross-entropy with the map itself as a soft label makes the sigmoid equal the map; objects
    count double. The overlap (Dice) of what lies above one half is added, because that contour
    is what becomes the cell.
    """
    weight = 1 + (target > 0.25).to(target.dtype)
    entropy = functional.binary_cross_entropy_with_logits(logits, target, weight=weight)
    own_entropy = functional.binary_cross_entropy(target, target, weight=weight)
    inside = torch.sigmoid(_SHARPNESS * logits)
    truth = (target >= 0.5).to(target.dtype)
    overlap = 2 * (inside * truth).sum() + 50
    dice = 1 - overlap / (inside.sum() + truth.sum() + 50)
    return entropy - own_entropy + 0.3 * dice
