"""Cells corrected by hand in the window, with mouse and keys."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QInputDialog, QMessageBox

from cellseg_app.core.blocks import whole
from cellseg_app.core.edits import EDIT_LOG
from cellseg_app.io.open import open_volume
from cellseg_app.io.run_record import read_record
from cellseg_app.ui.dialogs.waiting import WaitingDialog
from cellseg_app.viewers.overview import build_overview
from tests.e2e.conftest import Command
from tests.e2e.gui.conftest import Driver
from tests.e2e.gui.corrector import CONTROL, Corrector


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
    button = user.window.run_bar.save_corrections
    assert button.isVisible()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    user.driver.until(lambda: user.window.scene.corrected is None)
    user.driver.until(lambda: not button.isVisible())
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
