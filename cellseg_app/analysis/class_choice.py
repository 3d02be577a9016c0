"""Which class of a network that was never told what a cell is holds the cells."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cellseg_app.analysis.blockwise import Bools, Floats
from cellseg_app.analysis.sampling import sample_cubes
from cellseg_app.analysis.smoothing import gaussian
from cellseg_app.core.blocks import Region
from cellseg_app.core.errors import InputError
from cellseg_app.core.volume import LazyArray

_EDGE = 96
_CANDIDATES = 48
_CUBES = 12
_SECTION_STEP = 3
_SCALES = (1.0, 2.0, 4.0)
_DISC = 1.5
_STRAIGHT = 0.02
_WEIGHT_OF_RARITY = 0.25

Doubles = npt.NDArray[np.float64]


def foreground_class(image: LazyArray | None, probability: LazyArray) -> int:
    """The class whose parts are compact bodies, on bright cells as on dark ones.

    Every voxel of a bounded sample is given to its most probable class, at three scales of
    smoothing, and two things are asked of every class:

    - Does its outline bulge outward? Bodies are convex nearly everywhere, also where they touch,
      and whatever surrounds them is dented by them; a shell is both in turn. Where a class meets
      another in a Z section, less than half of a small disc around that place belongs to it if it
      bulges there (the integral invariant of Pottmann et al. 2007). The share of bulging minus the
      share of dented places, averaged over the scales, is between −1 and 1.
    - Is it rare? A quarter as much weight is given to the share of voxels it does not have.

    In simulated maps with two or three classes this is right while cells fill up to about half of
    the volume; where merged cells fill most of it, the pockets between them are the bodies.

    Intensities are not compared, so that cells may be brighter or darker than their surroundings.

    Parameters
    ----------
    image
        (Z, Y, X); the sample prefers cubes where its values differ most, for only there are cells.
        None takes cubes from everywhere.
    probability
        (C, Z, Y, X), one map per class.

    Raises
    ------
    InputError
        If the probability has not four axes.
    """
    if probability.ndim != 4:
        problem = f"Expected probabilities with axes C, Z, Y, X, got shape {probability.shape}."
        raise InputError(problem)
    n_classes = int(probability.shape[0])
    if n_classes == 1:
        return 0
    _, z, y, x = probability.shape
    cubes = list(sample_cubes((z, y, x), edge=_EDGE, limit=_CANDIDATES))
    bulging, dented = np.zeros((2, len(_SCALES), n_classes))
    share = np.zeros(n_classes)
    for cube in _most_varied(image, cubes):
        block = probability[(slice(0, n_classes), *cube)]
        values = np.asarray(block[:, ::_SECTION_STEP], dtype=np.float32)
        for k, scale in enumerate(_SCALES):
            winner = _smoothed_winner(values, scale)
            share += np.bincount(winner.ravel(), minlength=n_classes)
            for c in range(n_classes):
                out, into = _outline_bends(winner == c, _DISC * scale)
                bulging[k, c] += out
                dented[k, c] += into
    if not (bulging + dented).any():
        # One class has everything and so no body in it: what has least holds the cells, none.
        return int(np.argmin(share))
    return int(np.argmax(_scores(bulging, dented, share)))


def _scores(bulging: Doubles, dented: Doubles, share: Doubles) -> Doubles:
    total = np.maximum(bulging + dented, 1)
    convex = ((bulging - dented) / total).mean(axis=0)
    part = share / max(1.0, float(share.sum()))
    # A class that wins nowhere is rare beyond doubt, but it is no cell.
    return np.where(part > 0, convex + _WEIGHT_OF_RARITY * (1 - part), -np.inf)


def _most_varied(image: LazyArray | None, cubes: list[Region]) -> list[Region]:
    """The cubes whose intensities reach farthest from their median, on either side."""
    if image is None or len(cubes) <= _CUBES:
        return cubes[:_CUBES]
    reach = []
    for cube in cubes:
        values = np.asarray(image[cube], dtype=np.float32)[::2, ::2, ::2]
        low, middle, high = np.quantile(values, (0.005, 0.5, 0.995))
        reach.append(max(high - middle, middle - low))
    order = np.argsort(-np.asarray(reach), kind="stable")[:_CUBES]
    return [cubes[k] for k in order]


def _smoothed_winner(values: Floats, sigma: float) -> npt.NDArray[np.intp]:
    smooth = np.stack([gaussian(v, (0.0, sigma, sigma), truncate=2.0) for v in values])
    winner: npt.NDArray[np.intp] = np.argmax(smooth, axis=0)
    return winner


def _outline_bends(mask: Bools, sigma: float) -> tuple[int, int]:
    """At how many places the outline in Z sections bulges outward, and at how many inward."""
    inside = gaussian(mask.astype(np.float32), (0.0, sigma, sigma), truncate=2.0)
    outward = inward = 0
    for axis in (1, 2):
        own, part = np.moveaxis(mask, axis, 0), np.moveaxis(inside, axis, 0)
        edge = own[1:] != own[:-1]
        # The mean of both sides of an edge is one half where the outline is straight.
        half = (part[1:][edge] + part[:-1][edge]) / 2
        outward += int(np.count_nonzero(half < 0.5 - _STRAIGHT))
        inward += int(np.count_nonzero(half > 0.5 + _STRAIGHT))
    return outward, inward
