"""Waiting for a job of which the next step depends, with its progress, and a way to cancel it."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEventLoop, Qt, QTimer
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLabel, QProgressBar, QVBoxLayout, QWidget

from cellseg_app.core.progress import Progress
from cellseg_app.ui.panels.progress_panel import progress_sentence
from cellseg_app.workers.lane import JobHandle

# What is done sooner needs no dialog that flashes up.
_PATIENCE_MS: Final = 400
_STEPS: Final = 1000


class WaitingDialog(QDialog):
    """Progress of one job."""

    def __init__(self, handle: JobHandle, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(handle.title)
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.stage = QLabel(f"{handle.title}…")
        self.bar = QProgressBar()
        self.bar.setRange(0, 0)
        self.bar.setTextVisible(False)
        self.bar.setMinimumWidth(360)
        self.bar.setAccessibleName(handle.title)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        buttons.rejected.connect(handle.cancel)
        self.rejected.connect(handle.cancel)
        column = QVBoxLayout(self)
        for widget in (self.stage, self.bar, buttons):
            column.addWidget(widget)
        handle.progressed.connect(self._on_progressed)

    def _on_progressed(self, report: Progress) -> None:
        self.stage.setText(progress_sentence(report))
        if report.total > 0:
            self.bar.setRange(0, _STEPS)
            self.bar.setValue(round(_STEPS * report.done / report.total))


def wait_for(handle: JobHandle, parent: QWidget) -> object:
    """Let the window run until a job has ended; returns what it gave, or None."""
    found: list[object] = []
    loop, patience = QEventLoop(), QTimer(singleShot=True, interval=_PATIENCE_MS)
    dialog = WaitingDialog(handle, parent)
    patience.timeout.connect(dialog.open)
    handle.finished.connect(found.append)
    handle.ended.connect(loop.quit)
    patience.start()
    loop.exec()
    patience.stop()
    dialog.hide()
    dialog.deleteLater()
    return found[0] if found else None
