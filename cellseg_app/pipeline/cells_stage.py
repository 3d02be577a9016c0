"""From the stored probability to labelled, measured cells. No network runs here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cellseg_app.analysis.blockwise import BlockRunner, all_cores
from cellseg_app.analysis.class_choice import foreground_class
from cellseg_app.analysis.cleanup import without_large_parts
from cellseg_app.analysis.instances import InstanceResult, segment_instances
from cellseg_app.core.blocks import at_most
from cellseg_app.core.settings import RunSettings
from cellseg_app.core.volume import LazyArray, SpacingZYX
from cellseg_app.io.finite import z_slabs
from cellseg_app.pipeline.cell_places import CellPlace, label_dtype, place_for_cells
from cellseg_app.pipeline.cell_table import measured_table, write_table
from cellseg_app.pipeline.choices import (
    CellDefaults,
    InstanceChoice,
    instance_choice,
    no_such_class,
)
from cellseg_app.pipeline.image_files import OneClass
from cellseg_app.pipeline.kept_images import keep_image
from cellseg_app.pipeline.region_cells import cells_in_region
from cellseg_app.pipeline.regions import RunRegion
from cellseg_app.pipeline.reporting import Reporting
from cellseg_app.pipeline.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Scene:
    """What cells are sought in; everything lies on one lattice.

    Attributes
    ----------
    probability
        (C, Z, Y, X), 0…1.
    image
        Intensities (Z, Y, X) for the measurements; None if the image is not at hand.
    spacing_um_zyx
        Voxel size of this lattice.
    region
        What the arrays are cut from and labels are put back into; None for a whole volume.
    """

    probability: LazyArray
    image: LazyArray | None
    spacing_um_zyx: SpacingZYX | None
    region: RunRegion | None = None


def scene_of(
    probability: LazyArray,
    image: LazyArray | None,
    spacing_um_zyx: SpacingZYX | None,
    *,
    region: RunRegion | None,
) -> Scene:
    """The scene of a whole volume's arrays, cut to a region."""
    if region is None:
        return Scene(probability, image, spacing_um_zyx)
    return Scene(
        region.cut_and_masked(probability),
        None if image is None else region.cut(image),
        spacing_um_zyx,
        region,
    )


@dataclass(frozen=True, slots=True)
class FoundCells:
    """The cells of one class, and where their files are.

    Attributes
    ----------
    cells
        One row per cell, if they were measured and nothing was written.
    summary
        See `CellTable`; empty if nothing was measured.
    labels_path, table_path
        In the workspace at first; None if nothing was written.
    labels
        (Z, Y, X) in the workspace, as long as that exists.
    """

    class_index: int
    threshold: float
    method: str
    method_options: dict[str, Any]
    n_cells: int
    cells: pd.DataFrame | None
    summary: dict[str, Any]
    labels_path: Path | None
    table_path: Path | None
    notes: tuple[str, ...]
    labels: LazyArray | None = None


def find_cells(
    scene: Scene,
    settings: RunSettings,
    defaults: CellDefaults,
    *,
    save: bool,
    workspace: Workspace,
    report: Reporting,
    runner: BlockRunner | None = None,
) -> list[FoundCells]:
    """Label and measure the cells of the chosen class, or of every class.

    Parameters
    ----------
    scene
        Probability, image and voxel size.
    settings, defaults
        The user's choices, and what holds where they leave it open.
    save
        Whether labels and tables are written; they stand in the workspace until they are placed.
    workspace
        Lends disk space for labels in the making.
    report
        Progress, cancelling.
    runner
        Where blocks are worked on, if not here; everything must then lie on disk.

    Raises
    ------
    SettingsError
        There is no such class.
    """
    return [
        _one_class(
            scene,
            index,
            settings,
            defaults,
            save=save,
            workspace=workspace,
            report=report,
            runner=runner,
        )
        for index in _classes(scene, settings)
    ]


def _classes(scene: Scene, settings: RunSettings) -> list[int]:
    n_classes, wanted = scene.probability.shape[0], settings.threshold.class_choice
    if wanted == "all":
        return list(range(n_classes))
    if wanted == "auto":
        return [foreground_class(scene.image, scene.probability)]
    if not 0 <= wanted < n_classes:
        raise no_such_class(wanted, n_classes)
    return [wanted]


