"""Volumes with NaN or infinite voxels: they are read as the smallest finite value."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_app.core.errors import InputError
from cellseg_app.core.progress import CancelToken, ProgressSink, StageProgress
from cellseg_app.core.volume import LazyArray, ShapeZYX, Volume

_SLAB_BYTES = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class ValueScan:
    """What a pass over all voxels found.

    Attributes
    ----------
    minimum
        Smallest finite value.
    n_replaced
        Number of NaN and infinite voxels.
    """

    minimum: float
    n_replaced: int


class LookedAtArray:
    """A floating-point volume whose NaN and infinite voxels read as the smallest of what was read.

    Nothing but what is asked for is ever read, so the value differs from part to part.
    """

    def __init__(self, data: LazyArray) -> None:
        self._data = data
        self.shape: tuple[int, ...] = tuple(data.shape)
        self.dtype: np.dtype[Any] = data.dtype
        self.ndim = data.ndim

    def __getitem__(self, key: tuple[slice, ...], /) -> npt.NDArray[Any]:
        part = self._data[key]
        good = np.isfinite(part)
        if good.all():
            return part
        least = part.min(where=good, initial=np.inf)
        return np.where(good, part, least if np.isfinite(least) else 0).astype(self.dtype)


class FiniteArray:
    """A floating-point volume whose NaN and infinite voxels read as its smallest finite value.

    The pass over the whole volume that finds this value runs once, and only when a bad voxel is
    met: a clean volume is never read twice.
    """

    def __init__(self, data: LazyArray, path: Path) -> None:
        self._data = data
        self._path = path
        self._scan: ValueScan | None = None
        self._lock = threading.Lock()
        z, y, x = data.shape
        self._shape = (z, y, x)

    @property
    def shape(self) -> ShapeZYX:
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._data.dtype

    @property
    def ndim(self) -> int:
        return 3

    def __getitem__(self, key: tuple[slice, ...]) -> npt.NDArray[Any]:
        part = self._data[key]
        bad = ~np.isfinite(part)
        if bad.any():
            part = np.array(part)
            part[bad] = self.scan().minimum
        return part

    def for_looking(self) -> LookedAtArray:
        """The volume for a viewer, which must not wait for a pass over all of it."""
        return LookedAtArray(self._data)

    def scan(
        self, *, progress: ProgressSink | None = None, cancel: CancelToken | None = None
    ) -> ValueScan:
        """Pass over all voxels, slab by slab; the result is kept.

        Raises
        ------
        InputError
            If no voxel is finite.
        """
        with self._lock:
            if self._scan is None:
                self._scan = self._pass(progress, cancel)
            return self._scan

    def _pass(self, progress: ProgressSink | None, cancel: CancelToken | None) -> ValueScan:
        slabs = z_slabs(self._shape, self.dtype.itemsize)
        steps = StageProgress(progress, "checking voxels", len(slabs), cancel=cancel)
        minimum, n_replaced = np.inf, 0
        for z in slabs:
            part = self._data[z, :, :]
            finite = np.isfinite(part)
            n_replaced += part.size - int(np.count_nonzero(finite))
            minimum = min(minimum, float(part.min(where=finite, initial=np.inf)))
            steps.advance()
        if not np.isfinite(minimum):
            raise InputError(
                "It holds no finite voxel, only NaN or infinity.",
                "Export it again from where it was made.",
                path=self._path,
            )
        return ValueScan(minimum, n_replaced)


def check_values(
    volume: Volume, *, progress: ProgressSink | None = None, cancel: CancelToken | None = None
) -> Volume:
    """Look at every voxel of a floating-point volume once; volumes of integers pass as they are.

    `open_volume` does not do this, since it reads the whole file; a run does it at its start.

    Returns
    -------
    Volume
        The volume, with a note on how many voxels are replaced, if any.

    Raises
    ------
    InputError
        If no voxel is finite.
    """
    if volume.data.dtype.kind != "f" or not isinstance(volume.data, FiniteArray):
        return volume
    scan = volume.data.scan(progress=progress, cancel=cancel)
    if not scan.n_replaced:
        return volume
    note = (
        f"{scan.n_replaced} of {volume.n_voxels} voxels are NaN or infinite; "
        f"they were read as the smallest finite value, {scan.minimum:g}."
    )
    return replace(volume, notes=(*volume.notes, note))


def z_slabs(
    shape_zyx: tuple[int, ...], itemsize: int, *, n_bytes: int = _SLAB_BYTES
) -> list[slice]:
    """Runs of planes that tile a volume along Z, each of about `n_bytes` or one plane."""
    z, y, x = shape_zyx
    planes = max(1, n_bytes // max(1, y * x * itemsize))
    return [slice(start, min(start + planes, z)) for start in range(0, z, planes)]
