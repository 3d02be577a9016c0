"""The program from its start to its end, through the real `main()`, with mouse and keys."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QPoint, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QWidget

from cellseg_app import app
from cellseg_app.core.cell_columns import frame_of
from cellseg_app.state.slicing import PLANES
from cellseg_app.ui.main_window import MainWindow
from cellseg_app.ui.panels.run_bar import RunBar
from tests.e2e.conftest import Command

Step = Callable[[], bool] | None
LEFT = Qt.MouseButton.LeftButton
PATIENCE_S = 120


class User:
    """Somebody in front of the window: does a step, waits until something is so, does the next.

    A script yields the conditions it waits for; the event loop is that of the program.
    """

    def __init__(self, script: Callable[[MainWindow], Iterator[Step]]) -> None:
        self._make, self._script = script, None
        self._waits_for: Step = None
        self._until = time.monotonic() + PATIENCE_S
        self.error: BaseException | None = None
        self._timer = QTimer()
        self._timer.setInterval(20)
        self._timer.timeout.connect(self._turn)
        self._timer.start()

    def _turn(self) -> None:
        window = next(
            (w for w in QApplication.topLevelWidgets() if isinstance(w, MainWindow)), None
        )
        if window is None or not window.isVisible():
            return
        try:
            self._go_on(window)
        except BaseException as error:  # noqa: BLE001 - told by the test, after the program ended
            self.error = error
            self._leave(window)

    def _go_on(self, window: MainWindow) -> None:
        self._script = self._script or self._make(window)
        if self._waits_for is not None and not self._waits_for():
            assert time.monotonic() < self._until, f"waited in vain; {window.desk.messages.texts()}"
            return
        try:
            self._waits_for = next(self._script)
            self._until = time.monotonic() + PATIENCE_S
        except StopIteration:
            self._leave(window)

    def _leave(self, window: MainWindow) -> None:
        self._timer.stop()
        if window.runs.is_running:
            window.runs.cancel(keep_note=True)
        window.runs.running_changed.connect(lambda _: window.close())
        window.close()


def start(monkeypatch: pytest.MonkeyPatch, data: Path, script: object, *words: str) -> None:
    """Run the program with somebody in front of it."""
    monkeypatch.setenv("CELLSEG_DATA", str(data))
    QApplication.instance() or QApplication([])
    user = User(script)  # type: ignore[arg-type]
    assert app.main([*words, "--quit-after", "280"]) == 0
    left = [w for w in QApplication.topLevelWidgets() if isinstance(w, MainWindow)]
    for window in left:
        window.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    if user.error is not None:
        raise user.error


def click(widget: QWidget, at: QPoint | None = None) -> None:
    """Press the left button on a widget that can be pressed."""
    assert widget.isVisible(), widget
    assert widget.isEnabled(), widget
    QTest.mouseClick(widget, LEFT, Qt.KeyboardModifier.NoModifier, at or widget.rect().center())


def button(bar: RunBar, text: str) -> QWidget:
    """A button under the form."""
    return next(b for b in bar.findChildren(QWidget) if getattr(b, "text", str)() == text)


def tune(window: MainWindow) -> Iterator[Step]:
    slider = window.viewer.class_slider._slider
    assert slider.isVisible()
    assert slider.value() == 1, "it begins at the class that holds the cells"
    slider.setFocus()
    QTest.keyClick(slider, Qt.Key.Key_Left)
    assert window.viewer.state.class_index == 0
    yield lambda: window.run_bar.use_class.isVisible()
    QTest.keyClick(slider, Qt.Key.Key_Right)
    yield lambda: not window.run_bar.use_class.isVisible()
    editor = window.form.editor("run", "threshold", "threshold")
    editor.box.setFocus()  # type: ignore[attr-defined]
    QTest.keyClick(editor.box, Qt.Key.Key_End)  # type: ignore[attr-defined]
    editor.slider.setValue(70)  # type: ignore[attr-defined]
    assert window.desk.session.form.run.threshold.threshold == 0.7
    yield lambda: window.tuning.live is not None and window.tuning.live.threshold == 0.7
    click(button(window.run_bar, "Apply here"))
    yield lambda: window.scene.result is not None and not window.tuning.is_changed
    result = window.scene.result
    assert result is not None
    assert result.record.settings.threshold.threshold == 0.7
    yield lambda: len(window.desk.cells.table) == result.record.n_cells


def click_a_cell(window: MainWindow) -> Iterator[Step]:
    table = frame_of(window.desk.cells.table)
    label = int(table["label"].iloc[int(table["n_voxels"].argmax())])
    voxel = window.desk.cells.centroid_voxel(label)
    assert voxel is not None
    window.viewer.state.cursor_zyx = voxel
    yield lambda: window.viewer.ortho.panes["xy"].has_picture("labels")
    window.desk.cells.choose(None)
    pane = window.viewer.ortho.panes["xy"]
    scale = window.viewer.layers[0].scale_zyx
    at = pane.to_px(tuple((v + 0.5) * s for v, s in zip(voxel, scale, strict=True)))
    assert PLANES[pane.plane].normal == 0
    click(pane, at.toPoint())
    yield lambda: window.desk.cells.chosen == (label,)
    row = window.table.view.currentIndex().row()
    assert window.table.model.label_at(row) == label


def test_from_the_sample_to_the_engines_own_csv(
    qapp: QApplication,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    two_class_network: Path,
    cellseg: Command,
) -> None:
    exported = tmp_path / "exported.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(exported), "CSV (*.csv)"))

    def script(window: MainWindow) -> Iterator[Step]:
        click(next(b for b in window.queue.empty.findChildren(QWidget)
                   if getattr(b, "text", str)() == "Open sample"))  # fmt: skip
        yield lambda: window.scene.reading is not None
        window.form_control.set_value(("run", "network", "weights"), str(two_class_network))
        window.form_control.set_value(("run", "inference", "window"), "whole")
        window.form_control.set_value(("output_folder",), str(tmp_path / "results"))
        click(button(window.run_bar, "Preview"))
        yield lambda: window.scene.preview is not None
        assert "in the preview" in window.run_bar.count.text()
        click(window.run_bar.start)
        yield lambda: window.run_bar.cancel.isVisible()
        yield lambda: not window.runs.is_running and window.scene.result is not None
        yield from tune(window)
        yield from click_a_cell(window)
        window.actions_by_key["export_csv"].trigger()
        yield exported.exists

    start(monkeypatch, tmp_path / "data", script)
    sample = Path("resources/sample/nuclei.tif")
    words = ("--weights", two_class_network, "--window", "whole")
    ran = cellseg("run", sample, "-o", tmp_path / "cli", *words)
    assert ran.code == 0
    tuned = cellseg("resegment", ran.record, "--threshold", "0.7", "-o", tmp_path / "tuned")
    assert tuned.code == 0
    own = next((tmp_path / "tuned").glob("nuclei*.csv"))
    assert exported.read_bytes() == own.read_bytes()


def test_layout_and_form_are_there_again_at_the_next_start(
    qapp: QApplication, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, volume_file: Path
) -> None:
    def first(window: MainWindow) -> Iterator[Step]:
        yield lambda: window.scene.reading is not None
        window.form_control.set_value(("run", "threshold", "threshold"), 0.35)
        window.docks["log"].setFloating(True)
        window.docks["layers"].hide()
        window.actions_by_key["theme_dark"].trigger()
        yield lambda: True

    def second(window: MainWindow) -> Iterator[Step]:
        yield lambda: True
        assert window.desk.session.form.run.threshold.threshold == 0.35
        assert window.docks["log"].isFloating()
        assert not window.docks["layers"].isVisible()
        assert window.desk.appearance.is_dark
        assert str(volume_file) in window.desk.user.recent
        window.actions_by_key["reset_layout"].trigger()
        yield lambda: window.docks["layers"].isVisible() and not window.docks["log"].isFloating()
        window.actions_by_key["theme_light"].trigger()

    start(monkeypatch, tmp_path / "data", first, str(volume_file))
    start(monkeypatch, tmp_path / "data", second)


CRASHING = """
import sys
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from cellseg_app import app
from cellseg_app.ui.main_window import MainWindow

