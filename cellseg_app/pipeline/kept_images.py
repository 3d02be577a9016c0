"""Images of a run: made in its workspace, moved to where they belong when everything is there."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cellseg_app.analysis.blockwise import BlockRunner
from cellseg_app.atomic import place_file
from cellseg_app.core.settings import OutputSettings
from cellseg_app.core.volume import LazyArray, SpacingZYX
from cellseg_app.io.casts import ImageKind
from cellseg_app.io.ome_zarr_place import place_labels, place_ome_zarr
from cellseg_app.io.ome_zarr_write import OmeZarrImage, remove_unfinished_chunks
from cellseg_app.pipeline.block_writing import write_blocks
from cellseg_app.pipeline.image_files import write_image
from cellseg_app.pipeline.reporting import Reporting
from cellseg_app.pipeline.workspace import fingerprint


def keep_image(
    folder: Path,
    data: LazyArray,
    *,
    kind: ImageKind,
    dtype: npt.DTypeLike,
    spacing_um_zyx: SpacingZYX | None,
    output: OutputSettings,
    stage: str,
    report: Reporting,
    runner: BlockRunner | None = None,
) -> Path:
    """Write a result into a folder of unfinished work, until it is moved to where it belongs.

    A call repeated after an interruption goes on: a finished image is taken as it is, and of an
    OME-Zarr only the blocks are written that were not.

    Parameters
    ----------
    folder
        Belongs to this image: whatever changes its voxels must change the folder.
    data, kind, dtype, spacing_um_zyx, stage, report
        As for `write_image`.
    output
        The choices of format.
    runner
        Where blocks of an OME-Zarr are written, if not here; `data` must then lie on disk.

    Returns
    -------
    Path
        The image.
    """
    key = fingerprint(kind, np.dtype(dtype).name, output.format, output.ome_zarr_version)
    finished = folder / f"{kind}-{key}.{output.format}"
    if finished.exists():
        return finished
    if output.format == "tif":
        return write_image(
            finished,
            data,
            kind=kind,
            dtype=dtype,
            spacing_um_zyx=spacing_um_zyx,
            image_format="tif",
            stage=stage,
            report=report,
        )
    image = OmeZarrImage.planned(
        folder / f"{kind}-{key}.unfinished",
        tuple(data.shape),
        dtype=dtype,
        spacing_um_zyx=spacing_um_zyx,
        kind=kind,
        version=output.ome_zarr_version,
    )
    image.begin()
    done = folder / f"{kind}-{key}.done"
    write_blocks(image, data, stage=stage, report=report, runner=runner, done=done)
    image.describe()
    remove_unfinished_chunks(image.folder)
    os.replace(image.folder, finished)
    return finished


def place_image(image: Path, target: Path, *, labels_in: Path | None = None) -> Path:
    """Move an image of `keep_image` to where it belongs: a path, or the labels of an OME-Zarr.

    Returns where it then is.

    Raises
    ------
    OutputError
        The place is taken or cannot be written.
    """
    if labels_in is not None:
        return place_labels(image, labels_in, "cells")
    if image.is_dir():
        place_ome_zarr(image, target)
    else:
        place_file(image, target)
    return target
