"""What is saved by hand from the window: tables, labels, maps, paragraphs, pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from defusedxml import ElementTree

from cellseg_app.core.cell_columns import frame_of
from cellseg_app.io.open import open_volume
from cellseg_app.ui.cells import RangeFilter
from tests.e2e.conftest import SPACING_UM
from tests.e2e.gui.conftest import Driver, SaveAs


def test_filtered_labels_are_exported(
    driver: Driver, volume_file: Path, tmp_path: Path, save_as: SaveAs
) -> None:
    window = driver.window
    driver.open_and_show(volume_file)
    driver.run_and_show()
    driver.until(lambda: len(window.desk.cells.table) > 0)
    sizes = frame_of(window.desk.cells.table)["n_voxels"]
    window.desk.cells.add_filter(RangeFilter("n_voxels", float(sizes.median()), np.inf))
    kept = set(frame_of(window.desk.cells.table, window.desk.cells.kept)["label"])
    assert 0 < len(kept) < len(sizes)
    target = save_as(tmp_path / "some.tif", "TIFF (*.tif)")
    driver.press("export_labels")
    driver.until(target.exists)
    assert set(np.unique(tifffile.imread(target))) - {0} == kept


@pytest.mark.parametrize("kind", ["TIFF (*.tif)", "OME-TIFF (*.ome.tif)", "OME-Zarr (*.ome.zarr)"])
def test_labels_are_exported_in_the_format_chosen(
    driver: Driver, volume_file: Path, tmp_path: Path, save_as: SaveAs, kind: str
) -> None:
    window = driver.window
    driver.open_and_show(volume_file)
    driver.run_and_show()
    # Dialogs leave the suffix of the proposal on the name.
    save_as(tmp_path / "labels.tif", kind)
    driver.press("export_labels")
    target = tmp_path / f"labels{kind[kind.index('*') + 1 : -1]}"
    driver.until(target.exists)
    assert target.is_dir() == ("Zarr" in kind)
    stored = open_volume(target)
    assert stored.spacing_um_zyx == pytest.approx(SPACING_UM)
    result = window.scene.result
    assert result is not None
    assert result.labels is not None
    everything = tuple(slice(0, n) for n in result.labels.shape)
    np.testing.assert_array_equal(stored.data[everything], result.labels[everything])
    if "OME-TIFF" in kind:
        with tifffile.TiffFile(target) as tiff:
            assert tiff.is_ome


def test_points_of_the_cells_kept_are_exported_for_cellfinder(
    driver: Driver, volume_file: Path, tmp_path: Path, save_as: SaveAs
) -> None:
    window = driver.window
    driver.open_and_show(volume_file)
    driver.run_and_show()
    cells = window.desk.cells
    middle = float(frame_of(cells.table)["centroid_x_voxel"].median())
    cells.add_filter(RangeFilter("centroid_x_voxel", middle, np.inf))
    save_as(tmp_path / "cells_points.csv", "cellfinder, brainreg (*.xml)")
    driver.press("export_points")
    target = tmp_path / "cells_points.xml"
    driver.until(target.exists)
    found = [int(e.text) for e in ElementTree.parse(target).iter("MarkerX")]
    expected = np.rint(frame_of(cells.table, cells.kept)["centroid_x_voxel"]).astype(int).tolist()
    assert found == expected
    assert 0 < len(found) < len(cells.table)


@pytest.mark.parametrize(
    ("action", "name"),
    [
        ("export_excel", "cells.xlsx"),
        ("export_probability", "map.ome.zarr"),
        ("export_methods", "methods.txt"),
        ("export_record", "record.json"),
        ("screenshot", "view.png"),
    ],
)
def test_exports(
    driver: Driver,
    volume_file: Path,
    tmp_path: Path,
    save_as: SaveAs,
    action: str,
    name: str,
) -> None:
    driver.open_and_show(volume_file)
    driver.run_and_show()
    driver.until(lambda: driver.window.actions_by_key[action].isEnabled())
    target = save_as(tmp_path / name, "")
    driver.press(action)
    driver.until(target.exists)
    driver.until(lambda: any(name in text for text in driver.window.desk.messages.texts()))
