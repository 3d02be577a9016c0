"""The results of a run moved from its workspace to where people look for them, all at the end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cellseg_app.atomic import place_file
from cellseg_app.io.naming import ResultNames
from cellseg_app.pipeline.cells_stage import FoundCells
from cellseg_app.pipeline.kept_images import place_image


def place_results(
    names: ResultNames, probability: Path | None, cells: list[FoundCells]
) -> tuple[Path | None, list[FoundCells]]:
    """Move map, labels and tables; with several classes, `_class{k}` is added to the names.

    Labels of a single class join the map where both are OME-Zarr.

    Parameters
    ----------
    names
        Where to.
    probability
        The map in the workspace; None if none was written.
    cells
        As found.

    Returns
    -------
    The path of the map, and the cells with the paths of their files.

    Raises
    ------
    OutputError
        A place is taken or cannot be written.
    """
    if probability is not None:
        probability = place_image(probability, names.probability)
    image = probability if len(cells) == 1 else None
    placed = [
        _placed(found, _of_class(names, found.class_index) if len(cells) > 1 else names, image)
        for found in cells
    ]
    return probability, placed


def _placed(found: FoundCells, names: ResultNames, image: Path | None) -> FoundCells:
    labels, table = found.labels_path, found.table_path
    if labels is not None:
        joins = image if image is not None and image.is_dir() and labels.is_dir() else None
        labels = place_image(labels, names.labels, labels_in=joins)
    if table is not None:
        target = names.table.with_suffix(table.suffix)
        place_file(table, target)
        table = target
    return replace(found, labels_path=labels, table_path=table)


def _of_class(names: ResultNames, index: int) -> ResultNames:
    def marked(path: Path) -> Path:
        return path.with_name(f"{path.stem}_class{index}{path.suffix}")

    return replace(names, labels=marked(names.labels), table=marked(names.table))
