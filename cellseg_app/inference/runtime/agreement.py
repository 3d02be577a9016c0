"""Whether another way of computing a network still draws the same cells."""

from __future__ import annotations

from typing import Final

import torch

from cellseg_app.core.settings import Precision

# Half precision must leave this share (Dice) of the foreground as float32 draws it.
AGREEMENT: Final = 0.99
# Two float32 computations of one network differ by rounding alone, far less than a stored value.
_ROUNDING: Final = 1e-3
_ENOUGH_FOREGROUND_VOXELS: Final = 200


def agreement(
    exact: torch.Tensor, other: torch.Tensor, precision: Precision, threshold: float
) -> tuple[bool, str]:
    """Return whether `other` may stand for `exact`, and a sentence saying why.

    Parameters
    ----------
    exact, other
        Probabilities (N, C, Z, Y, X) of the same windows; `exact` in float32 by PyTorch.
    precision
        What `other` was computed in.
    threshold
        Probability above which a voxel is foreground.
    """
    if precision == "float32":
        difference = float((exact - other).abs().max())
        agrees = difference <= _ROUNDING
        return agrees, "" if agrees else f"Its map differs by up to {difference:.2g}."
    drawn = exact > threshold
    if int(drawn.sum()) < _ENOUGH_FOREGROUND_VOXELS:
        return False, "The probe windows hold too few cells to compare precisions."
    dice = dice_of(drawn, other > threshold)
    if dice < AGREEMENT:
        return False, f"{precision} would change the foreground (Dice {dice:.4f} on the probe)."
    return True, f"{precision} draws the same foreground (Dice {dice:.4f} on the probe)."


def dice_of(a: torch.Tensor, b: torch.Tensor) -> float:
    """Return the Dice coefficient of two masks; 1 where both are empty."""
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0
