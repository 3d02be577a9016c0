"""Reading a chunked volume window by window without decoding every chunk once per window."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cellseg_app.core.blocks import Region, grow, region_shape, relative_to
from cellseg_app.core.volume import LazyArray, ShapeZYX

_BAND_BYTES: Final = 96 * 1024**2


class BandedArray:
    """A lazy array (Z, Y, X) that reads a band of rows and keeps it for the windows that follow.

    Windows come along X, then Y: a band is as deep as the window that asked for it, as wide as the
    region, and as many rows high as memory allows.

    Parameters
    ----------
    source
        What is read.
    region, halo_zyx
        Windows lie in the region grown by the halo.
    """

    def __init__(self, source: LazyArray, region: Region, halo_zyx: ShapeZYX) -> None:
        z, y, x = source.shape
        self._source = source
        self._reach = grow(region, halo_zyx, (z, y, x))
        self._band: tuple[Region, npt.NDArray[Any]] | None = None
        self.shape: tuple[int, ...] = (z, y, x)
        self.dtype: np.dtype[Any] = source.dtype
        self.ndim = 3

    def __getitem__(self, key: tuple[slice, ...], /) -> npt.NDArray[Any]:
        z, y, x = (slice(*part.indices(n)[:2]) for part, n in zip(key, self.shape, strict=True))
        asked: Region = (z, y, x)
        if self._band is None or not _holds(self._band[0], asked):
            band = self._band_of(asked)
            if not _holds(band, asked):
                return self._source[asked]
            self._band = None
            self._band = (band, np.asarray(self._source[band]))
        region, voxels = self._band
        return voxels[relative_to(asked, region)]

    def _band_of(self, asked: Region) -> Region:
        depth, height, _ = region_shape(asked)
        x = self._reach[2]
        row_bytes = depth * (x.stop - x.start) * self.dtype.itemsize
        rows = max(height, math.floor(_BAND_BYTES / max(1, row_bytes)))
        return asked[0], slice(asked[1].start, min(self._reach[1].stop, asked[1].start + rows)), x


def _holds(outer: Region, inner: Region) -> bool:
    return all(o.start <= i.start and i.stop <= o.stop for o, i in zip(outer, inner, strict=True))
