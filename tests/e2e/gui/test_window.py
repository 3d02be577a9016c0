"""From opening a volume to exported cells, through the real window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtGui import QCloseEvent

from cellseg_app.core.cell_columns import frame_of
from cellseg_app.io.run_record import read_record
from cellseg_app.workers.jobs import Crash
from tests.e2e.conftest import Cells, Command
from tests.e2e.gui.conftest import Driver, SaveAs

THRESHOLD = ("run", "threshold", "threshold")


def test_the_whole_way_gives_the_engines_own_cells(
    driver: Driver,
    volume_file: Path,
    network: Path,
    cells: Cells,
    cellseg: Command,
    tmp_path: Path,
    save_as: SaveAs,
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

    exported = save_as(tmp_path / "cells.csv", "CSV (*.csv)")
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


def test_close_event_is_accepted_when_nothing_runs(driver: Driver) -> None:
    event = QCloseEvent()
    driver.window.closeEvent(event)
    assert event.isAccepted()
