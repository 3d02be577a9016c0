"""From opening a volume to exported cells, through the real window."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from defusedxml import ElementTree
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QCloseEvent, QDropEvent
from PySide6.QtWidgets import QFileDialog, QInputDialog, QMessageBox, QPushButton, QToolButton

from cellseg_app.core.blocks import whole
from cellseg_app.core.box import resolve_box
from cellseg_app.core.cell_columns import frame_of
from cellseg_app.io.open import open_volume
from cellseg_app.io.run_record import read_record
from cellseg_app.io.table import read_table
from cellseg_app.io.tiff_write import write_volume_tiff
from cellseg_app.io.zarr_arrays import create_array, write_group
from cellseg_app.state.slicing import PLANES, level_for
from cellseg_app.state.unfinished import read_batch, unfinished_path
from cellseg_app.ui.cells import RangeFilter
from cellseg_app.workers.jobs import Crash
from tests.e2e.conftest import SHAPE, SPACING_UM, Cells, Command
from tests.e2e.gui.conftest import Driver
from tests.web_folder import served

THRESHOLD = ("run", "threshold", "threshold")


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


def save_as(monkeypatch: pytest.MonkeyPatch, path: Path, kind: str) -> Path:
    """Answer the next file dialog."""
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), kind))
    return path


def test_the_whole_way_gives_the_engines_own_cells(
    driver: Driver,
    volume_file: Path,
    network: Path,
    cells: Cells,
    cellseg: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    window = driver.window
    driver.open_and_show(volume_file)
    driver.press("preview")
    driver.until(lambda: window.scene.preview is not None)
    assert "in the preview" in window.run_bar.count.text()
    assert len(window.desk.cells.table) > 0

    driver.run_and_show()
    record = window.desk.session.items[0].record
    assert record is not None
    assert read_record(record).n_cells == cells.count

    driver.set(*THRESHOLD, value=0.9)
    driver.wait_for_tuning()
    driver.press("apply_here")
    driver.until(lambda: not window.runs.is_running)
    driver.until(
        lambda: (
            window.scene.result is not None
            and window.scene.result.record.settings.threshold.threshold == 0.9
        )
    )

    label = int(frame_of(window.desk.cells.table)["label"].iloc[3])
    window.viewer.cell_clicked.emit(label)
    row = window.table.view.currentIndex().row()
    assert window.table.model.label_at(row) == label
    assert window.viewer.state.highlighted == (label,)

    exported = save_as(monkeypatch, tmp_path / "cells.csv", "CSV (*.csv)")
    driver.press("export_csv")
    driver.until(exported.exists)
    outcome = cellseg(
        "run", volume_file, "-o", tmp_path / "cli", "--weights", network, "--threshold", "0.9"
    )
    own = outcome.record.with_suffix(".csv")
    assert exported.read_bytes() == own.read_bytes()


def test_preview_finds_in_a_crop_what_the_run_finds_there(
    driver: Driver, volume_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = driver.window
    driver.open_and_show(volume_file)
    crop = (slice(4, 40), slice(6, 50), slice(10, 66))
    monkeypatch.setattr(window.scene, "visible_crop", lambda: crop)
    driver.press("preview")
    driver.until(lambda: window.scene.preview is not None)
    preview = window.scene.preview
    assert preview is not None
    previewed = preview.cells.labels > 0
    table = preview.cells.table
    assert table is not None
    for row in table.itertuples():
        box = tuple(
            slice(getattr(row, f"bbox_{a}_min") - c.start, getattr(row, f"bbox_{a}_max") - c.start)
            for a, c in zip("zyx", crop, strict=True)
        )
        assert (preview.cells.labels[box] == row.label).sum() == row.n_voxels
    driver.run_and_show()
    result = window.scene.result
    assert result is not None
    assert result.labels is not None
    inner = tuple(slice(6, n - 6) for n in previewed.shape)
    full = result.labels[crop] > 0
    agreement = np.mean(full[inner] == previewed[inner])
    assert agreement > 0.995


def test_class_slider_segments_the_class_on_request(
    driver: Driver, volume_file: Path, two_class_network: Path
) -> None:
    window = driver.window
    driver.set("run", "network", "weights", value=str(two_class_network))
    driver.open_and_show(volume_file)
    driver.run_and_show()
    assert window.viewer.state.class_index == 1, "starts at the class that holds the cells"
    window.viewer.class_slider._slider.setValue(0)
    assert window.viewer.state.class_index == 0
    driver.press("segment_class")
    driver.wait_for_tuning()
    assert window.tuning.live is not None
    assert window.tuning.live.class_index == 0
    assert not window.actions_by_key["segment_class"].isEnabled()


def test_a_corrupt_file_does_not_end_the_batch(
    driver: Driver, volume_file: Path, cells: Cells
) -> None:
    window = driver.window
    twin = write_volume_tiff(
        volume_file.with_name("twin.tif"), cells.image, spacing_um_zyx=SPACING_UM
    )
    damaged = volume_file.with_name("damaged.tif")
    damaged.write_bytes(volume_file.read_bytes()[: volume_file.stat().st_size // 2])
    driver.open(volume_file, damaged, twin)
    states = {item.path.name: item.state for item in window.desk.session.items}
    driver.run()
    states = {item.path.name: item.state for item in window.desk.session.items}
    assert states["cells.tif"] == states["twin.tif"] == "done"
    assert states["damaged.tif"] in ("failed", "refused")
    damaged_item = window.desk.session.item(damaged)
    assert damaged_item is not None
    assert damaged_item.text, "the list says why"
    driver.until(lambda: len(window.plots.comparison._images) == 2)


def test_cancel_stops_and_start_goes_on(driver: Driver, volume_file: Path) -> None:
    window = driver.window
    driver.set("run", "inference", "window", value=16)
    driver.open_and_show(volume_file)
    driver.press("start")
    driver.until(lambda: window.progress.stage.text().startswith("Network"))
    assert window.run_bar.cancel.isVisible()
    assert not window.run_bar.start.isVisible()
    driver.press("cancel")
    driver.until(lambda: not window.runs.is_running)
    assert window.desk.session.items[0].state == "cancelled"
    assert window.run_bar.start.isVisible()
    assert read_batch(unfinished_path()) is None, "a cancelled run is not offered again"
    driver.run_and_show()
    assert window.desk.session.items[0].state == "done"


def test_closing_during_a_run_asks_cancels_and_is_offered_again(
    driver: Driver, volume_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = driver.window
    driver.set("run", "inference", "window", value=16)
    driver.open_and_show(volume_file)
    driver.press("start")
    driver.until(lambda: window.progress.stage.text().startswith("Network"))
    answers = ["Keep running", "Cancel the run and close"]

    def answer(box: QMessageBox) -> int:
        wanted = answers.pop(0)
        button = next(b for b in box.buttons() if b.text() == wanted)
        monkeypatch.setattr(QMessageBox, "clickedButton", lambda _: button)
        return 0

    monkeypatch.setattr(QMessageBox, "exec", answer)
    window.close()
    assert window.isVisible()
    assert window.runs.is_running
    window.close()
    driver.until(lambda: not window.isVisible())
    assert all(not lane._thread.isRunning() for lane in window.desk.lanes.all)
    assert read_batch(unfinished_path()) is not None
    window.unfinished.offer()
    assert "did not end" in window.desk.messages.texts()[-1]


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
    driver: Driver, volume_file: Path, cells: Cells
) -> None:
    window = driver.window
    twin = write_volume_tiff(
        volume_file.with_name("twin.tif"), cells.image, spacing_um_zyx=SPACING_UM
    )
    driver.open(volume_file, twin)
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
    assert window.desk.session.run_settings(twin).data.voxel_size_um_zyx == (3.0, 1.5, 1.5)


def test_the_list_the_panel_and_the_title_say_how_far_a_run_is(
    driver: Driver, volume_file: Path, cells: Cells
) -> None:
    window = driver.window
    twin = write_volume_tiff(
        volume_file.with_name("twin.tif"), cells.image, spacing_um_zyx=SPACING_UM
    )
    driver.set("run", "inference", "window", value=16)
    driver.open(volume_file, twin)
    driver.press("start")
    item = window.desk.session.items
    driver.until(lambda: (window.desk.session.items[1].progress or 0) > 0.2)
    item = window.desk.session.items[1]
    assert item.text == f"Running, {item.progress:.0%}"
    assert window.progress.volume.text() == "twin.tif"
    assert window.progress.volume_bar.value() == pytest.approx(1000 * (item.progress or 0), abs=10)
    batch = window.progress.batch_bar.value()
    assert 500 < batch < 1000, "one of two is done"
    assert "1 of 2 volumes done" in window.progress.batch.text()
    assert window.windowTitle().startswith(f"{batch / 1000:.0%} – ")
    driver.until(lambda: not window.runs.is_running)
    assert [i.progress for i in window.desk.session.items] == [None, None]
    assert "%" not in window.windowTitle()


def test_apply_to_all_tells_cells_apart_anew_without_the_network(
    driver: Driver, volume_file: Path, cells: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = driver.window
    twin = write_volume_tiff(
        volume_file.with_name("twin.tif"), cells.image, spacing_um_zyx=SPACING_UM
    )
    driver.open(volume_file, twin)
    driver.run_and_show()
    before = [item.record for item in window.desk.session.items]

    def no_network(*_: object) -> None:
        raise AssertionError("a network ran")

    monkeypatch.setattr("torch.nn.Module.__call__", no_network)
    driver.set(*THRESHOLD, value=0.95)
    driver.wait_for_tuning()
    driver.press("apply_all")
    driver.until(lambda: not window.runs.is_running)
    after = [item.record for item in window.desk.session.items]
    assert not set(before) & set(after)
    for path in after:
        assert path is not None
        assert read_record(path).settings.threshold.threshold == 0.95


def test_cells_of_large_maps_are_followed_live_from_a_file(
    driver: Driver, volume_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    window = driver.window
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    driver.open_and_show(volume_file)
    driver.run_and_show()
    monkeypatch.setattr("cellseg_app.workers.live.MOST_IN_MEMORY_VOXELS", 1000)
    driver.set(*THRESHOLD, value=0.9)
    driver.wait_for_tuning()
    live = window.tuning.live
    assert live is not None
    assert not isinstance(live.labels, np.ndarray)
    stored = live.labels[tuple(slice(0, n) for n in live.labels.shape)]
    assert len(np.unique(stored)) - 1 == live.n_cells > 0
    assert list(tmp_path.glob("cellseg-live-*"))
    driver.press("apply_here")
    driver.until(lambda: not window.runs.is_running)
    record = window.desk.session.items[0].record
    assert record is not None
    assert read_record(record).n_cells == live.n_cells


def test_filtered_labels_are_exported(
    driver: Driver, volume_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = driver.window
    driver.open_and_show(volume_file)
    driver.run_and_show()
    driver.until(lambda: len(window.desk.cells.table) > 0)
    sizes = frame_of(window.desk.cells.table)["n_voxels"]
    window.desk.cells.add_filter(RangeFilter("n_voxels", float(sizes.median()), np.inf))
    kept = set(frame_of(window.desk.cells.table, window.desk.cells.kept)["label"])
    assert 0 < len(kept) < len(sizes)
    target = save_as(monkeypatch, tmp_path / "some.tif", "TIFF (*.tif)")
    driver.press("export_labels")
    driver.until(target.exists)
    assert set(np.unique(tifffile.imread(target))) - {0} == kept


@pytest.mark.parametrize("kind", ["TIFF (*.tif)", "OME-TIFF (*.ome.tif)", "OME-Zarr (*.ome.zarr)"])
def test_labels_are_exported_in_the_format_chosen(
    driver: Driver, volume_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    window = driver.window
    driver.open_and_show(volume_file)
    driver.run_and_show()
    # Dialogs leave the suffix of the proposal on the name.
    save_as(monkeypatch, tmp_path / "labels.tif", kind)
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


def test_results_as_ome_zarr_are_paged_level_by_level(driver: Driver, volume_file: Path) -> None:
    window = driver.window
    driver.open_and_show(volume_file)
    driver.set("run", "output", "format", value="zarr")
    driver.run_and_show()
    layers = {layer.key: layer for layer in window.viewer.layers}
    for key in ("labels", "probability"):
        layer = layers[key]
        coarse = layer.coarser[0]
        assert coarse.kind == layer.kind
        assert coarse.scale_zyx == pytest.approx((2.0, 2.0, 2.0))
    # 10 µm to a pixel: the finest level is not looked at.
    axes = PLANES["xy"]
    assert level_for(layers["labels"], axes, 10.0) is layers["labels"].coarser[-1]
    labels = layers["labels"].data[whole(SHAPE)]
    coarse = layers["labels"].coarser[0].data
    np.testing.assert_array_equal(
        coarse[tuple(slice(0, n) for n in coarse.shape)], labels[:, ::2, ::2]
    )


def test_points_of_the_cells_kept_are_exported_for_cellfinder(
    driver: Driver, volume_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = driver.window
    driver.open_and_show(volume_file)
    driver.run_and_show()
    cells = window.desk.cells
    middle = float(frame_of(cells.table)["centroid_x_voxel"].median())
    cells.add_filter(RangeFilter("centroid_x_voxel", middle, np.inf))
    save_as(monkeypatch, tmp_path / "cells_points.csv", "cellfinder, brainreg (*.xml)")
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
    monkeypatch: pytest.MonkeyPatch,
    action: str,
    name: str,
) -> None:
    driver.open_and_show(volume_file)
    driver.run_and_show()
    driver.until(lambda: driver.window.actions_by_key[action].isEnabled())
    target = save_as(monkeypatch, tmp_path / name, "")
    driver.press(action)
    driver.until(target.exists)
    driver.until(lambda: any(name in text for text in driver.window.desk.messages.texts()))


def test_a_bug_opens_a_report_and_the_window_goes_on(driver: Driver, volume_file: Path) -> None:
    window = driver.window
    seen: list[Crash | None] = []
    window.show_crash = seen.append  # type: ignore[method-assign]
    window.desk.lanes.files.crashed.connect(window.show_crash)

    def fail(_context: Any) -> None:
        raise ZeroDivisionError("a planted bug")

    window.desk.lanes.files.submit("Counting to infinity", fail)
    driver.until(lambda: bool(seen))
    assert seen[0] is not None
    assert "planted bug" in seen[0].traceback
    driver.open_and_show(volume_file)


def test_checking_for_updates_says_that_nobody_answers(driver: Driver) -> None:
    desk = driver.window.desk
    desk.remember(release_feed="http://127.0.0.1:9/latest.json")
    driver.press("check_updates")
    driver.until(lambda: any("offline" in text for text in desk.messages.texts()))


def test_rerun_from_record_gives_the_same_cells(driver: Driver, volume_file: Path) -> None:
    window = driver.window
    driver.set(*THRESHOLD, value=0.6)
    driver.open_and_show(volume_file)
    driver.run_and_show()
    first = window.desk.session.items[0].record
    assert first is not None
    driver.set(*THRESHOLD, value=None)
    window.records.rerun(first)
    assert window.desk.session.form.run.threshold.threshold == 0.6
    driver.until(lambda: not window.desk.lanes.files.busy)
    driver.run()
    second = window.desk.session.items[0].record
    assert second is not None
    assert second != first
    left, right = (read_table(path.with_suffix(".csv")) for path in (first, second))
    assert left.equals(right)


def test_a_dropped_record_shows_the_result_without_running(
    driver: Driver, volume_file: Path
) -> None:
    window = driver.window
    driver.open_and_show(volume_file)
    driver.run_and_show()
    done = window.desk.session.items[0]
    assert done.record is not None
    window.volumes.remove([volume_file])
    driver.until(lambda: window.scene.result is None)
    window.open_paths([done.record])
    driver.until(lambda: window.scene.result is not None)
    (shown,) = window.desk.session.items
    assert (shown.state, shown.n_cells, shown.path) == ("done", done.n_cells, volume_file)


def test_the_log_is_proposed_to_be_saved_beside_the_results(
    driver: Driver, volume_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As the start of the program does.
    logging.getLogger("cellseg_app").setLevel(logging.INFO)
    window = driver.window
    driver.open_and_show(volume_file)
    driver.run_and_show()
    driver.until(lambda: "Settings: network" in window.log.contents())
    proposed: list[str] = []

    def answer(_parent: object, _title: str, proposal: str, _kinds: str) -> tuple[str, str]:
        proposed.append(proposal)
        return proposal, ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer)
    save = next(b for b in window.log.findChildren(QPushButton) if b.text() == "Save…")
    save.click()
    (path,) = proposed
    assert Path(path).parent == tmp_path / "results"
    assert "Settings: network" in Path(path).read_text("utf-8")
    own = [p for p in (tmp_path / "results").glob("cellseg_*.log") if p != Path(path)]
    assert len(own) == 1, "the run saved its log by itself"


def test_a_result_that_is_gone_is_told_and_the_next_is_shown(
    driver: Driver, volume_file: Path, tmp_path: Path
) -> None:
    window = driver.window
    driver.open_and_show(volume_file)
    driver.run_and_show()
    record = window.desk.session.items[0].record
    assert record is not None
    for _ in range(2):
        window.results.show_record(tmp_path / "gone.json")
        driver.until(lambda: not window.desk.lanes.files.busy)
    assert "gone.json" in window.desk.messages.texts()[-1]
    (message,) = window.desk.messages.messages()
    message.findChildren(QToolButton)[-1].click()
    assert not window.desk.messages.texts()
    window.scene.result = None
    window.results.show_record(record)
    driver.until(lambda: window.scene.result is not None)


def test_close_event_is_accepted_when_nothing_runs(driver: Driver) -> None:
    event = QCloseEvent()
    driver.window.closeEvent(event)
    assert event.isAccepted()


def test_a_run_is_restricted_to_the_part_in_view(driver: Driver, volume_file: Path) -> None:
    driver.open_and_show(volume_file)
    viewer = driver.window.viewer
    driver.press("use_visible")
    assert driver.window.desk.session.form.run.region.box is None
    viewer.ortho.linked.set_camera(viewer.ortho.linked.camera.zoomed(3))
    driver.press("use_visible")
    box = driver.window.desk.session.form.run.region.box
    assert box is not None
    assert viewer.ortho.panes["xy"].box_um is not None
    region = resolve_box(box, SHAPE)
    driver.run_and_show()
    result = driver.window.scene.result
    assert result is not None
    assert result.labels is not None
    labels = result.labels[whole(SHAPE)]
    assert labels[region].any()
    labels[region] = 0
    assert not labels.any()
    driver.set("run", "region", "box", value="")
    assert viewer.ortho.panes["xy"].box_um is None
