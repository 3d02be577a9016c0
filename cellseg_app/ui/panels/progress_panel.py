"""How a run goes: stage, windows, time per window, time left, for the volume and the batch."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLabel, QProgressBar, QVBoxLayout, QWidget

from cellseg_app.core.progress import Progress
from cellseg_app.ui.panels.empty_state import EmptyState, Panel

_BAR_STEPS = 1000


class ProgressPanel(Panel):
    """Two bars and what they mean."""

    def __init__(self) -> None:
        content = QWidget()
        super().__init__(
            EmptyState(
                "Nothing is running",
                "Open a volume, then press Preview for the visible part or Start for everything.",
            ),
            content,
        )
        self.title = QLabel()
        self.stage = QLabel()
        self.stage_bar = _bar("Progress of the stage")
        self.batch = QLabel()
        self.batch_bar = _bar("Progress of the batch")
        self.estimate = QLabel()
        self.estimate.setWordWrap(True)
        self.estimate.setProperty("role", "hint")
        font = self.title.font()
        font.setBold(True)
        self.title.setFont(font)
        grid = QGridLayout()
        grid.setColumnStretch(1, 1)
        grid.addWidget(self.stage, 0, 0)
        grid.addWidget(self.stage_bar, 0, 1)
        grid.addWidget(self.batch, 1, 0)
        grid.addWidget(self.batch_bar, 1, 1)
        column = QVBoxLayout(content)
        column.setContentsMargins(10, 6, 10, 6)
        column.addWidget(self.title)
        column.addLayout(grid)
        column.addWidget(self.estimate)
        column.addStretch(1)

    def begin(self, title: str, *, total: int = 1) -> None:
        """Show that something starts."""
        self.set_filled(True)
        self.title.setText(title)
        self.estimate.setText("")
        self.stage.setText("Starting…")
        self.stage_bar.setRange(0, 0)
        self.batch.setVisible(total > 1)
        self.batch_bar.setVisible(total > 1)
        self.set_batch(0, total, 0.0)

    def show_progress(self, report: Progress) -> None:
        """Show how far the stage is."""
        self.stage.setText(progress_sentence(report))
        if report.total > 0:
            self.stage_bar.setRange(0, _BAR_STEPS)
            self.stage_bar.setValue(round(_BAR_STEPS * report.done / report.total))
        else:
            self.stage_bar.setRange(0, 0)

    def set_batch(self, done: int, total: int, fraction: float) -> None:
        """Show how far the batch is: volumes done, and the fraction of it all."""
        self.batch.setText(f"{done} of {total} volumes")
        self.batch_bar.setRange(0, _BAR_STEPS)
        self.batch_bar.setValue(round(_BAR_STEPS * fraction))

    def say(self, sentence: str) -> None:
        """Show the latest sentence of the engine."""
        self.estimate.setText(sentence)

    def end(self, sentence: str) -> None:
        """Show how it ended; stays until the next begins."""
        self.set_filled(True)
        self.title.setText(sentence)
        self.stage.setText("")
        self.stage_bar.setRange(0, _BAR_STEPS)
        self.stage_bar.setValue(self.stage_bar.maximum())
        self.batch.hide()
        self.batch_bar.hide()


def progress_sentence(report: Progress) -> str:
    """Stage, steps, speed and time left in one line."""
    is_network = report.stage == "network"
    unit = "windows" if is_network else "steps"
    parts = [f"{report.stage.capitalize()}: {report.done:,} of {report.total:,} {unit}"]
    if report.seconds_per_step is not None and is_network:
        parts.append(f"{report.seconds_per_step:.2g} s per window")
    if report.remaining_s is not None:
        parts.append(f"{duration(report.remaining_s)} left")
    if report.message:
        parts.append(report.message)
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """A time span for people."""
    if seconds < 90:
        return f"{max(0, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{seconds / 3600:.1f} h"


def _bar(name: str) -> QProgressBar:
    bar = QProgressBar()
    bar.setTextVisible(False)
    bar.setFixedHeight(12)
    bar.setAccessibleName(name)
    bar.setToolTip(name)
    bar.setRange(0, _BAR_STEPS)
    bar.setAlignment(Qt.AlignmentFlag.AlignCenter)
    return bar
