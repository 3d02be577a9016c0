"""The part of a volume that a run is restricted to, on the lattice of the volume or of results."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cellseg_app.analysis.surroundings import occupied
from cellseg_app.core.blocks import (
    CroppedArray,
    PlacedArray,
    Region,
    at_most,
    grow,
    intersect,
    region_origin,
    region_shape,
    whole,
)
from cellseg_app.core.box import on_other_lattice, resolve_box
from cellseg_app.core.errors import InputError, UserError
from cellseg_app.core.settings import RegionSettings
from cellseg_app.core.sources import absolute, as_source
from cellseg_app.core.volume import LazyArray, ShapeZYX, Volume
from cellseg_app.io.hashing import file_sha256
from cellseg_app.io.masks import MaskArray, MaskExtent, measure_mask, open_mask
from cellseg_app.io.open import open_volume
from cellseg_app.io.run_record import RecordedRegion, RunRecord
from cellseg_app.pipeline.reporting import Reporting

# A voxel of one lattice is interpolated from this many of the other on each side.
_REACH: Final = 2


@dataclass(frozen=True, slots=True)
class RunRegion:
    """A part of a volume.

    Attributes
    ----------
    box
        Its bounding box, in voxels of the lattice.
    shape_zyx
        The whole lattice.
    mask
        Boolean, on the whole lattice; None if everything in the box is inside.
    n_voxels
        How many voxels are inside.
    extent
        Where the mask is not empty; None without a mask.
    path
        The file of the mask; None if there is none.
    """

    box: Region
    shape_zyx: ShapeZYX
    mask: MaskArray | None = None
    n_voxels: int = 0
    extent: MaskExtent | None = None
    path: Path | None = None

    @property
    def share(self) -> float:
        """How much of the volume is inside, from 0 to 1."""
        return self.n_voxels / math.prod(self.shape_zyx)

    @property
    def origin_zyx(self) -> ShapeZYX:
        """First voxel of the box."""
        return region_origin(self.box)

    @property
    def mask_in_box(self) -> LazyArray | None:
        """The mask's part in the box."""
        return None if self.mask is None else CroppedArray(self.mask, self.box)

    def on_lattice(self, shape_zyx: ShapeZYX) -> RunRegion:
        """The same part on another lattice over the same extent."""
        if shape_zyx == self.shape_zyx:
            return self
        box = on_other_lattice(self.box, self.shape_zyx, shape_zyx)
        mask = None if self.mask is None else self.mask.on_lattice(shape_zyx)
        ratio = math.prod(shape_zyx) / math.prod(self.shape_zyx)
        is_box = self.n_voxels == math.prod(region_shape(self.box))
        n_voxels = math.prod(region_shape(box)) if is_box else round(self.n_voxels * ratio)
        return replace(self, box=box, shape_zyx=shape_zyx, mask=mask, n_voxels=n_voxels)

    def cut(self, array: LazyArray) -> LazyArray:
        """The part of an array (…, Z, Y, X) of this lattice that lies in the box."""
        return CroppedArray(array, self.box)

    def cut_and_masked(self, array: LazyArray) -> LazyArray:
        """The same, 0 where the mask is."""
        mask = self.mask_in_box
        return self.cut(array) if mask is None else _Masked(self.cut(array), mask)

    def put_back(self, array: LazyArray) -> LazyArray:
        """An array (…, Z, Y, X) of the box in its place on the whole lattice, 0 elsewhere."""
        return PlacedArray(array, self.box, self.shape_zyx)

    def concerns(self, region: Region, shape_zyx: ShapeZYX) -> bool:
        """Whether a region of another lattice over the same extent has a say in this part."""
        own = on_other_lattice(grow(region, (_REACH,) * 3, shape_zyx), shape_zyx, self.shape_zyx)
        common = intersect(grow(own, (_REACH,) * 3, self.shape_zyx), self.box)
        if common is None:
            return False
        return self.extent is None or self.extent.touches(common, self.shape_zyx)

    def recorded(self) -> RecordedRegion:
        """For the run record."""
        z, y, x = ((part.start, part.stop) for part in self.box)
        return RecordedRegion(
            box_zyx=(z, y, x),
            shape_zyx=self.shape_zyx,
            n_voxels=self.n_voxels,
            mask=None if self.path is None else absolute(self.path),
            mask_sha256="" if self.path is None else file_sha256(self.path),
            without_surroundings=self.mask is not None and self.path is None,
        )

    def sentence(self) -> str:
        """What is searched, for the log."""
        ranges = ", ".join(
            f"{axis} {part.start}–{part.stop}" for axis, part in zip("ZYX", self.box, strict=True)
        )
        how_much = "All" if self.n_voxels == math.prod(self.shape_zyx) else f"Only {self.share:.1%}"
        return f"{how_much} of the volume is searched: {ranges}."


