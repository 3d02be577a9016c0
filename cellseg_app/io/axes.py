"""From the axes a file has to Z, Y, X: which axis is Z, which channel, which time point."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from cellseg_app.core.errors import InputError
from cellseg_app.core.settings import DataSettings
from cellseg_app.core.volume import ShapeZYX
from cellseg_app.io.lengths import StatedVoxelSize

_NAMES = {"T": "time", "C": "channel", "S": "sample", "Z": "Z", "Q": "unnamed", "I": "unnamed"}


class StoredArray(Protocol):
    """The array of a file, with all its axes, read region by region."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def read(self, key: tuple[slice, ...], /) -> npt.NDArray[Any]:
        """The region, one slice per axis with bounds set and a positive step; native bytes."""


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image as it lies in a file or folder, before Z, Y, X are picked.

    Attributes
    ----------
    kind
        What sort of file it is, as a user reads it.
    array, axes
        The array and one letter for each of its axes: T, C, Z, Y, X, S (colour samples) or
        others of tifffile's letters.
    size
        What it says about its voxel size.
    colour
        Whether S holds colours of a photo.
    n_levels
        Number of resolution levels.
    probability_one
        What stands for a probability of one in a map of bytes; None for everything else.
    """

    path: Path
    kind: str
    array: StoredArray
    axes: str
    size: StatedVoxelSize = field(default_factory=StatedVoxelSize)
    colour: bool = False
    n_levels: int = 1
    notes: tuple[str, ...] = ()
    probability_one: float | None = None

    def length(self, axis: str) -> int:
        """Number of elements along an axis; 1 if there is none of that letter."""
        return self.array.shape[self.axes.index(axis)] if axis in self.axes else 1


@dataclass(frozen=True, slots=True)
class Choice:
    """Which stored axis is Z, and the index taken of every other axis but Y and X."""

    z: str | None
    taken: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class ZyxArray:
    """The Z, Y, X part of a stored array; a `LazyArray`."""

    def __init__(self, stored: StoredImage, choice: Choice) -> None:
        self._array = stored.array
        self._axes = stored.axes
        self._choice = choice
        z = stored.length(choice.z) if choice.z else 1
        self._shape = (z, stored.length("Y"), stored.length("X"))
        self._dtype = _native(stored.array.dtype)

    @property
    def shape(self) -> ShapeZYX:
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._dtype

    @property
    def ndim(self) -> int:
        return 3

    def __getitem__(self, key: tuple[slice, ...]) -> npt.NDArray[Any]:
        region = bounded(key, self._shape)
        by_axis = {"Y": region[1], "X": region[2]}
        if self._choice.z:
            by_axis[self._choice.z] = region[0]
        stored_key = tuple(
            by_axis.get(axis) or _only(self._choice.taken.get(axis, 0)) for axis in self._axes
        )
        part = self._array.read(stored_key)
        kept = [axis for axis in self._axes if axis in by_axis]
        part = part.reshape([len(_range(by_axis[axis])) for axis in kept])
        wanted = [axis for axis in (self._choice.z, "Y", "X") if axis]
        part = part.transpose([kept.index(axis) for axis in wanted])
        shape = [len(_range(s)) for s in region]
        if self._choice.z is None:
            part = part[np.newaxis][: shape[0]]
        return np.ascontiguousarray(part.reshape(shape), dtype=self._dtype)


def bounded(key: tuple[slice, ...] | slice, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """The key with one slice per axis, bounds set as NumPy would and a positive step."""
    slices = key if isinstance(key, tuple) else (key,)
    if len(slices) > len(shape) or not all(isinstance(s, slice) for s in slices):
        msg = f"a volume is read by {len(shape)} slices, not by {key!r}"
        raise TypeError(msg)
    slices += (slice(None),) * (len(shape) - len(slices))
    full = []
    for one, size in zip(slices, shape, strict=True):
        start, stop, step = one.indices(size)
        if step < 1:
            msg = "a volume is read forwards only"
            raise ValueError(msg)
        full.append(slice(start, max(start, stop), step))
    return tuple(full)


def choose(stored: StoredImage, settings: DataSettings, *, allow_2d: bool = False) -> Choice:
    """Decide which axis is Z and which channel and time point are taken.

    A stack whose planes were saved as time points or channels, the most frequent slip, is taken
    as Z when no other axis is longer than one; a note says so.

    Raises
    ------
    InputError
        For colour photos, 2D images, complex numbers, and channels or time points that the file
        does not have.
    """
    _refuse_values(stored)
    z, notes = _find_z(stored, settings, allow_2d=allow_2d)
    if z is None and not allow_2d:
        raise InputError(*_not_3d(stored), path=stored.path)
    taken: dict[str, int] = {}
    for axis in stored.axes:
        if axis in ("Y", "X", z):
            continue
        taken[axis] = _index(stored, axis, settings)
        if stored.length(axis) > 1:
            notes.append(_taken_note(stored, axis, taken[axis]))
    _refuse_absent(stored, settings, z)
    return Choice(z, taken, tuple(notes))


def _find_z(
    stored: StoredImage, settings: DataSettings, *, allow_2d: bool
) -> tuple[str | None, list[str]]:
    longer = [a for a in stored.axes if a not in "YX" and stored.length(a) > 1]
    if "Z" in longer:
        return "Z", []
    if allow_2d and longer == ["C"] and "Z" in stored.axes:
        # One plane with several classes: a result of ours, whose axes are right.
        return None, []
    asked = {"C": settings.channel, "S": settings.channel, "T": settings.timepoint}
    unnamed = [axis for axis in longer if axis not in "TCS"]
    candidates = longer if len(longer) == 1 else unnamed
    if len(candidates) != 1 or asked.get(candidates[0]):
        return None, []
    axis = candidates[0]
    name = _NAMES.get(axis, axis)
    return axis, [f"The file names its stack axis {name}, not Z; it was taken as Z."]


def _index(stored: StoredImage, axis: str, settings: DataSettings) -> int:
    has_c = stored.length("C") > 1
    if axis == "T":
        return settings.timepoint
    if axis == "C" or (axis == "S" and not has_c):
        return settings.channel if stored.length(axis) > 1 else 0
    return 0


def _taken_note(stored: StoredImage, axis: str, index: int) -> str:
    name = {"T": "time point", "C": "channel", "S": "channel"}.get(axis, f"position along {axis}")
    return f"Taken: {name} {index} of {stored.length(axis)} (counted from 0)."


def _refuse_absent(stored: StoredImage, settings: DataSettings, z: str | None) -> None:
    n_channels = math.prod(stored.length(a) for a in "CS" if a != z)
    n_timepoints = stored.length("T") if z != "T" else 1
    for name, option, asked, n in (
        ("channel", "--channel", settings.channel, n_channels),
        ("time point", "--timepoint", settings.timepoint, n_timepoints),
    ):
        if asked >= n:
            raise InputError(
                f"There is no {name} {asked}; the file has {n}.",
                f"Choose a {name} from 0 to {n - 1} ({option}).",
                path=stored.path,
            )


def _refuse_values(stored: StoredImage) -> None:
    dtype = stored.array.dtype
    if dtype.kind == "c":
        problem, remedy = "Its voxels are complex numbers.", "Save their magnitude instead."
    elif dtype.kind not in "buif":
        problem = f"Its voxels are of type {dtype}, which is no intensity."
        remedy = "Save it with integer or floating-point voxels."
    elif stored.colour:
        problem = "It is a colour (RGB) image, not an intensity volume."
        remedy = "Split the colours into channels (in Fiji: Image > Color > Split Channels)."
    elif "Y" not in stored.axes or "X" not in stored.axes:
        problem = f"Its axes ({stored.axes}) hold no Y and X."
        remedy = "Save it as a stack of images."
    elif 0 in stored.array.shape:
        problem, remedy = "It holds no voxels.", "Export it again."
    else:
        return
    raise InputError(problem, remedy, path=stored.path)


def _not_3d(stored: StoredImage) -> tuple[str, str]:
    longer = [a for a in stored.axes if stored.length(a) > 1 or a in "YX"]
    sizes = " × ".join(f"{axis} {stored.length(axis)}" for axis in longer)
    remedy = (
        "Give a volume with several Z planes; for one file per plane give the folder. If Z is "
        "stored as another axis, correct it first (in Fiji: Image > Properties)."
    )
    if len(longer) == 2:
        return f"It is a 2D image ({sizes}).", remedy
    return f"None of its axes is Z ({sizes}).", remedy


def _native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    # Booleans leave as bytes: NumPy refuses to subtract them, which every later stage does.
    return np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("=")


def _only(index: int) -> slice:
    return slice(index, index + 1, 1)


def _range(one: slice) -> range:
    return range(one.start, one.stop, one.step)