state = {"started": False}
def turn():
    window = next((w for w in QApplication.topLevelWidgets() if isinstance(w, MainWindow)), None)
    if window is None or window.scene.reading is None:
        return
    if not state["started"]:
        state["started"] = True
        window.form_control.set_value(("run", "network", "weights"), sys.argv[2])
        window.form_control.set_value(("output_folder",), sys.argv[3])
        window.form_control.set_value(("run", "inference", "window"), 16)
        window.actions_by_key["start"].trigger()
    elif window.progress.stage.text().startswith("Network"):
        print("running", flush=True)
application = app.make_application()
timer = QTimer()
timer.timeout.connect(turn)
timer.start(10)
app.main([sys.argv[1], "--quit-after", "100"])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kills a process by a signal")
def test_after_a_crash_the_next_start_offers_to_go_on(
    qapp: QApplication,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    volume_file: Path,
    network: Path,
) -> None:
    environment = {**os.environ, "CELLSEG_DATA": str(tmp_path / "data")}
    words = [str(volume_file), str(network), str(tmp_path / "results")]
    with subprocess.Popen(
        [sys.executable, "-c", CRASHING, *words], env=environment, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"running\n"
        process.send_signal(signal.SIGKILL)

    def script(window: MainWindow) -> Iterator[Step]:
        yield lambda: bool(window.desk.messages.messages())
        (message,) = window.desk.messages.messages()
        assert "1 volume did not end" in message.label.text()
        click(next(b for b in message.buttons if b.text() == "Resume"))
        yield lambda: bool(window.desk.session.items) and not window.runs.is_running
        assert [item.state for item in window.desk.session.items] == ["done"]
        yield lambda: window.scene.result is not None

    start(monkeypatch, tmp_path / "data", script)
    assert list((tmp_path / "results").glob("*.csv"))
    assert not (tmp_path / "data" / "unfinished.json").exists()
