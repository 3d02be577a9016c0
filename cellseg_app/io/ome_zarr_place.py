"""Finished OME-Zarr images and labels put where they belong, under the names they have there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cellseg_app.atomic import output_error
from cellseg_app.core.errors import OutputError
from cellseg_app.core.settings import OmeVersion
from cellseg_app.io.zarr_arrays import read_json, write_group


def place_ome_zarr(folder: Path, target: Path) -> None:
    """Move a finished image to where it belongs, under the name it has there.

    Raises
    ------
    OutputError
        The place is taken or cannot be written.
    """
    _place(folder, target, in_image=False)


def place_labels(folder: Path, image: Path, name: str) -> Path:
    """Move finished labels into an image of the same version; where they then are.

    Raises
    ------
    OutputError
        There are labels of that name, or the place cannot be written.
    """
    target = image / "labels" / name
    _place(folder, target, in_image=True)
    register_labels(image, name)
    return target


def own_version(image: Path) -> OmeVersion:
    """The version of an existing image."""
    return "0.5" if (image / "zarr.json").is_file() else "0.4"


def _place(folder: Path, target: Path, *, in_image: bool) -> None:
    refuse_existing(target)
    try:
        name_image(folder, own_version(folder), target, in_image=in_image)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(folder, target)
    except OSError as error:
        raise output_error(target, error) from error


def refuse_existing(target: Path) -> None:
    """Raise OutputError if something of that name is there."""
    if target.exists():
        raise OutputError(
            "A file or folder of that name exists.", "Choose another name.", path=target
        )


def name_image(folder: Path, version: OmeVersion, target: Path, *, in_image: bool) -> None:
    """Write into an image what it will be called at its place, and which image labels belong to."""
    ome = _ome(folder, version)
    (multiscale,) = ome["multiscales"]
    ome["multiscales"] = [
        {**multiscale, "name": target.name.removesuffix(".zarr").removesuffix(".ome")}
    ]
    if in_image:
        ome["image-label"] = {**ome["image-label"], "source": {"image": "../../"}}
    write_group(folder, ome, version)


def _ome(folder: Path, version: OmeVersion) -> dict[str, Any]:
    found = read_json(folder / ("zarr.json" if version == "0.5" else ".zattrs")) or {}
    if version == "0.5":
        found = dict(found.get("attributes", {}).get("ome", {}))
        found.pop("version", None)
    return found


def register_labels(image: Path, name: str) -> None:
    """Add a name to the list of labels that an image has; once, however often it is added."""
    folder, version = image / "labels", own_version(image)
    names = list(_ome(folder, version).get("labels", []))
    write_group(folder, {"labels": [*names, *([name] if name not in names else [])]}, version)
