"""The self-test's report; the whole of it runs in the frozen program (packaging/test_bundle.sh)."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

from cellseg_app import self_test
from cellseg_app.app import make_window
from cellseg_app.core.errors import WeightsError
from cellseg_app.self_test import Report, SelfTestFailed, run_self_test


def test_a_step_that_fails_is_told_and_the_others_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    with report.step("first") as told:
        told.append("7 cells")
    with report.step("second"):
        raise SelfTestFailed("nothing was drawn")
    with report.step("third"):
        raise ZeroDivisionError("a bug")
    with report.step("fourth"):
        pass
    assert report.failures == ["second", "third"]
    said = capsys.readouterr().out
    assert said == "".join(line + "\n" for line in report.lines)
    assert "7 cells" in said
    assert "FAILED second: SelfTestFailed: nothing was drawn" in said
    assert "Traceback" in said.split("third")[1]
    assert "ok     fourth" in said


def test_missing_weights_end_it_with_1_and_a_report(
    qapp: QApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing_there() -> list[object]:
        raise WeightsError("The weights are gone.", "Install CellSeg again.")

    monkeypatch.setattr(self_test, "list_weights", nothing_there)
    monkeypatch.setattr(self_test, "_PATIENCE_S", 30.0)
    monkeypatch.setattr(self_test._Trial, "_segment", lambda _: "skipped")
    window = make_window(qapp, tmp_path / "window.json")
    window.show()
    file = tmp_path / "self-test.txt"
    code = run_self_test(qapp, window, folder=tmp_path / "results", report_file=file)
    window.close()
    window.deleteLater()
    assert code == 1
    text = file.read_text("utf-8")
    assert "FAILED bundled weights" in text
    assert "The weights are gone." in text
    assert "ok     sample volume" in text
