"""The smoothed map that Voronoi-Otsu thresholds, and Otsu's threshold over all its blocks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cellseg_app.analysis.blockwise import Floats
from cellseg_app.analysis.instances.job import InstanceJob
from cellseg_app.analysis.smoothing import gaussian, gaussian_reach
from cellseg_app.core.blocks import Region, grow, relative_to

_BINS = 256
_KEPT_VOXELS = 2**26


class Outline:
    """The probability smoothed with one sigma, region by region.

    Parameters
    ----------
    job
        Whose probability.
    sigma
        In voxels.

    Notes
    -----
    A volume of up to 67 million voxels is smoothed once and kept (268 MB); a larger one is
    smoothed again whenever a region is read, so that memory stays flat.
    """

    def __init__(self, job: InstanceJob, sigma: float) -> None:
        self._job = job
        self._sigma = (sigma, sigma, sigma)
        small = int(np.prod(job.shape_zyx, dtype=np.int64)) <= _KEPT_VOXELS
        # What another process reads must lie on disk.
        small = small and job.plan.runner is None
        self._kept = np.empty(job.shape_zyx, np.float32) if small else None
        if self._kept is not None:
            self._keep(self._kept)

    def read(self, region: Region) -> Floats:
        """Smoothed values of a region; they do not depend on which region is asked for."""
        return self._smooth(region) if self._kept is None else self._kept[region]

    def otsu_threshold(self) -> float:
        """Otsu's threshold of the whole volume."""
        low, high = np.inf, -np.inf
        plan, shape = self._job.plan, self._job.shape_zyx
        for least, most in plan.map(shape, self._range, stage="Finding the range"):
            low, high = min(low, least), max(high, most)
        if not high > low:
            return float(high)
        scale = (_BINS - 1) / (high - low)

        def histogram(core: Region) -> npt.NDArray[np.intp]:
            values = (self.read(core).ravel() - np.float32(low)) * np.float32(scale)
            return np.bincount((values + np.float32(0.5)).astype(np.intp), minlength=_BINS)

        counts = np.zeros(_BINS, np.float64)
        for part in plan.map(shape, histogram, stage="Finding the threshold"):
            counts += part[:_BINS]
        return otsu_of_histogram(counts, np.linspace(low, high, _BINS))

    def _keep(self, kept: Floats) -> None:
        def work(core: Region) -> None:
            kept[core] = self._smooth(core)

        self._job.plan.run(self._job.shape_zyx, work, stage="Smoothing")

    def _range(self, core: Region) -> tuple[float, float]:
        values = self.read(core)
        return float(values.min()), float(values.max())

    def _smooth(self, region: Region) -> Floats:
        wide = grow(region, gaussian_reach(self._sigma), self._job.shape_zyx)
        return gaussian(self._job.read(wide), self._sigma)[relative_to(region, wide)]


def otsu_of_histogram(counts: npt.NDArray[np.float64], centres: npt.NDArray[np.float64]) -> float:
    """The bin centre after which the variance between both sides is largest (Otsu 1979)."""
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    sums = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums[:-1] / below - (sums[-1] - sums[:-1]) / above) ** 2
    return float(centres[int(np.argmax(np.nan_to_num(between, nan=-1.0)))])
