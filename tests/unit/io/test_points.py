"""Cell positions, read back the way the programs that they are for read them."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from defusedxml import ElementTree

from cellseg_app.core.errors import InputError, SettingsError
from cellseg_app.io.points import CellPoints, points_from_table, write_points
from cellseg_app.io.points_csv import read_points_csv

POINTS = CellPoints(
    np.array([1, 4, 7]),
    np.array([[0.0, 1.25, 2.75], [10.5, 20.0, 30.4], [3.0, 4.0, 1 / 3]]),
    (2.0, 0.5, 0.25),
)


def as_napari_reads(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """napari: a header with axis-0 and axis-1 makes points; columns axis-N are their positions,
    the others but the index their properties."""
    with path.open(newline="") as file:
        header, *rows = list(csv.reader(file))
    assert {"axis-0", "axis-1"} <= set(header)
    assert "shape-type" not in header
    values = np.array(rows)
    is_axis = np.array([bool(re.match(r"^axis-\d+$", name)) for name in header])
    properties = {
        name: values[:, n]
        for n, name in enumerate(header)
        if not is_axis[n] and not (n == 0 and name == "index")
    }
    return values[:, is_axis].astype(float), properties


def as_cellfinder_reads(path: Path) -> list[tuple[int, int, int, int]]:
    """brainglobe-utils: type, and whole x, y, z, of every marker."""
    root = ElementTree.parse(path).getroot()
    assert root.tag == "CellCounter_Marker_File"
    cells = []
    for marker_type in root.find("Marker_Data").findall("Marker_Type"):
        kind = int(marker_type.find("Type").text)
        for marker in marker_type.findall("Marker"):
            x, y, z = (int(float(marker.find(f"Marker{a}").text)) for a in "XYZ")
            cells.append((kind, x, y, z))
    return cells


def test_napari_gets_voxels_and_properties(tmp_path: Path) -> None:
    path = write_points(tmp_path / "cells.csv", POINTS)
    assert path.read_text().splitlines()[0] == "index,axis-0,axis-1,axis-2,label,z_um,y_um,x_um"
    points, properties = as_napari_reads(path)
    np.testing.assert_array_equal(points, POINTS.voxels_zyx)
    np.testing.assert_array_equal(properties["label"].astype(int), POINTS.labels)
    np.testing.assert_array_equal(properties["x_um"].astype(float), points[:, 2] * 0.25)
    np.testing.assert_array_equal(read_points_csv(path), points)


def test_cellfinder_gets_whole_voxels_of_type_cell(tmp_path: Path) -> None:
    path = write_points(tmp_path / "cells.xml", POINTS)
    assert as_cellfinder_reads(path) == [(2, 3, 1, 0), (2, 30, 20, 10), (2, 0, 4, 3)]
    # What brainglobe-utils looks for before it takes a file for its own.
    assert "<CellCounter_Marker_File>" in path.read_text().splitlines()


def test_brainrender_gets_micrometres_in_the_order_of_the_axes(tmp_path: Path) -> None:
    path = write_points(tmp_path / "cells.npy", POINTS)
    np.testing.assert_array_equal(np.load(path), POINTS.voxels_zyx * [2.0, 0.5, 0.25])
    assert [p.name for p in tmp_path.iterdir()] == ["cells.npy"]


@pytest.mark.parametrize("suffix", [".csv", ".xml", ".npy"])
def test_no_cells_are_no_points(tmp_path: Path, suffix: str) -> None:
    none = CellPoints(np.zeros(0, np.int64), np.zeros((0, 3)), (1.0, 1.0, 1.0))
    path = write_points(tmp_path / f"cells{suffix}", none)
    if suffix == ".xml":
        assert as_cellfinder_reads(path) == []
    else:
        read = np.load(path) if suffix == ".npy" else read_points_csv(path)
        assert read.shape == (0, 3)


def test_points_of_another_lattice_keep_their_place() -> None:
    cells = pd.DataFrame(
        {
            "label": [1],
            "centroid_z_voxel": [9.5],
            "centroid_y_voxel": [3.0],
            "centroid_x_voxel": [0.0],
        }
    )
    points = points_from_table(
        cells, spacing_um_zyx=None, from_shape_zyx=(20, 8, 8), to_shape_zyx=(10, 8, 16)
    )
    np.testing.assert_allclose(points.voxels_zyx, [[4.5, 3.0, 0.5]])
    assert points.um_zyx is None


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"\.csv \(napari\)"):
        write_points(tmp_path / "cells.txt", POINTS)
    unknown = CellPoints(POINTS.labels, POINTS.voxels_zyx, None)
    with pytest.raises(SettingsError, match="voxel size is not known"):
        write_points(tmp_path / "cells.npy", unknown)
    assert "z_um" not in write_points(tmp_path / "cells.csv", unknown).read_text()
    with pytest.raises(InputError, match="no positions"):
        points_from_table(pd.DataFrame({"label": [1]}), spacing_um_zyx=None)
