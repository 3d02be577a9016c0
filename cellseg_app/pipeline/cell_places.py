"""Where the cells of one class are made, and where they go when all is done."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cellseg_app import __version__
from cellseg_app.analysis.blockwise import BlockRunner, WritableArray
from cellseg_app.analysis.kept import KeptBlocks
from cellseg_app.analysis.numbering import id_dtype
from cellseg_app.analysis.refining import NOT_REFINED, refined_shape
from cellseg_app.core.errors import SettingsError
from cellseg_app.core.settings import RunSettings
from cellseg_app.core.volume import ShapeZYX
from cellseg_app.io.chunked import CHUNK_ZYX
from cellseg_app.pipeline.workspace import MOST_FLAT_VOXELS, Workspace, fingerprint


@dataclass(frozen=True, slots=True)
class CellPlace:
    """Where labels are made: a flat file, or chunks and notes that an interrupted run has left.

    Attributes
    ----------
    folder
        Where files of these cells stand until the run has ended.
    labels, pieces, found, runner, block_zyx
        See `segment_instances`.
    """

    folder: Path
    labels: WritableArray
    pieces: WritableArray | None = None
    found: KeptBlocks | None = None
    runner: BlockRunner | None = None
    block_zyx: ShapeZYX | None = None


def place_for_cells(
    workspace: Workspace,
    shape_zyx: ShapeZYX,
    decisive: tuple[object, ...],
    *,
    settings: RunSettings,
    runner: BlockRunner | None,
    refine_zyx: ShapeZYX = NOT_REFINED,
) -> CellPlace:
    """The place in a workspace that belongs to certain choices and no others.

    Parameters
    ----------
    workspace, shape_zyx
        Of the run; the lattice of its results.
    decisive
        What decides the cells, beside the settings and what the workspace belongs to.
    settings
        Of the run.
    runner
        Where blocks are worked on, if not here.
    refine_zyx
        Into how many parts voxels are divided for telling cells apart.
    """
    output = settings.output
    key = fingerprint(
        __version__,
        decisive,
        refine_zyx,
        settings.threshold.remove_large_voxels,
        # What cells are told apart on may be the map as it was stored.
        (output.save_probability, output.stored_probability_dtype),
        # Measurements are kept beside; nobody changes only them while a run is interrupted.
        settings.statistics.model_dump(mode="json"),
    )
    folder = workspace.cells_folder(key)
    fine_zyx = refined_shape(shape_zyx, refine_zyx)
    if runner is None and math.prod(fine_zyx) <= MOST_FLAT_VOXELS:
        pieces = None if fine_zyx == shape_zyx else workspace.pieces(fine_zyx)
        return CellPlace(folder, workspace.labels(shape_zyx), pieces)
    store = workspace.cell_store(key, shape_zyx, fine_zyx)
    # Refined blocks are larger; these end where chunks do, for labels and for pieces.
    block = None if fine_zyx == shape_zyx else CHUNK_ZYX
    return CellPlace(folder, store.labels, store.pieces, store.found, runner, block)


def label_dtype(settings: RunSettings, n_cells: int) -> str:
    """What labels are stored as: uint64 where there are too many for uint32, the usual type.

    Raises
    ------
    SettingsError
        There are too many for uint16, which was asked for, or for TIFF.
    """
    wanted, needed = settings.output.label_dtype, id_dtype(n_cells)
    if wanted == "uint16" and n_cells > np.iinfo(np.uint16).max:
        raise SettingsError(
            f"{n_cells} cells were found, more than the label type uint16 can tell apart.",
            "Choose uint32.",
        )
    if settings.output.format == "tif" and needed.itemsize > np.uint32().itemsize:
        raise SettingsError(
            f"{n_cells} cells were found, more than the labels of a TIFF can tell apart.",
            "Choose the format zarr.",
        )
    return wanted if wanted == "uint16" else np.promote_types(wanted, needed).name
