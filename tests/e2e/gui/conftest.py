"""The real window, opened by the application's own functions and driven like a user would."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["QT_API"] = "pyside6"

import pytest
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from cellseg_app.app import make_application, make_window
from cellseg_app.ui.main_window import MainWindow
from tests.e2e.conftest import Command
from tests.e2e.gui.corrector import Corrector

TIMEOUT_MS = 60_000
SaveAs = Callable[[Path, str], Path]


@dataclass
class Driver:
    """Presses what a user would press, and waits for what a user would wait for."""

    window: MainWindow
    bot: QtBot

    def until(self, condition: Callable[[], bool]) -> None:
        """Keep the window running until something is so."""
        self.bot.waitUntil(condition, timeout=TIMEOUT_MS)

    def press(self, action: str) -> None:
        """Trigger an action that must be possible now."""
        assert self.window.actions_by_key[action].isEnabled(), f"{action} is disabled"
        self.window.actions_by_key[action].trigger()

    def open(self, *paths: Path) -> None:
        """Open volumes and wait until the list has looked at all of them."""
        self.window.open_paths(list(paths))
        session = self.window.desk.session
        self.until(lambda: bool(session.items) and all(i.state != "reading" for i in session.items))

    def open_and_show(self, path: Path) -> None:
        """Open a volume and wait until it is in the viewer."""
        self.open(path)
        self.until(lambda: self.window.scene.reading is not None)

    def set(self, *path: str, value: object) -> None:
        """Change a field of the form."""
        self.window.form_control.set_value(path, value)

    def run(self) -> None:
        """Press Start and wait for the end."""
        self.press("start")
        self.until(lambda: not self.window.runs.is_running)

    def run_and_show(self) -> None:
        """Press Start and wait for the result in the viewer."""
        self.run()
        self.until(lambda: self.window.scene.result is not None)

    def wait_for_tuning(self) -> None:
        """Wait until cells with new settings are counted in the whole map."""
        self.until(lambda: self.window.tuning.live is not None)
        self.until(lambda: not self.window.desk.lanes.tuning.busy)


@pytest.fixture
def driver(qtbot: QtBot, tmp_path: Path, network: Path) -> Iterator[Driver]:
    """A window with the test network chosen, results going to a temporary folder."""
    app = make_application()
    window = make_window(app, tmp_path / "window.json")
    window.show()
    driver = Driver(window, qtbot)
    driver.set("run", "network", "weights", value=str(network))
    driver.set("output_folder", value=str(tmp_path / "results"))
    yield driver
    if window.runs.is_running:
        window.runs.cancel()
        driver.until(lambda: not window.runs.is_running)
    window.close()
    window.deleteLater()
    app.processEvents()
    logging.getLogger("cellseg_app").setLevel(logging.NOTSET)


@pytest.fixture
def user(
    driver: Driver, cellseg: Command, volume_file: Path, network: Path, tmp_path: Path
) -> Iterator[Corrector]:
    """Somebody who looks at a finished result."""
    record = cellseg("run", volume_file, "-o", tmp_path / "out", "--weights", network).record
    yield Corrector(driver, record)
    driver.window.corrections.discard()


@pytest.fixture
def save_as(monkeypatch: pytest.MonkeyPatch) -> SaveAs:
    """Answer the file dialogs to come with a path and a kind of file; gives the path."""

    def answer(path: Path, kind: str) -> Path:
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), kind))
        return path

    return answer
