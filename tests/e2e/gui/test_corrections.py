"""Cells corrected by hand in the window, with mouse and keys."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QInputDialog, QMessageBox

from cellseg_app.core.blocks import whole
from cellseg_app.core.cell_columns import frame_of
from cellseg_app.core.edits import EDIT_LOG
from cellseg_app.io.open import open_volume
from cellseg_app.io.run_record import RunRecord, read_record
from cellseg_app.ui.dialogs.waiting import WaitingDialog
from cellseg_app.viewers.overview import Overview, build_overview
from tests.e2e.conftest import Command
from tests.e2e.gui.conftest import Driver

CONTROL = Qt.KeyboardModifier.ControlModifier
NONE = Qt.KeyboardModifier.NoModifier


class Corrector:
    """A user who corrects the cells of a result."""

    def __init__(self, driver: Driver, record: Path) -> None:
        self.driver, self.window, self.first = driver, driver.window, record
        self.cells, self.pane = driver.window.desk.cells, driver.window.viewer.ortho.panes["xy"]
        driver.window.open_paths([record])
        driver.until(lambda: len(self.cells.table) > 0)
        self.before = self.shown_labels()

    @property
    def table(self) -> pd.DataFrame:
        return frame_of(self.cells.table)

    def shown_labels(self) -> np.ndarray:
        layer = next(x for x in self.window.viewer.layers if x.key == "labels")
        return np.asarray(layer.data[whole(layer.shape_zyx)])

    def overview(self) -> Overview:
        """The cells as 3D shows them, once they are those of the slices."""
        viewer = self.window.viewer

        def newest() -> Overview | None:
            found = viewer.reader.overviews.get(("labels", 0))
            return found if found is not None and found.layer in viewer.layers else None

        self.driver.until(lambda: newest() is not None)
        found = newest()
        assert found is not None
        return found

    def neighbours(self) -> list[int]:
        """Three cells in one plane."""
        planes = self.table["centroid_z_voxel"].round().astype(int)
        return self.table["label"][planes == planes.mode()[0]].tolist()[:3]

    def click(self, label: int, held: Qt.KeyboardModifier = NONE) -> None:
        """Click a cell in the XY pane, and wait until that is seen."""
        voxel = self.cells.centroid_voxel(label)
        assert voxel is not None
        before = self.cells.chosen
        z = self.window.viewer.state.cursor_zyx[0]
        if voxel[0] != z:
            self.window.viewer.center_on(voxel)
            self.driver.until(lambda: self.pane.cursor_um is not None)
            QApplication.processEvents()
        scale = self.window.viewer.layers[0].scale_zyx
        um = [(v + 0.5) * s for v, s in zip(voxel, scale, strict=True)]
        place = self.pane.to_px((um[0], um[1], um[2])).toPoint()
        QTest.mouseClick(self.pane, Qt.MouseButton.LeftButton, held, place)
        self.driver.until(lambda: self.cells.chosen != before)

    def click_row(self, label: int, held: Qt.KeyboardModifier = NONE) -> None:
        """Click a cell in the table."""
        table = self.window.table
        self.window.docks["table"].raise_()
        QApplication.processEvents()
        index = table.model.index(table.model.row_of(label), 1)
        table.view.scrollTo(index)
        place: QPoint = table.view.visualRect(index).center()
        QTest.mouseClick(table.view.viewport(), Qt.MouseButton.LeftButton, held, place)

    def key(self, key: Qt.Key, held: Qt.KeyboardModifier = NONE) -> None:
        """Press a key where the focus is, and wait until it is done and seen."""
        focus = QApplication.focusWidget()
        assert focus is not None
        QTest.keyClick(focus, key, held)
        self.settle()

    def settle(self) -> None:
        desk = self.window.desk
        self.driver.until(lambda: not desk.lanes.edits.busy and not desk.turns._waiting)

    def ids(self) -> set[int]:
        """Cells of the table, which must be those of the labels and of the count."""
        ids = set(self.table["label"])
        assert ids == set(np.unique(self.shown_labels()).tolist()) - {0}
        assert self.window.run_bar.count.text() == f"{len(ids)} cells"
        return ids

    def saved(self) -> RunRecord:
        record = self.window.desk.session.items[0].record
        assert record is not None
        return read_record(record)


@pytest.fixture
def user(
    driver: Driver, cellseg: Command, volume_file: Path, network: Path, tmp_path: Path
) -> Iterator[Corrector]:
    record = cellseg("run", volume_file, "-o", tmp_path / "out", "--weights", network).record
    yield Corrector(driver, record)
    driver.window.corrections.discard()


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[QMessageBox.StandardButton], list[str]]:
    """Answer the questions to come; returns the list of those that were asked."""

    def prepare(button: QMessageBox.StandardButton) -> list[str]:
        asked: list[str] = []

        def execute(box: QMessageBox) -> int:
            asked.append(box.text())
            box.button(button).click()
            return int(button)

        monkeypatch.setattr(QMessageBox, "exec", execute)
        return asked

    return prepare


def test_cells_are_merged_and_that_is_undone_and_done_again(user: Corrector) -> None:
    a, b, _ = user.neighbours()
    all_ids, kept, merged = user.ids(), min(a, b), max(a, b)
    user.click(a)
    assert not user.window.actions_by_key["merge_cells"].isEnabled()
    user.click(b, CONTROL)
    assert user.cells.chosen == (a, b)
    assert user.window.viewer.state.highlighted == (a, b)
    user.key(Qt.Key.Key_M)
    assert user.ids() == all_ids - {merged}
    assert user.cells.chosen == (kept,)
    np.testing.assert_array_equal(user.shown_labels() == kept, np.isin(user.before, (a, b)))
    user.key(Qt.Key.Key_Z, CONTROL)
    assert user.ids() == all_ids
    assert not user.table["edited"].any()
    user.key(Qt.Key.Key_Z, CONTROL | Qt.KeyboardModifier.ShiftModifier)
    assert user.ids() == all_ids - {merged}
    assert user.table.loc[user.table["edited"], "label"].tolist() == [kept]


def correct_much(user: Corrector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Merge two cells, split one twice, delete two from the table."""
    a, b, c = user.neighbours()
    new = max(user.ids()) + 1
    user.click(a)
    user.click(b, CONTROL)
    user.key(Qt.Key.Key_M)
    user.click(c)
    user.key(Qt.Key.Key_S)
    assert set(user.cells.chosen) == {c, new}
    monkeypatch.setattr(QInputDialog, "getInt", lambda *_: (3, True))
    user.click_row(c)
    user.key(Qt.Key.Key_S, Qt.KeyboardModifier.ShiftModifier)
    assert set(user.cells.chosen) == {c, new + 1, new + 2}
    gone = sorted(user.ids() - {min(a, b), c, new, new + 1, new + 2})[:2]
    user.click_row(gone[0])
    user.click_row(gone[1], CONTROL)
    user.key(Qt.Key.Key_Delete)
    assert not user.ids() & set(gone)
    assert "2 deleted" in user.window.run_bar.count_state.text()


