"""The dialog for bugs: what to send us, to copy or to save as one file."""

from __future__ import annotations

import platform
import sys
import zipfile
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from PySide6.QtCore import qVersion
from PySide6.QtGui import QFontDatabase, QGuiApplication
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QLabel,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from cellseg_app import __version__
from cellseg_app.atomic import atomic_path
from cellseg_app.core.errors import UserError
from cellseg_app.workers.jobs import Crash

_PACKAGES: Final = ("torch", "monai", "numpy", "scipy", "PySide6-Essentials", "pyqtgraph", "vispy")


def report_text(crash: Crash | None) -> str:
    """Version, system and traceback."""
    lines = [
        f"CellSeg {__version__}",
        f"System: {platform.platform()}, Python {platform.python_version()}, Qt {qVersion()}",
        f"Frozen: {bool(getattr(sys, 'frozen', False))}",
        *(_version_line(package) for package in _PACKAGES),
    ]
    if crash is not None:
        lines += ["", f"While: {crash.title}", crash.summary, "", crash.traceback]
    return "\n".join(lines)


def save_bundle(path: Path, *, report: str, files: tuple[Path, ...]) -> Path:
    """Write one zip file with the report and what is there of some files.

    Raises
    ------
    OutputError
        The place cannot be written to.
    """
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as bundle,
    ):
        bundle.writestr("report.txt", report)
        for file in files:
            if file.is_file():
                bundle.write(file, file.name)
    return path


class BugDialog(QDialog):
    """Says that we made a mistake; the program goes on."""

    def __init__(
        self, crash: Crash | None, files: tuple[Path, ...], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Report a problem" if crash is None else "Something went wrong")
        self.resize(680, 440)
        self._files = files
        self.report = report_text(crash)
        said = QLabel(
            "Save the report and send it to us, with a sentence on what you did. It holds "
            "versions, the log and your settings, but no images."
            if crash is None
            else f"This is a bug in CellSeg, not your fault: {crash.summary}\n"
            "The program goes on. Please send us the report below."
        )
        said.setWordWrap(True)
        self.text = QPlainTextEdit(self.report)
        self.text.setReadOnly(True)
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.text.setAccessibleName("Report")
        self.text.setToolTip("What goes into the report")
        self.text.setTabChangesFocus(True)
        self.said = QLabel()
        self.said.setProperty("role", "hint")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        copy = buttons.addButton("Copy", QDialogButtonBox.ButtonRole.ActionRole)
        save = buttons.addButton("Save report…", QDialogButtonBox.ButtonRole.ActionRole)
        copy.setToolTip("Copy the report to the clipboard")
        save.setToolTip("Save report, log and settings as one zip file")
        copy.clicked.connect(self._on_q_copy)
        save.clicked.connect(self._on_q_save)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        for widget in (said, self.text, self.said, buttons):
            column.addWidget(widget)

    def _on_q_copy(self) -> None:
        QGuiApplication.clipboard().setText(self.report)
        self.said.setText("Copied.")

    def _on_q_save(self) -> None:
        name = f"cellseg-report-{datetime.now():%Y-%m-%d-%H-%M}.zip"
        chosen, _ = QFileDialog.getSaveFileName(self, "Save report", name, "Zip file (*.zip)")
        if not chosen:
            return
        try:
            save_bundle(Path(chosen), report=self.report, files=self._files)
        except UserError as error:
            self.said.setText(str(error))
        else:
            self.said.setText(f"Saved as {chosen}")


def _version_line(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package}: not known"
