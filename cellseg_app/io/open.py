"""One door for every kind of volume: open it, or say what it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cellseg_app.core.errors import InputError
from cellseg_app.core.settings import DataSettings
from cellseg_app.core.sources import address_of
from cellseg_app.core.volume import LazyArray, SpacingZYX, Volume
from cellseg_app.io.addresses import what_to_check
from cellseg_app.io.axes import StoredImage, ZyxArray, choose
from cellseg_app.io.finite import FiniteArray, check_values
from cellseg_app.io.inputs import expand_inputs
from cellseg_app.io.lengths import is_plausible, judge
from cellseg_app.io.naming import volume_name
from cellseg_app.io.ome_zarr import is_zarr, read_ome_zarr
from cellseg_app.io.refusals import require_exists
from cellseg_app.io.slices import read_slices
from cellseg_app.io.tiff_read import read_tiff

__all__ = ["VolumeInfo", "check_values", "describe", "expand_inputs", "open_volume"]


@dataclass(frozen=True, slots=True)
class VolumeInfo:
    """What a file or folder holds.

    Attributes
    ----------
    kind
        Sort of file, as a user reads it.
    axes, shape
        As stored, one letter and one size per axis, without axes of a single element.
    dtype
        NumPy's name of the voxel type.
    spacing_um_zyx
        Voxel size in µm of the level asked for, or None.
    shape_zyx
        Shape of the volume a run would take; None if it would refuse.
    problem
        Why a run would refuse it, with the remedy; empty if it would not.
    notes
        Choices and doubts.
    """

    path: Path
    kind: str
    axes: str
    shape: tuple[int, ...]
    dtype: str
    spacing_um_zyx: SpacingZYX | None
    n_channels: int
    n_timepoints: int
    levels: int
    shape_zyx: tuple[int, int, int] | None = None
    problem: str = ""
    notes: tuple[str, ...] = ()


def open_volume(
    path: Path | str, settings: DataSettings | None = None, *, allow_2d: bool = False
) -> Volume:
    """Open a volume without reading its voxels.

    Parameters
    ----------
    path
        A TIFF file, a folder of 2D slices, or an OME-Zarr folder, or its address.
    settings
        Channel, time point, level, and a voxel size that overrides the file's.
    allow_2d
        Take a 2D image as a volume of one plane; for reading our own results.

    Returns
    -------
    Volume
        Axes Z, Y, X; native byte order; booleans as uint8. NaN and infinite voxels read as the
        smallest finite value (see `check_values`, which counts them).

    Raises
    ------
    InputError
        If it cannot be used as a volume; the message names the file, the reason and a remedy.
    """
    path = Path(path)
    settings = settings or DataSettings()
    stored = read_stored(path, level=settings.level)
    choice = choose(stored, settings, allow_2d=allow_2d)
    spacing, size_notes = _spacing(stored, settings)
    data: LazyArray = ZyxArray(stored, choice)
    if data.dtype.kind == "f":
        data = FiniteArray(data, path)
    return Volume(
        data=data,
        spacing_um_zyx=spacing,
        name=volume_name(path),
        source=path,
        notes=(*stored.notes, *choice.notes, *size_notes),
    )


def describe(
    path: Path | str, settings: DataSettings | None = None, *, allow_2d: bool = False
) -> VolumeInfo:
    """Say what a file or folder holds; a file that a run would refuse is described all the same.

    Parameters
    ----------
    path, settings, allow_2d
        See `open_volume`.

    Raises
    ------
    InputError
        If it cannot be opened at all.
    """
    path = Path(path)
    settings = settings or DataSettings()
    stored = read_stored(path, level=settings.level)
    spacing, size_notes = _spacing(stored, settings)
    notes, problem, shape_zyx, z = (*stored.notes, *size_notes), "", None, "Z"
    try:
        choice = choose(stored, settings, allow_2d=allow_2d)
        shape_zyx = ZyxArray(stored, choice).shape
        notes, z = (*notes, *choice.notes), choice.z or "Z"
    except InputError as error:
        problem = f"{error.problem} {error.remedy}"
    shown = [a for a in stored.axes if a in "YX" or stored.length(a) > 1]
    return VolumeInfo(
        path=path,
        kind=stored.kind,
        axes="".join(shown),
        shape=tuple(stored.length(axis) for axis in shown),
        dtype=stored.array.dtype.name,
        spacing_um_zyx=spacing,
        n_channels=_length(stored, "C", z) * _length(stored, "S", z),
        n_timepoints=_length(stored, "T", z),
        levels=stored.n_levels,
        shape_zyx=shape_zyx,
        problem=problem,
        notes=notes,
    )


def read_stored(path: Path, *, level: int = 0) -> StoredImage:
    """The image of a file or folder with all its axes, whatever its format."""
    address = address_of(path)
    if address is not None:
        if not is_zarr(path):
            raise InputError(
                "There is no OME-Zarr at this address.",
                f"{what_to_check(address)} Other files must be downloaded first.",
                path=address,
            )
        return read_ome_zarr(path, level=level)
    require_exists(path)
    if not path.is_dir():
        return read_tiff(path, level=level)
    if is_zarr(path):
        return read_ome_zarr(path, level=level)
    return read_slices(path)


def n_levels(path: Path | str) -> int:
    """How many resolution levels a volume has; 1 for all but OME-Zarr."""
    return read_stored(Path(path)).n_levels


def _length(stored: StoredImage, axis: str, z: str) -> int:
    return 1 if axis == z else stored.length(axis)


def _spacing(
    stored: StoredImage, settings: DataSettings
) -> tuple[SpacingZYX | None, tuple[str, ...]]:
    spacing, notes = judge(stored.size)
    given = settings.voxel_size_um_zyx
    if given is None:
        return spacing, notes
    if not all(is_plausible(um) for um in given):
        odd = " × ".join(f"{um:g}" for um in given)
        return given, (f"The voxel size given, {odd} µm, is unusual; it is used all the same.",)
    if spacing is not None and spacing != given:
        own = " × ".join(f"{um:g}" for um in spacing)
        return given, (f"The voxel size given replaces the file's {own} µm (Z × Y × X).",)
    return given, ()