def test_window_and_command_line_correct_alike(
    user: Corrector, cellseg: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    correct_much(user, monkeypatch)
    shown, n = user.shown_labels(), len(user.table)
    user.driver.press("save_corrections")
    user.driver.until(lambda: user.window.scene.corrected is None)
    record = user.saved()
    assert record.corrections is not None
    log = tmp_path / "edits.json"
    log.write_bytes(EDIT_LOG.dump_json(record.corrections.edits))
    assert len(json.loads(log.read_text())) == 4
    other = cellseg("correct", user.first, "--edits", log).record
    by_cli, folder = read_record(other), user.first.parent
    assert other != user.window.desk.session.items[0].record
    for name in ("labels", "table"):
        mine, theirs = getattr(record.files, name), getattr(by_cli.files, name)
        assert (folder / mine).read_bytes() == (folder / theirs).read_bytes()
    assert by_cli.summary == record.summary
    assert by_cli.corrections == record.corrections
    user.driver.until(lambda: len(user.table) == n)
    stored = open_volume(folder / (record.files.labels or ""))
    np.testing.assert_array_equal(stored.data[whole(stored.shape_zyx)], shown)
    assert not user.window.actions_by_key["undo"].isEnabled()


def test_the_overview_changes_where_cells_were_corrected(
    user: Corrector, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = user.overview()
    assert before.change is None
    correct_much(user, monkeypatch)
    changed = user.overview()
    user.key(Qt.Key.Key_Z, CONTROL)
    for overview in (changed, user.overview()):
        layer = overview.layer
        made = build_overview(layer, 0, step_zyx=(1, 1, 1), stale=lambda: False)
        assert made is not None
        np.testing.assert_array_equal(overview.data, made.data)
        assert overview.change is not None
        n_changed = sum(before.data[box].size for box in overview.change.boxes)
        assert n_changed < before.data.size / 2
    np.testing.assert_array_equal(user.overview().data, user.shown_labels())


def test_everything_undone_leaves_what_was_found(user: Corrector) -> None:
    before = user.table.copy()
    a, b, c = user.neighbours()
    user.click(a)
    user.click(b, CONTROL)
    user.key(Qt.Key.Key_Delete)
    user.click(c)
    user.key(Qt.Key.Key_S)
    for _ in range(2):
        user.key(Qt.Key.Key_Z, CONTROL)
    np.testing.assert_array_equal(user.shown_labels(), user.before)
    pd.testing.assert_frame_equal(user.table.drop(columns="edited"), before)
    assert not user.window.corrections.is_unsaved
    assert "Not now" in user.window.actions_by_key["undo"].toolTip()
    user.click(c)
    user.key(Qt.Key.Key_Delete)
    assert not user.window.actions_by_key["redo"].isEnabled()


def test_keys_that_are_typed_elsewhere_correct_nothing(user: Corrector) -> None:
    a, b, _ = user.neighbours()
    user.click(a)
    user.click(b, CONTROL)
    ids = user.ids()
    field = user.window.table.low
    user.window.docks["table"].raise_()
    field.setFocus()
    for key in (Qt.Key.Key_M, Qt.Key.Key_Delete):
        QTest.keyClick(field, key)
    user.window.run_bar.presets.setFocus()
    QTest.keyClick(user.window.run_bar.presets, Qt.Key.Key_M)
    user.settle()
    assert user.ids() == ids


def test_closing_asks_what_becomes_of_corrections(
    user: Corrector, answer: Callable[[QMessageBox.StandardButton], list[str]]
) -> None:
    user.click(user.neighbours()[0])
    user.key(Qt.Key.Key_Delete)
    asked = answer(QMessageBox.StandardButton.Cancel)
    assert not user.window.close()
    assert len(asked) == 1
    assert user.window.isVisible()
    n = len(user.ids())
    answer(QMessageBox.StandardButton.Save)
    assert user.window.close()
    assert user.saved().n_cells == n
    assert user.saved().corrections is not None


def test_discarding_shows_the_result_again(
    user: Corrector, volume_file: Path, answer: Callable[[QMessageBox.StandardButton], list[str]]
) -> None:
    twin = volume_file.with_name("twin.tif")
    os.link(volume_file, twin)
    user.click(user.neighbours()[0])
    user.key(Qt.Key.Key_Delete)
    answer(QMessageBox.StandardButton.Cancel)
    user.window.open_paths([twin])
    assert len(user.window.desk.session.items) == 1
    answer(QMessageBox.StandardButton.Discard)
    user.window.open_paths([twin])
    user.driver.until(lambda: user.window.desk.session.current == twin)
    user.window.queue.chosen.emit(user.window.desk.session.items[0].path)
    user.driver.until(lambda: user.window.scene.result is not None)
    np.testing.assert_array_equal(user.shown_labels(), user.before)
    assert user.saved().corrections is None


def test_telling_cells_apart_anew_asks_first(
    user: Corrector, answer: Callable[[QMessageBox.StandardButton], list[str]]
) -> None:
    window = user.window
    user.click(user.neighbours()[0])
    user.key(Qt.Key.Key_Delete)
    user.driver.set("run", "threshold", "threshold", value=0.9)
    user.driver.until(lambda: bool(window.desk.messages.messages()))
    message = window.desk.messages.messages()[-1]
    assert "lose your corrections" in message.label.text()
    assert not window.tuning.is_changed
    user.ids()
    message.buttons[0].click()
    user.driver.until(lambda: window.scene.corrected is None)
    user.driver.until(lambda: user.saved().corrections is not None)
    corrected = window.desk.session.items[0].record
    user.driver.until(
        lambda: window.scene.result is not None and window.scene.result.record_path == corrected
    )
    user.driver.set("run", "threshold", "threshold", value=0.8)
    user.driver.wait_for_tuning()
    assert not window.actions_by_key["delete_cells"].isEnabled()
    asked = answer(QMessageBox.StandardButton.Cancel)
    user.driver.press("apply_here")
    assert asked == ["This result was corrected by hand."]
    assert not window.runs.is_running
    assert window.desk.session.items[0].record == corrected


def test_what_cannot_be_corrected_says_why(driver: Driver, volume_file: Path) -> None:
    action = driver.window.actions_by_key["delete_cells"]
    assert "there are no cells" in action.toolTip()
    driver.open_and_show(volume_file)
    driver.press("preview")
    driver.until(lambda: driver.window.scene.preview is not None)
    assert not action.isEnabled()
    assert "preview" in action.toolTip()


def test_an_edit_that_fails_is_told_and_changes_nothing(user: Corrector) -> None:
    ids = user.ids()
    (user.first.parent / (user.saved().files.labels or "")).unlink()
    user.click_row(min(ids))
    user.key(Qt.Key.Key_Delete)
    user.driver.until(lambda: bool(user.window.desk.messages.texts()))
    assert "are gone" in user.window.desk.messages.texts()[-1]
    assert set(user.table["label"]) == ids
    assert not user.window.corrections.is_unsaved


def test_a_long_saving_can_be_cancelled(user: Corrector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cellseg_app.ui.dialogs.waiting._PATIENCE_MS", 0)
    shown: list[WaitingDialog] = []

    def reject(dialog: WaitingDialog) -> None:
        shown.append(dialog)
        dialog.reject()

    monkeypatch.setattr(WaitingDialog, "open", reject)
    user.click(user.neighbours()[0])
    user.key(Qt.Key.Key_Delete)
    before = sorted(user.first.parent.iterdir())
    is_saved = user.window.corrections.save()
    assert shown
    if not is_saved:
        assert sorted(user.first.parent.iterdir()) == before
        assert user.window.corrections.is_unsaved
