"""The log: what the program did and with which parameters, with times, to copy or save."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QFontDatabase, QGuiApplication
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from cellseg_app.atomic import write_text_atomic
from cellseg_app.core.errors import UserError

_MAX_LINES: Final = 20_000


class _Bridge(QObject):
    """Carries log lines from any thread to the GUI thread."""

    written = Signal(str)


class LogRelay(logging.Handler):
    """A logging handler whose lines arrive as a signal."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.bridge = _Bridge()

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on."""
        mark = "" if record.levelno < logging.WARNING else f"{record.levelname}: "
        when = datetime.fromtimestamp(record.created)
        self.bridge.written.emit(f"{when:%Y-%m-%d %H:%M:%S}  {mark}{record.getMessage()}")


class LogPanel(QWidget):
    """Shows the log of this session."""

    failed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setMaximumBlockCount(_MAX_LINES)
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.WidgetWidth)
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.text.setPlaceholderText(
            "What the program does appears here, with times; every run also saves its log beside "
            "its results."
        )
        self.text.setAccessibleName("Log")
        self.text.setToolTip("What the program did, newest at the bottom")
        self.text.setTabChangesFocus(True)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        for title, tip, slot in (
            ("Copy", "Copy the whole log to the clipboard", self.copy_all),
            ("Save…", "Save the log as a text file", self._on_q_save),
            ("Clear", "Empty this view; saved logs stay", self.text.clear),
        ):
            button = QPushButton(title)
            button.setToolTip(tip)
            button.clicked.connect(slot)
            buttons.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 6, 6, 6)
        column.addWidget(self.text)
        column.addLayout(buttons)
        self._relay: LogRelay | None = None
        # Where the results lie that the log is about.
        self.folder: Callable[[], Path] = Path

    def listen(self) -> None:
        """Show what the program logs from now on."""
        self._relay = LogRelay()
        self._relay.bridge.written.connect(self.write, Qt.ConnectionType.QueuedConnection)
        logging.getLogger("cellseg_app").addHandler(self._relay)

    def stop_listening(self) -> None:
        """Let go of the program's log."""
        if self._relay is not None:
            logging.getLogger("cellseg_app").removeHandler(self._relay)
            self._relay = None

    def write(self, line: str) -> None:
        """Append a line."""
        self.text.appendPlainText(line)

    def contents(self) -> str:
        """The whole log."""
        return self.text.toPlainText()

    def copy_all(self) -> None:
        """Copy the log to the clipboard."""
        QGuiApplication.clipboard().setText(self.contents())

    def _on_q_save(self) -> None:
        proposal = str(self.folder() / "cellseg.log")
        path, _ = QFileDialog.getSaveFileName(self, "Save the log", proposal, "Text (*.log)")
        if not path:
            return
        try:
            write_text_atomic(path, self.contents() + "\n")
        except UserError as error:
            self.failed.emit(error)
