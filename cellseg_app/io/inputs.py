"""What a user names on the command line or drops on the window, as a list of volumes."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from cellseg_app.core.errors import InputError
from cellseg_app.core.sources import address_of, as_source
from cellseg_app.io.ome_zarr import is_zarr
from cellseg_app.io.refusals import require_exists, unreadable
from cellseg_app.io.slices import image_files, is_flat, natural_key


def expand_inputs(patterns: Sequence[str | Path]) -> list[Path]:
    """Turn files, folders and glob patterns into volumes, each once, in natural order.

    A folder is one volume if it is an OME-Zarr or holds two or more 2D slices. Otherwise it gives
    the TIFF files and OME-Zarr folders in it (results of earlier runs are left out), and when
    there are none, those of its sub-folders that are one volume each. Patterns are expanded here
    as well, since the shell of Windows does not.

    An address is one volume; whether it is there is seen when it is opened.

    Raises
    ------
    InputError
        If a file is missing, a pattern matches nothing, or a folder holds no volume.
    """
    volumes: dict[Path, None] = {}
    for pattern in patterns:
        for path in _matches(str(pattern)):
            for volume in _volumes_of(path):
                volumes.setdefault(volume)
    if not volumes:
        raise InputError("No volume was named.", "Give files, folders or patterns.")
    return list(volumes)


def _matches(pattern: str) -> list[Path]:
    path = as_source(pattern)
    if address_of(path) is not None:
        return [path]
    # A name with brackets in it may be a real file; it is a pattern only if it is not.
    if not os.path.lexists(path) and glob.has_magic(pattern):
        found = [Path(name) for name in glob.glob(str(path), recursive=True)]
        if found:
            return sorted(found, key=lambda p: (natural_key(p.parent), natural_key(p)))
        raise InputError("No file matches this pattern.", "Check the spelling.", path=pattern)
    require_exists(path)
    return [path]


def _volumes_of(path: Path) -> list[Path]:
    if address_of(path) is not None or not path.is_dir() or _is_one_volume(path):
        return [path]
    folders = sorted((p for p in _listed(path) if p.is_dir()), key=natural_key)
    tiffs = [p for p in image_files(path) if p.suffix.lower() != ".png"]
    direct = sorted([*tiffs, *(p for p in folders if is_zarr(p))], key=natural_key)
    volumes = direct or [p for p in folders if _is_one_volume(p)]
    if not volumes:
        raise InputError(
            "The folder holds no volumes.",
            "Give a folder with TIFF files, 2D slices or OME-Zarr folders, or a pattern such as "
            "folder/*/image.tif.",
            path=path,
        )
    return volumes


def _is_one_volume(folder: Path) -> bool:
    if is_zarr(folder):
        return True
    files = image_files(folder)
    # First, middle and last tell slices from volumes; opening thousands would take minutes on a
    # network drive, and `open_volume` looks at every slice anyway.
    probes = {files[0], files[len(files) // 2], files[-1]} if len(files) > 1 else set()
    return bool(probes) and all(is_flat(file) for file in probes)


def _listed(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise unreadable(folder, error) from error
