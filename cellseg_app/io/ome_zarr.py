"""OME-Zarr in, from folders and addresses: versions 0.1 to 0.5 (ngff.openmicroscopy.org)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cellseg_app.core.errors import InputError
from cellseg_app.core.sources import address_of
from cellseg_app.io.axes import StoredImage
from cellseg_app.io.lengths import StatedVoxelSize, um_per_unit
from cellseg_app.io.refusals import unreadable
from cellseg_app.io.zarr_arrays import ZarrArray, has_file, read_json

_MARKERS = ("zarr.json", ".zattrs", ".zgroup", ".zarray")
_DEFAULT_AXES = {2: "YX", 3: "ZYX", 4: "CZYX", 5: "TCZYX"}


def is_zarr(path: Path) -> bool:
    """Whether a folder or an address is a Zarr group or array."""
    if address_of(path) is not None:
        return any(has_file(path / name) for name in _MARKERS)
    return any(os.path.isfile(path / name) for name in _MARKERS)


def read_ome_zarr(path: Path, *, level: int = 0) -> StoredImage:
    """Open a level of an OME-Zarr image without reading voxels.

    Parameters
    ----------
    path
        The image's folder or address; also a bioformats2raw collection, whose first image is
        taken, or a plain Zarr array.
    level
        Resolution level; 0 is the finest.

    Raises
    ------
    InputError
        If it is no image, a plate, damaged, or has no such level.
    """
    attributes = _attributes(path)
    multiscales = attributes.get("multiscales")
    if not multiscales:
        return _without_multiscales(path, attributes, level)
    try:
        return _read_multiscale(path, attributes, level)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        reason = ValueError(f"its OME-Zarr metadata is not as specified: {error!r}")
        raise unreadable(path, reason) from error


def _read_multiscale(path: Path, attributes: dict[str, Any], level: int) -> StoredImage:
    image = attributes["multiscales"][0]
    datasets = image["datasets"]
    if level >= len(datasets):
        raise InputError(
            f"There is no resolution level {level}; the file has {len(datasets)}.",
            f"Choose a level from 0 to {len(datasets) - 1}.",
            path=path,
        )
    dataset = datasets[level]
    array = ZarrArray(_inside(path, dataset["path"]))
    axes = _axes(image.get("axes"), len(array.shape))
    if len(axes) != len(array.shape):
        msg = f"{len(axes)} axes for an array of {len(array.shape)}"
        raise ValueError(msg)
    version = attributes.get("version") or image.get("version") or "of no stated version"
    notes = []
    if len(attributes["multiscales"]) > 1:
        notes.append("The folder holds several images; the first was taken.")
    return StoredImage(
        path=path,
        kind=f"OME-Zarr {version}",
        array=array,
        axes="".join(letter for letter, _ in axes),
        size=_voxel_size(axes, image, dataset),
        n_levels=len(datasets),
        notes=tuple(notes),
        probability_one=(image.get("metadata") or {}).get("probability_one"),
    )


def _without_multiscales(path: Path, attributes: dict[str, Any], level: int) -> StoredImage:
    if "plate" in attributes:
        raise InputError(
            "It is a plate of many images.", "Give one image of it, such as A/1/0.", path=path
        )
    if "bioformats2raw.layout" in attributes and is_zarr(path / "0"):
        return read_ome_zarr(path / "0", level=level)
    if has_file(path / ".zarray") or _is_v3_array(path):
        array = ZarrArray(path)
        axes = _DEFAULT_AXES.get(len(array.shape))
        if axes and level == 0:
            note = f"A plain Zarr array without OME metadata; its axes were taken as {axes}."
            return StoredImage(path, "Zarr array", array, axes, notes=(note,))
    raise InputError(
        "It is a Zarr folder, but no OME-Zarr image.",
        "Give the folder that holds the multiscales metadata.",
        path=path,
    )


def _attributes(path: Path) -> dict[str, Any]:
    metadata = read_json(path / "zarr.json")
    if metadata is None:
        return read_json(path / ".zattrs") or {}
    found = metadata.get("attributes", {})
    found = found.get("ome", found) if isinstance(found, dict) else {}
    return found if isinstance(found, dict) else {}


def _is_v3_array(path: Path) -> bool:
    return (read_json(path / "zarr.json") or {}).get("node_type") == "array"


def _inside(path: Path, name: str) -> Path:
    folder = path / name
    if address_of(path) is None:
        is_inside = path.resolve() in folder.resolve().parents
    else:
        parts = name.split("/")
        is_inside = bool(name) and not {"", ".", ".."} & set(parts) and address_of(name) is None
    if not is_inside:
        msg = f"the array {name!r} lies outside the image"
        raise ValueError(msg)
    return folder


def _axes(stated: list[Any] | None, ndim: int) -> list[tuple[str, str | None]]:
    """Letter and unit of every axis; versions before 0.3 imply TCZYX."""
    if not stated:
        return [(letter, None) for letter in "TCZYX"[-ndim:]]
    axes: list[tuple[str, str | None]] = []
    for axis in stated:
        name, unit, kind = (
            (axis, None, None)
            if isinstance(axis, str)
            else (axis["name"], axis.get("unit"), axis.get("type"))
        )
        letter = {"time": "T", "channel": "C"}.get(kind or "") or str(name)[:1].upper()
        axes.append((letter, unit))
    return axes


def _voxel_size(
    axes: list[tuple[str, str | None]], image: dict[str, Any], dataset: dict[str, Any]
) -> StatedVoxelSize:
    """Scale of the level times that of the whole image, in µm where the axis states a length."""
    scales = [
        _scale(owner.get("coordinateTransformations"), len(axes)) for owner in (dataset, image)
    ]
    if scales[0] is None and scales[1] is None:
        return StatedVoxelSize()
    inner, outer = (scale or [1.0] * len(axes) for scale in scales)
    um: dict[str, float | None] = {}
    unknown = []
    for (letter, unit), a, b in zip(axes, inner, outer, strict=True):
        factor = um_per_unit(unit) if unit else None
        um[letter] = None if factor is None else a * b * factor
        if letter in "ZYX" and factor is None:
            unknown.append(f"{letter} {a * b:g} {unit or ''}".rstrip())
    notes = [f"The file's scale has no length unit: {', '.join(unknown)}."] if unknown else []
    return StatedVoxelSize((um.get("Z"), um.get("Y"), um.get("X")), tuple(notes))


def _scale(transformations: list[dict[str, Any]] | None, ndim: int) -> list[float] | None:
    for one in transformations or []:
        if one.get("type") == "scale" and "scale" in one:
            values = [float(v) for v in one["scale"]]
            if len(values) != ndim:
                msg = f"a scale of {len(values)} numbers for {ndim} axes"
                raise ValueError(msg)
            return values
    return None