def _one_class(
    scene: Scene,
    index: int,
    settings: RunSettings,
    defaults: CellDefaults,
    *,
    save: bool,
    workspace: Workspace,
    report: Reporting,
    runner: BlockRunner | None,
) -> FoundCells:
    probability: LazyArray = OneClass(scene.probability, index)
    choice = instance_choice(settings, defaults, scene.spacing_um_zyx)
    if choice is None:
        return FoundCells(index, defaults.threshold, "none", {}, 0, None, {}, None, None, ())
    floor = defaults.threshold if choice.threshold is None else choice.threshold
    large = settings.threshold.remove_large_voxels
    if large is not None:
        probability = without_large_parts(
            probability,
            floor,
            large,
            workers=all_cores(),
            progress=report.progress,
            cancel=report.cancel,
            runner=runner,
        )
    kept_for = (
        (index, _shape_zyx(probability), scene.spacing_um_zyx, scene.image is None),
        (choice.method, choice.threshold, floor, choice.options.model_dump(mode="json")),
    )
    place = place_for_cells(
        workspace,
        _shape_zyx(probability),
        kept_for,
        settings=settings,
        runner=runner,
        refine_zyx=choice.refine_zyx,
    )
    result = _labelled(probability, place, choice, floor, scene.spacing_um_zyx, report)
    cells = cells_in_region(
        place.labels,
        result.n_cells,
        scene.region,
        drop_cut=choice.options.remove_border,
        report=report,
        runner=place.runner,
    )
    labels_path = None
    if save:
        labels_path = keep_image(
            place.folder,
            cells.in_volume,
            kind="labels",
            dtype=label_dtype(settings, cells.n_cells),
            spacing_um_zyx=scene.spacing_um_zyx,
            output=settings.output,
            stage="writing labels",
            report=report,
            runner=place.runner,
        )
    table = None
    if settings.statistics.enabled:
        table = measured_table(
            cells,
            scene.image,
            probability,
            spacing_um_zyx=scene.spacing_um_zyx,
            settings=settings.statistics,
            place=place,
            report=report,
        )
    table_path = None
    if save and table is not None:
        table_path = write_table(place.folder / "cells.csv", table, cells.n_cells, report)
    return FoundCells(
        class_index=index,
        threshold=result.threshold,
        method=choice.method,
        method_options=dict(result.settings),
        n_cells=cells.n_cells,
        cells=None if save or table is None else table.cells,
        summary={} if table is None else table.summary,
        labels_path=labels_path,
        table_path=table_path,
        notes=result.notes,
        labels=cells.in_volume,
    )


def _labelled(
    probability: LazyArray,
    place: CellPlace,
    choice: InstanceChoice,
    floor: float,
    spacing_um_zyx: SpacingZYX | None,
    report: Reporting,
) -> InstanceResult:
    if choice.threshold is None and not _any_above(probability, floor):
        # Otsu's method divides even an empty map in two.
        return InstanceResult(0, floor, notes=("No voxel reaches the network's own threshold.",))
    return segment_instances(
        probability,
        place.labels,
        method=choice.method,
        threshold=choice.threshold,
        options=choice.options,
        block_zyx=place.block_zyx,
        spacing_um_zyx=spacing_um_zyx,
        refine_zyx=choice.refine_zyx,
        workers=all_cores(),
        progress=report.progress,
        cancel=report.cancel,
        runner=place.runner,
        kept=place.found,
        pieces_out=place.pieces,
        considerate=report.considerate,
    )


def _any_above(probability: LazyArray, threshold: float) -> bool:
    shape = _shape_zyx(probability)
    return any(
        bool((probability[part] > threshold).any())
        for z in z_slabs(shape, 4)
        if at_most(probability, part := (z, slice(0, shape[1]), slice(0, shape[2]))) > threshold
    )


def _shape_zyx(array: LazyArray) -> tuple[int, int, int]:
    z, y, x = array.shape
    return z, y, x


def isotropic_shape(
    shape_zyx: tuple[int, int, int], spacing_um_zyx: SpacingZYX
) -> tuple[tuple[int, int, int], SpacingZYX]:
    """The lattice of cubes with the smallest voxel edge that covers a volume, and its voxel size.

    The voxel size is exact: extent divided by number of voxels along each axis.
    """
    edge = min(spacing_um_zyx)
    shape = tuple(
        max(1, math.floor(n * um / edge + 0.5))
        for n, um in zip(shape_zyx, spacing_um_zyx, strict=True)
    )
    spacing = tuple(
        n * um / new for n, um, new in zip(shape_zyx, spacing_um_zyx, shape, strict=True)
    )
    return (shape[0], shape[1], shape[2]), (spacing[0], spacing[1], spacing[2])
