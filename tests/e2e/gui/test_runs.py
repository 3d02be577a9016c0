"""Runs started in the window: batches, cancelling, closing, going on, repeating."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from PySide6.QtWidgets import QFileDialog, QMessageBox, QPushButton

from cellseg_app.core.blocks import whole
from cellseg_app.core.box import resolve_box
from cellseg_app.io.table import read_table
from cellseg_app.state.unfinished import read_batch, unfinished_path
from tests.e2e.conftest import SHAPE
from tests.e2e.gui.conftest import Driver

THRESHOLD = ("run", "threshold", "threshold")


def test_a_corrupt_file_does_not_end_the_batch(
    driver: Driver, volume_file: Path, twin_file: Path
) -> None:
    window = driver.window
    damaged = volume_file.with_name("damaged.tif")
    damaged.write_bytes(volume_file.read_bytes()[: volume_file.stat().st_size // 2])
    driver.open(volume_file, damaged, twin_file)
    driver.run()
    states = {item.path.name: item.state for item in window.desk.session.items}
    assert states["cells.tif"] == states["twin.tif"] == "done"
    assert states["damaged.tif"] in ("failed", "refused")
    damaged_item = window.desk.session.item(damaged)
    assert damaged_item is not None
    assert damaged_item.text, "the list says why"
    driver.until(
        lambda: any(
            "could not be read" in text or "failed" in text for text in window.desk.messages.texts()
        )
    )
    done = window.desk.session.item(volume_file)
    assert done is not None
    driver.until(lambda: f"{volume_file}: {done.n_cells:,} cells" in window.log.contents())
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


def test_the_list_the_panel_and_the_title_say_how_far_a_run_is(
    driver: Driver, volume_file: Path, twin_file: Path
) -> None:
    window = driver.window
    driver.set("run", "inference", "window", value=16)
    driver.open(volume_file, twin_file)
    driver.press("start")
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