class _Masked:
    """A lazy array (…, Z, Y, X) that is 0 outside a mask (Z, Y, X)."""

    def __init__(self, array: LazyArray, mask: LazyArray) -> None:
        self._array, self._mask = array, mask
        self.shape: tuple[int, ...] = tuple(array.shape)
        self.dtype: np.dtype[Any] = array.dtype
        self.ndim = len(self.shape)

    def __getitem__(self, key: tuple[slice, ...], /) -> npt.NDArray[Any]:
        inside = self._mask[key[-3:]]
        return np.where(inside, self._array[key], np.zeros((), self.dtype))

    def at_most(self, key: tuple[slice, ...]) -> float:
        """A value that nothing in a region exceeds, if the array can tell; else infinity."""
        return at_most(self._array, key)


def find_region(
    volume: Volume, settings: RegionSettings, report: Reporting | None = None
) -> RunRegion | None:
    """Return the part of a volume that the settings ask for; None for all of it.

    Raises
    ------
    InputError
        The mask cannot be used, or nothing of the volume is inside.
    """
    if settings.is_whole:
        return None
    report = report or Reporting()
    shape = volume.shape_zyx
    box = whole(shape) if settings.box is None else resolve_box(settings.box, shape)
    if box is None:
        size = " × ".join(str(n) for n in shape)
        raise InputError(
            f"The region {settings.box} lies outside of the {size} voxels of the volume.",
            "Correct the region; it counts from 0, as Z, Y, X.",
            path=volume.source,
        )
    found = RunRegion(box, shape, n_voxels=math.prod(region_shape(box)))
    if settings.mask is not None:
        path = as_source(settings.mask)
        found = replace(_masked(found, open_mask(path, volume), report, path), path=path)
    elif settings.non_empty:
        found = _without_surroundings(found, volume, report)
    return found


def _without_surroundings(region: RunRegion, volume: Volume, report: Reporting) -> RunRegion:
    coarse = occupied(volume.data, progress=report.progress, cancel=report.cancel)
    if coarse is None:
        report.say("No surroundings are clearly empty: nothing is left out.")
        return region
    return _masked(region, MaskArray(coarse, volume.shape_zyx), report, volume.source)


def _masked(region: RunRegion, mask: MaskArray, report: Reporting, path: Path | None) -> RunRegion:
    extent = measure_mask(mask, region.box, progress=report.progress, cancel=report.cancel)
    if extent is None:
        raise InputError(
            "Nothing of the region is inside the mask.",
            "Give a mask that is not zero where cells are sought.",
            path=path,
        )
    return replace(region, box=extent.box, mask=mask, n_voxels=extent.n_voxels, extent=extent)


def region_of_record(
    record: RunRecord | None, map_shape_zyx: ShapeZYX
) -> tuple[RunRegion | None, tuple[str, ...]]:
    """Return the part a run was restricted to, on the lattice of its map, and notes about it.

    The map is 0 outside a mask, so the mask itself only tells which cells it cuts.
    """
    recorded = None if record is None else record.used.region
    if record is None or recorded is None:
        return None, ()
    z, y, x = (slice(start, stop) for start, stop in recorded.box_zyx)
    found = RunRegion((z, y, x), record.input.shape_zyx, n_voxels=recorded.n_voxels)
    notes: tuple[str, ...] = ()
    if recorded.mask is not None:
        mask = _same_mask(recorded, record)
        found = replace(found, mask=mask, path=Path(recorded.mask))
        if mask is None:
            notes = (
                f"The mask {recorded.mask} is gone or has changed: cells that it cuts are not "
                "marked as such.",
            )
    return found.on_lattice(map_shape_zyx), notes


def _same_mask(recorded: RecordedRegion, record: RunRecord) -> MaskArray | None:
    assert recorded.mask is not None
    path = Path(recorded.mask)
    try:
        if file_sha256(path) != recorded.mask_sha256:
            return None
        return MaskArray(open_volume(path, allow_2d=True).data, record.input.shape_zyx)
    except (UserError, OSError):
        return None
