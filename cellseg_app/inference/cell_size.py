"""Estimates the typical cell diameter of a volume, so that it can be matched to the network.

Scale-space blob detection (Lindeberg 1998): a bright ball of diameter d answers most strongly to
a scale-normalized Laplacian of Gaussian of σ = d / (2·√3). Octaves are sought on ever coarser
lattices; a blob inside a stronger one (a nucleolus in its nucleus) does not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import cKDTree

from cellseg_app.core.blocks import Region
from cellseg_app.core.volume import LazyArray, SpacingZYX
from cellseg_app.inference.normalize import sample_voxels
from cellseg_app.inference.resample import ResampledArray, resampled_shape

_OCTAVES: Final = 6
_SIGMAS: Final = tuple(1.0 * 2 ** (i / 3) for i in range(6))
_DIAMETER_PER_SIGMA: Final = 2 * 3**0.5
# Between what simulated cells (0.99) and hand-labelled embryos (1.30, BBBC050 train) ask for.
_OUTLINE_PER_BLOB: Final = 1.12
_CROP_EDGE: Final = 96
_CROPS_PER_AXIS: Final = 2
_MIN_BLOBS: Final = 3
_MAX_BLOBS: Final = 4000
_CONTRAST_ABOVE_NOISE: Final = 8.0
_SHARE_OF_STRONGEST: Final = 0.3
_SIZE_COUNTS: Final = 0.5


@dataclass(frozen=True, slots=True)
class _Blobs:
    """Candidates: position in finest isotropic voxels (n, 3), σ in the same unit, strength."""

    position: npt.NDArray[np.float64]
    sigma: npt.NDArray[np.float64]
    strength: npt.NDArray[np.float64]

    def pick(self, which: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> _Blobs:
        return _Blobs(self.position[which], self.sigma[which], self.strength[which])


def estimate_diameter_px(image: LazyArray, spacing_um_zyx: SpacingZYX | None) -> float | None:
    """Return the typical cell diameter in voxels along Y and X; None where no cells show.

    Parameters
    ----------
    image
        Intensities, axes Z, Y, X; bright cells on darker ground.
    spacing_um_zyx
        Gives the ratio of the axes; None means cubes.
    """
    z_um, y_um, x_um = spacing_um_zyx or (1.0, 1.0, 1.0)
    lateral_um = (y_um * x_um) ** 0.5
    low, high = np.quantile(sample_voxels(image), [0.5, 0.995])
    found = []
    for octave in range(_OCTAVES):
        coarse = 2.0**octave
        z, y, x = image.shape
        step = (coarse * lateral_um / z_um, coarse * lateral_um / y_um, coarse * lateral_um / x_um)
        shape = resampled_shape((z, y, x), step)
        if min(shape[1:]) < _MIN_BLOBS:
            break
        lattice = ResampledArray(image, shape)
        found += [_blobs(lattice, crop, coarse, float(low), float(high)) for crop in _crops(shape)]
    blobs = _without_inner_ones(_joined(found)) if found else None
    if blobs is None or blobs.sigma.size < _MIN_BLOBS:
        return None
    median_sigma = _weighted_median(blobs.sigma, blobs.strength)
    return median_sigma * _DIAMETER_PER_SIGMA * _OUTLINE_PER_BLOB


def _crops(shape: tuple[int, int, int]) -> list[Region]:
    z, y, x = (_starts(size) for size in shape)
    return [(a, b, c) for a in z for b in y for c in x]


def _starts(size: int) -> list[slice]:
    if size <= _CROP_EDGE:
        return [slice(0, size)]
    room = size - _CROP_EDGE
    # Crops that keep off the corners of the volume, which are often empty.
    starts = (room // 4, room - room // 4) if room > _CROP_EDGE else (room // 2,)
    return [slice(start, start + _CROP_EDGE) for start in starts[:_CROPS_PER_AXIS]]


def _blobs(lattice: ResampledArray, crop: Region, coarse: float, low: float, high: float) -> _Blobs:
    """Blobs of one octave in one crop that stand out from its noise."""
    block = np.clip((lattice[crop] - low) / max(high - low, 1e-12), -0.5, 1.0)
    responses = np.stack(
        [
            -(s**2) * ndimage.gaussian_laplace(block, s, mode="nearest", truncate=3.0)
            for s in _SIGMAS
        ]
    )
    best = responses.max(axis=0)
    peaks = (ndimage.maximum_filter(best, size=3) == best) & (best > 0)
    peaks &= best > _CONTRAST_ABOVE_NOISE * _noise(responses[0])
    where = np.nonzero(peaks)
    which = responses[:, where[0], where[1], where[2]].argmax(axis=0)
    # A peak at the end of an octave belongs to its neighbour, or is noise or haze.
    inside = (which > 0) & (which < len(_SIGMAS) - 1)
    origin = [s.start for s in crop]
    position = (np.stack(where, axis=1)[inside] + origin + 0.5) * coarse
    at_peaks = responses[:, where[0], where[1], where[2]][:, inside]
    return _Blobs(position, _refined_sigma(at_peaks) * coarse, best[where][inside])


def _refined_sigma(responses: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """σ at the summit of a parabola through the strongest scale and its two neighbours."""
    top = responses.argmax(axis=0)
    column = np.arange(top.size)
    below, middle, above = (responses[top + d, column].astype(np.float64) for d in (-1, 0, 1))
    curvature = below - 2 * middle + above
    shift = np.divide(0.5 * (below - above), curvature, out=np.zeros(top.size), where=curvature < 0)
    octaves = (top + np.clip(shift, -0.5, 0.5)) * np.log2(_SIGMAS[1] / _SIGMAS[0])
    return np.asarray(_SIGMAS[0] * np.exp2(octaves), dtype=np.float64)


def _joined(parts: list[_Blobs]) -> _Blobs:
    blobs = _Blobs(
        np.concatenate([part.position for part in parts]),
        np.concatenate([part.sigma for part in parts]),
        np.concatenate([part.strength for part in parts]).astype(np.float64),
    )
    return blobs.pick(np.argsort(-blobs.strength)[:_MAX_BLOBS])


def _without_inner_ones(blobs: _Blobs) -> _Blobs:
    """Keep, most prominent first, what does not lie within a blob kept already; drop faint ones.

    Texture within a nucleus answers about as strongly as the nucleus itself, while cells answer
    several times as strongly as the cluster they form; size therefore counts, but little.
    """
    if blobs.sigma.size == 0:
        return blobs
    blobs = blobs.pick(np.argsort(-blobs.strength * blobs.sigma**_SIZE_COUNTS))
    radius = blobs.sigma * _DIAMETER_PER_SIGMA / 2
    tree = cKDTree(blobs.position)
    kept = np.zeros(radius.size, dtype=bool)
    covered = np.zeros(radius.size, dtype=bool)
    for i in range(radius.size):
        if not covered[i]:
            kept[i] = True
            covered[tree.query_ball_point(blobs.position[i], radius[i])] = True
    chosen = blobs.pick(kept)
    return chosen.pick(chosen.strength > _SHARE_OF_STRONGEST * np.quantile(chosen.strength, 0.95))


def _noise(response: npt.NDArray[np.float32]) -> float:
    middle = float(np.median(response))
    return 1.4826 * float(np.median(np.abs(response - middle))) or 1e-6


def _weighted_median(values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> float:
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(cumulative, cumulative[-1] / 2)])
