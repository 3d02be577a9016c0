"""Reading volumes for the window: what they hold, and three small pictures of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cellseg_app.core.errors import Cancelled, UserError
from cellseg_app.core.settings import DataSettings
from cellseg_app.core.volume import LazyArray, Volume
from cellseg_app.io.finite import FiniteArray
from cellseg_app.io.open import VolumeInfo, describe, expand_inputs, open_volume
from cellseg_app.workers.jobs import JobContext, Work

_THUMBNAIL_PIXELS: Final = 96
_LOW, _HIGH = 0.01, 0.997

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """Middle slices as 8-bit pictures; None where the volume cannot be used.

    Attributes
    ----------
    xy, xz, yz
        Rows and columns as the names say, last letter across: XY is (Y, X), XZ is (Z, X),
        YZ is (Y, Z).
    """

    xy: Picture
    xz: Picture
    yz: Picture


@dataclass(frozen=True, slots=True, eq=False)
class CoarserLevel:
    """A volume at lower resolution, and how many of its voxels are one of these, per axis."""

    data: LazyArray
    factor_zyx: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class VolumeReading:
    """A volume opened for the viewer; `volume` is None if a run would refuse it."""

    path: Path
    info: VolumeInfo
    volume: Volume | None
    thumbnails: Thumbnails | None
    coarser: tuple[CoarserLevel, ...] = ()


def expanding(paths: Sequence[Path]) -> Work:
    """Work that finds the volumes among files and folders; gives a list of paths."""
    return lambda _context: expand_inputs(paths)


def describing(paths: Sequence[Path]) -> Work:
    """Work that says of each volume what it holds; tells (path, VolumeInfo or UserError)."""

    def work(context: JobContext) -> None:
        for path in paths:
            context.cancel.raise_if_cancelled()
            try:
                context.tell((path, describe(path)))
            except Cancelled:
                raise
            except UserError as error:
                context.tell((path, error))

    return work


def reading(path: Path, settings: DataSettings) -> Work:
    """Work that opens one volume for the viewer; gives a `VolumeReading`."""

    def work(context: JobContext) -> VolumeReading:
        info = describe(path, settings)
        if info.problem:
            return VolumeReading(path, info, None, None)
        volume = _looked_at(path, settings)
        context.cancel.raise_if_cancelled()
        coarser = tuple(
            coarser_levels(
                volume.data,
                range(settings.level + 1, info.levels),
                lambda level: _looked_at(path, settings.model_copy(update={"level": level})).data,
            )
        )
        large = [v.data for v in coarser if min(v.data.shape[1:]) >= _THUMBNAIL_PIXELS]
        pictures = thumbnails(large[-1] if large else volume.data)
        return VolumeReading(path, info, volume, pictures, coarser)

    return work


def _looked_at(path: Path, settings: DataSettings) -> Volume:
    volume = open_volume(path, settings)
    if isinstance(volume.data, FiniteArray):
        return replace(volume, data=volume.data.for_looking())
    return volume


def coarser_levels(
    finest: LazyArray, levels: range, open_level: Callable[[int], LazyArray]
) -> list[CoarserLevel]:
    """The levels of a pyramid below the one that is shown, finest first.

    Parameters
    ----------
    finest
        What is shown, (…, Z, Y, X).
    levels
        Which levels to open.
    open_level
        Opens one of them.
    """
    found: list[CoarserLevel] = []
    for level in levels:
        try:
            data = open_level(level)
        except UserError:
            # The finest level shows everything, if slower.
            break
        z, y, x = (_factor(n, m) for n, m in zip(finest.shape[-3:], data.shape[-3:], strict=True))
        found.append(CoarserLevel(data, (z, y, x)))
    return found


def _factor(fine: int, coarse: int) -> float:
    """How many voxels became one; writers round the size of what is left up or down."""
    whole = max(1, round(fine / coarse))
    return whole if abs(coarse * whole - fine) < whole else fine / coarse


def thumbnails(data: LazyArray) -> Thumbnails:
    """Middle slices of a volume, thinned to a few pixels; reads little of large files."""
    z, y, x = (size // 2 for size in data.shape)
    steps = tuple(max(1, size // _THUMBNAIL_PIXELS) for size in data.shape)
    rows, columns = slice(0, data.shape[1], steps[1]), slice(0, data.shape[2], steps[2])
    xy = data[slice(z, z + 1), rows, columns][0]
    planes = range(0, data.shape[0], steps[0])
    # One row and one column of every plane: a file is stored plane by plane.
    xz = np.stack([data[slice(k, k + 1), slice(y, y + 1), columns][0, 0] for k in planes])
    yz = np.stack([data[slice(k, k + 1), rows, slice(x, x + 1)][0, :, 0] for k in planes], axis=1)
    low, high = np.quantile(xy.astype(np.float64), (_LOW, _HIGH))
    return Thumbnails(*(_as_picture(part, float(low), float(high)) for part in (xy, xz, yz)))


def _as_picture(values: npt.NDArray[Any], low: float, high: float) -> Picture:
    scaled = (values.astype(np.float64) - low) / max(high - low, 1e-12)
    picture: Picture = (np.clip(scaled, 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(picture)
