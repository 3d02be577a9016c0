"""Pairs of numbers below 2³² as single numbers, so that they are sorted and counted at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]
_HALF = np.uint64(32)
_LOWER = np.uint64(0xFFFFFFFF)


def pair_keys(first: npt.NDArray[np.integer[Any]], second: npt.NDArray[np.integer[Any]]) -> Keys:
    """One key per pair, first · 2³² + second: ordered by the first, then by the second."""
    keys = first.astype(np.uint64)
    keys <<= _HALF
    keys |= second.astype(np.uint64, copy=False)
    return keys


def pairs_of(keys: Keys) -> tuple[Keys, Keys]:
    """The first and the second numbers of keys."""
    return keys >> _HALF, keys & _LOWER
