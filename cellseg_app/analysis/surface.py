"""Surface area of digital objects by counting where lattice lines leave them.

Cauchy-Crofton: the mean, over all directions, of the area of a body's shadow (counted as often as
lines enter it) is a quarter of its surface. The thirteen directions between neighbouring voxels
stand for the solid angle nearest to each, lines of one direction are vol/step apart. After Lehmann
and Legland, "Efficient N-dimensional surface estimation using Crofton formula and run-length
encoding" (Insight Journal 2012), with weights for the voxel size at hand.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.spatial import SphericalVoronoi

from cellseg_app.analysis.blockwise import Labels
from cellseg_app.analysis.moments import Doubles, Runs
from cellseg_app.core.volume import SpacingZYX

# One of every two opposite directions.
DIRECTIONS_ZYX: tuple[tuple[int, int, int], ...] = (
    (0, 0, 1),
    (0, 1, 0),
    (1, 0, 0),
    (0, 1, 1),
    (0, 1, -1),
    (1, 0, 1),
    (1, 0, -1),
    (1, 1, 0),
    (1, -1, 0),
    (1, 1, 1),
    (1, 1, -1),
    (1, -1, 1),
    (1, -1, -1),
)

# Few enough to stay in the processor's cache through all directions.
_CACHED_VOXELS = 2**14


def sum_surface(framed_labels: Labels, runs: Runs, spacing_um_zyx: SpacingZYX) -> Doubles:
    """Surface that each object of a block has there; parts of an object in several blocks add up.

    Parameters
    ----------
    framed_labels
        C-contiguous: the block and one more voxel on every side, 0 beyond the volume.
    runs
        Of the block.
    spacing_um_zyx
        Voxel size; ones give voxel faces.

    Returns
    -------
    (N,) in µm² (or voxel faces), rows as `runs.ids`. Where an object is cut by the border of the
    volume, the cut counts as surface.

    Notes
    -----
    Against analytic spheres and ellipsoids at random positions and angles, the mean error is −4 %
    at a radius of 2 voxels, −2 % at 3, −1 % at 5 and below 0.5 % from 8 on; with voxels 2.5 times
    as long along Z (radius in fine voxels) −4 to −7 % at 3, −2 % at 5 and below 1 % from 12 on.
    """
    area = _surface_of_exits(spacing_um_zyx)[_exits(framed_labels, runs)]
    per_run = np.add.reduceat(area, runs.starts)
    return np.bincount(runs.place, per_run, minlength=len(runs.ids)).astype(np.float64)


def _exits(framed_labels: Labels, runs: Runs) -> npt.NDArray[np.uint16]:
    """For every voxel of every run, bit k says whether a step in direction k leaves the object."""
    _, n_y, n_x = framed_labels.shape
    flat = framed_labels.ravel()
    views = [flat[(dz * n_y + dy) * n_x + dx :] for dz, dy, dx in DIRECTIONS_ZYX]
    first = ((runs.z + 1) * n_y + runs.y + 1) * n_x + runs.x + 1
    where = np.repeat(first - runs.starts, runs.length)
    where += np.arange(len(where))
    exits = np.zeros(len(where), np.uint16)
    for start in range(0, len(where), _CACHED_VOXELS):
        part = slice(start, start + _CACHED_VOXELS)
        own = flat[where[part]]
        other = np.empty_like(own)
        for k, view in enumerate(views):
            # All indices are valid: "clip" only spares the copy that "raise" needs.
            np.take(view, where[part], out=other, mode="clip")
            exits[part] |= (other != own).view(np.uint8) * np.uint16(1 << k)
    return exits


@lru_cache(maxsize=32)
def _surface_of_exits(spacing_um_zyx: SpacingZYX) -> Doubles:
    """Area that a voxel with each of the 2¹³ sets of exits adds."""
    bits = np.arange(2 ** len(DIRECTIONS_ZYX))[:, None] >> np.arange(len(DIRECTIONS_ZYX)) & 1
    return np.asarray(bits @ crofton_weights(spacing_um_zyx), np.float64)


@lru_cache(maxsize=32)
def crofton_weights(spacing_um_zyx: SpacingZYX) -> Doubles:
    """Area that one exit in each direction stands for."""
    steps = np.asarray(DIRECTIONS_ZYX, np.float64) * np.asarray(spacing_um_zyx)
    length = np.linalg.norm(steps, axis=1)
    unit = steps / length[:, None]
    solid_angle = SphericalVoronoi(np.concatenate([unit, -unit])).calculate_areas()
    share = 2 * solid_angle[: len(unit)] / (4 * np.pi)
    weights: Doubles = 4 * share * float(np.prod(spacing_um_zyx)) / length
    return weights
