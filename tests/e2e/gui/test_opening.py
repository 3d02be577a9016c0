"""Volumes opened in the window in every way, and their voxel size corrected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QInputDialog

from cellseg_app.core.blocks import whole
from cellseg_app.io.run_record import read_record
from cellseg_app.io.tiff_write import write_volume_tiff
from cellseg_app.io.zarr_arrays import create_array, write_group
from tests.e2e.conftest import SPACING_UM, Cells
from tests.e2e.gui.conftest import Driver
from tests.web_folder import served


def write_ome_zarr(path: Path, image: np.ndarray) -> None:
    """The image, and a level of half its size across Y and X."""
    levels = [image, image[:, ::2, ::2]]
    axes = [{"name": n, "type": "space", "unit": "micrometer"} for n in "zyx"]
    datasets = []
    for n in range(len(levels)):
        scale = [{"type": "scale", "scale": [2.0, 2.0**n, 2.0**n]}]
        datasets.append({"path": str(n), "coordinateTransformations": scale})
    write_group(path, {"multiscales": [{"axes": axes, "datasets": datasets}]})
    for n, level in enumerate(levels):
        array = create_array(
            path / str(n), level.shape, chunks=(16, 32, 32), dtype=level.dtype, axes="zyx"
        )
        array[:] = level


def test_dropping_a_folder_makes_a_queue(driver: Driver, volume_file: Path, cells: Cells) -> None:
    window = driver.window
    write_volume_tiff(volume_file.with_name("b.tif"), cells.image, spacing_um_zyx=SPACING_UM)
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(volume_file.parent))])
    event = QDropEvent(
        QPointF(5, 5),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    window.dropEvent(event)
    driver.until(lambda: [i.state for i in window.desk.session.items] == ["ready", "ready"])
    assert window.queue.currentWidget() is window.queue.content


def test_slices_and_ome_zarr_are_volumes_too(driver: Driver, cells: Cells, tmp_path: Path) -> None:
    window = driver.window
    slices = tmp_path / "slices"
    slices.mkdir()
    for z, plane in enumerate(cells.image):
        tifffile.imwrite(slices / f"z{z:03d}.tif", plane)
    zarr = tmp_path / "cells.ome.zarr"
    write_ome_zarr(zarr, cells.image)
    driver.open(slices, zarr)
    states = {item.path.name: item.state for item in window.desk.session.items}
    assert states == {"slices": "ready", "cells.ome.zarr": "ready"}
    window.volumes.look_at(zarr)
    driver.until(lambda: window.scene.reading is not None and window.scene.reading.path == zarr)
    (layer,) = window.viewer.layers
    assert layer.shape_zyx == cells.image.shape
    assert [level.shape_zyx for level in layer.coarser] == [(44, 30, 36)]
    assert layer.coarser[0].scale_zyx == (2.0, 2.0, 2.0)


def test_a_volume_on_a_server_is_opened_and_looked_at(
    driver: Driver, cells: Cells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("aiohttp")
    window = driver.window
    write_ome_zarr(tmp_path / "web" / "cells.zarr", cells.image)
    with served(tmp_path / "web") as web:
        for name in ("missing.zarr", "cells.zarr"):
            answer = (f" {web.address}/{name} ", True)
            monkeypatch.setattr(QInputDialog, "getText", lambda *_, a=answer: a)
            driver.press("open_address")
            driver.until(lambda n=name: any(i.path.name == n for i in window.desk.session.items))
        driver.until(lambda: window.desk.session.items[0].state == "refused")
        assert "no OME-Zarr at this address" in window.desk.session.items[0].text
        window.desk.session.current = window.desk.session.items[1].path
        driver.until(lambda: window.scene.reading is not None)
        layer = window.viewer.layers[0]
        np.testing.assert_array_equal(layer.data[whole(layer.shape_zyx)], cells.image)
        assert len(layer.coarser) == 1
        assert window.desk.user.recent[0] == f"{web.address}/cells.zarr"


def test_a_file_that_is_no_volume_is_refused_with_a_remedy(driver: Driver, tmp_path: Path) -> None:
    flat = tmp_path / "flat.tif"
    tifffile.imwrite(flat, np.zeros((20, 30), np.uint8))
    driver.open(flat)
    item = driver.window.desk.session.items[0]
    assert item.state == "refused"
    assert "2D" in item.text
    assert not driver.window.actions_by_key["start"].isEnabled()


def test_correcting_the_voxel_size_reaches_the_results(driver: Driver, volume_file: Path) -> None:
    window = driver.window
    driver.open_and_show(volume_file)
    for spin, um in zip(window.strip.spins, (3.0, 1.5, 1.5), strict=True):
        spin.setValue(um)
    driver.until(
        lambda: (
            bool(window.viewer.layers) and window.viewer.layers[0].spacing_um_zyx == (3.0, 1.5, 1.5)
        )
    )
    driver.run_and_show()
    result = window.scene.result
    assert result is not None
    assert result.spacing_um_zyx == pytest.approx((3.0, 1.5, 1.5))


def test_a_corrected_voxel_size_is_that_volumes_until_it_is_used_for_all(
    driver: Driver, volume_file: Path, twin_file: Path
) -> None:
    window = driver.window
    driver.open(volume_file, twin_file)
    driver.until(lambda: window.scene.reading is not None)
    for spin, um in zip(window.strip.spins, (3.0, 1.5, 1.5), strict=True):
        spin.setValue(um)
    driver.run()
    sizes = {
        item.path.name: read_record(item.record).input.spacing_um_zyx
        for item in window.desk.session.items
        if item.record is not None
    }
    assert sizes == {"cells.tif": (3.0, 1.5, 1.5), "twin.tif": pytest.approx(SPACING_UM)}
    driver.until(lambda: not window.desk.lanes.files.busy)
    assert window.strip.spread.isVisible()
    window.strip.spread.click()
    assert {item.voxel_size_um_zyx for item in window.desk.session.items} == {(3.0, 1.5, 1.5)}
    window.strip.from_file.click()
    assert window.desk.session.run_settings(volume_file).data.voxel_size_um_zyx is None
    assert window.desk.session.run_settings(twin_file).data.voxel_size_um_zyx == (3.0, 1.5, 1.5)
