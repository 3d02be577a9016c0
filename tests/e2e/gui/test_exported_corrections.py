"""Cells corrected by hand and not saved yet: everything that is exported speaks of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
from PySide6.QtCore import Qt

from cellseg_app.io.table import read_table
from cellseg_app.ui.cells import RangeFilter
from tests.e2e.gui.conftest import SaveAs
from tests.e2e.gui.corrector import CONTROL, Corrector


def export(user: Corrector, action: str, target: Path) -> Path:
    """Export, and wait for the message that it is saved."""
    user.driver.press(action)
    user.driver.until(lambda: any(target.name in said for said in user.messages()))
    return target


def test_table_labels_points_and_methods_speak_of_the_same_cells(
    user: Corrector, save_as: SaveAs, tmp_path: Path
) -> None:
    n_found = len(user.ids())
    a, b, c = user.neighbours()
    user.click(a)
    user.click(b, CONTROL)
    user.key(Qt.Key.Key_M)
    user.click(c)
    user.key(Qt.Key.Key_S)
    user.click_row(max(user.ids() - {a, b, c}))
    user.key(Qt.Key.Key_Delete)
    ids = user.ids()
    assert ids != set(np.unique(user.before).tolist()) - {0}

    table = read_table(export(user, "export_csv", save_as(tmp_path / "cells.csv", "CSV (*.csv)")))
    assert set(table["label"]) == ids
    assert set(table.loc[table["edited"], "label"]) >= {min(a, b), c}
    labels = export(user, "export_labels", save_as(tmp_path / "labels.tif", "TIFF (*.tif)"))
    assert set(np.unique(tifffile.imread(labels)).tolist()) - {0} == ids
    points = export(user, "export_points", save_as(tmp_path / "points.npy", "brainrender (*.npy)"))
    assert len(np.load(points)) == len(ids)
    methods = export(user, "export_methods", save_as(tmp_path / "methods.txt", "Text (*.txt)"))
    said = methods.read_text("utf-8")
    assert f"{n_found} cells were found. 4 cells were corrected by hand: " in said
    assert f"which left {len(ids)} cells." in said
    assert all("with your corrections" in text for text in user.messages()[-4:])

    record = user.window.actions_by_key["export_record"]
    assert not record.isEnabled()
    assert "Save corrections" in record.toolTip()
    user.window.desk.messages.messages()[-1].buttons[0].click()
    user.driver.until(lambda: record.isEnabled() and user.window.scene.corrected is None)
    assert user.saved().n_cells == len(ids)
    again = export(user, "export_methods", save_as(tmp_path / "saved.txt", "Text (*.txt)"))
    assert again.read_text("utf-8") == said


def test_corrections_taken_back_are_not_spoken_of(
    user: Corrector, save_as: SaveAs, tmp_path: Path
) -> None:
    n_found = len(user.ids())
    user.click(user.neighbours()[0])
    user.key(Qt.Key.Key_Delete)
    user.key(Qt.Key.Key_Z, CONTROL)
    methods = export(user, "export_methods", save_as(tmp_path / "methods.txt", "Text (*.txt)"))
    said = methods.read_text("utf-8")
    assert f"{n_found} cells were found." in said
    assert "by hand" not in said
    assert "your corrections" not in user.messages()[-1]
    export(user, "export_record", save_as(tmp_path / "record.json", "Run record (*.json)"))
    assert (tmp_path / "record.json").read_bytes() == user.first.read_bytes()


def test_the_methods_say_which_cells_a_filter_kept(
    user: Corrector, save_as: SaveAs, tmp_path: Path
) -> None:
    user.click(user.neighbours()[0])
    user.key(Qt.Key.Key_Delete)
    middle = float(user.table["n_voxels"].median())
    user.cells.add_filter(RangeFilter("n_voxels", middle, np.inf))
    table = read_table(export(user, "export_csv", save_as(tmp_path / "cells.csv", "CSV (*.csv)")))
    assert 0 < len(table) < len(user.table)
    methods = export(user, "export_methods", save_as(tmp_path / "methods.txt", "Text (*.txt)"))
    expected = f"Of these, {len(table)} cells were kept, by n_voxels ≥ {middle:.5g}."
    assert f"which left {len(user.table)} cells. {expected}" in methods.read_text("utf-8")


def test_cells_of_other_settings_have_no_methods_until_they_are_applied(user: Corrector) -> None:
    methods = user.window.actions_by_key["export_methods"]
    assert methods.isEnabled()
    user.driver.set("run", "threshold", "threshold", value=0.9)
    user.driver.wait_for_tuning()
    for key in ("export_methods", "export_record"):
        action = user.window.actions_by_key[key]
        assert not action.isEnabled()
        assert "Apply here saves them" in action.toolTip()
    user.driver.press("apply_here")
    user.driver.until(lambda: methods.isEnabled() and not user.window.runs.is_running)
