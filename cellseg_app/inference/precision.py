"""Chooses the arithmetic inside the network by trying it on a window of the volume itself."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from cellseg_app.core.settings import Precision
from cellseg_app.inference.devices import native_half_precision
from cellseg_app.inference.predictor import WindowPredictor

_log = logging.getLogger(__name__)

# Half precision must leave this share (Dice) of the foreground as float32 draws it.
AGREEMENT: Final = 0.99
_ENOUGH_FOREGROUND_VOXELS: Final = 200


def choose_precision(
    wanted: Precision,
    device: str,
    make_predictor: Callable[[Precision], WindowPredictor],
    probe_windows: npt.NDArray[Any],
    threshold: float,
) -> tuple[Precision, str]:
    """Return the precision to use and a sentence saying why.

    Parameters
    ----------
    wanted
        What the user asked for; anything but `auto` is returned as it is.
    device
        Where the network runs.
    make_predictor
        Gives the network in a precision.
    probe_windows
        Raw windows (N, Z, Y, X) of the volume that hold cells.
    threshold
        Probability above which a voxel is foreground.
    """
    if wanted != "auto":
        return wanted, f"{wanted} was asked for."
    half = native_half_precision(device)
    if half is None:
        return "float32", f"{device} has no native half precision."
    exact = _foreground(make_predictor("float32"), probe_windows, threshold)
    if int(exact.sum()) < _ENOUGH_FOREGROUND_VOXELS:
        return "float32", "The probe windows hold too few cells to compare precisions."
    quick = _foreground(make_predictor(half), probe_windows, threshold)
    dice = float(2 * (exact & quick).sum() / (exact.sum() + quick.sum()))
    if dice < AGREEMENT:
        return "float32", f"{half} would change the foreground (Dice {dice:.4f} on the probe)."
    return half, f"{half} draws the same foreground (Dice {dice:.4f} on the probe)."


def _foreground(
    predictor: WindowPredictor, windows: npt.NDArray[Any], threshold: float
) -> torch.Tensor:
    return torch.cat([predictor(window[np.newaxis]) > threshold for window in windows])
