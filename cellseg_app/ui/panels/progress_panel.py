"""How a run goes: stage, windows, time per window, time left, for the volume and the batch."""

from __future__ import annotations

import html

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QGridLayout,
    QLabel,
    QProgressBar,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from cellseg_app.core.progress import Progress
from cellseg_app.state.run_share import RunShare
from cellseg_app.ui.panels.empty_state import EmptyState, Panel

_BAR_STEPS = 1000
_BAR_WIDTH = 220


class ProgressPanel(Panel):
    """Three bars and what they mean: the stage, the volume, the batch."""

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
        font = self.title.font()
        font.setBold(True)
        self.title.setFont(font)
        self._rows = QWidget()
        self._grid = QGridLayout(self._rows)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setColumnStretch(2, 1)
        self.stage_bar, self.stage = self._row("Progress of the stage")
        self.volume_bar, self.volume = self._row("Progress of the volume")
        self.batch_bar, self.batch = self._row("Progress of the batch")
        self.estimate = QLabel()
        self.estimate.setWordWrap(True)
        self.estimate.setProperty("role", "hint")
        self.cluster = QLabel()
        self.cluster.setTextFormat(Qt.TextFormat.RichText)
        self.cluster.setOpenExternalLinks(True)
        self.cluster.setAccessibleName("Cluster")
        self.cluster.setToolTip("Who computes the run")
        self.cluster.hide()
        column = QVBoxLayout(content)
        column.setContentsMargins(10, 6, 10, 6)
        column.addWidget(self.title)
        column.addWidget(self._rows)
        column.addWidget(self.cluster)
        column.addWidget(self.estimate)
        column.addStretch(1)
        self._took_s = 0.0

    def begin(self, title: str, *, total: int = 1) -> None:
        """Show that something starts."""
        self.set_filled(True)
        self.title.setText(title)
        self.estimate.setText("")
        self.cluster.hide()
        self.stage.setText("Starting…")
        self.stage_bar.set_fraction(None)
        self._rows.show()
        for widget in (self.batch, self.batch_bar, self.batch_bar.percent):
            widget.setVisible(total > 1)
        self.show_share("", RunShare(total))

    def show_progress(self, report: Progress) -> None:
        """Show how far the stage is."""
        self.stage.setText(progress_sentence(report))
        self.stage_bar.set_fraction(report.done / report.total if report.total > 0 else None)

    def show_share(self, name: str, share: RunShare) -> None:
        """Show how far the volume is, and the batch."""
        self.volume.setText(name)
        self.volume_bar.set_fraction(share.volume)
        said = f"{share.done:,} of {share.total:,} volumes done"
        if share.remaining_s is not None:
            said = f"{said}, about {duration(share.remaining_s)} left"
        self.batch.setText(said)
        self.batch_bar.set_fraction(share.batch)
        self._took_s = share.elapsed_s

    def show_cluster(self, n_workers: int, dashboard: str) -> None:
        """Show that Dask workers compute, and where they can be watched."""
        noun = "Dask worker does" if n_workers == 1 else "Dask workers share"
        address = html.escape(dashboard, quote=True)
        link = f' <a href="{address}">Dashboard {address}</a>' if dashboard else ""
        self.cluster.setText(f"{n_workers:,} {noun} the work.{link}")
        self.cluster.show()

    def say(self, sentence: str) -> None:
        """Show the latest sentence of the engine."""
        self.estimate.setText(sentence)

    def end(self, sentence: str) -> None:
        """Show how it ended; stays until the next begins."""
        self.set_filled(True)
        self.title.setText(sentence)
        self.stage.setText("")
        self.cluster.hide()
        self._rows.hide()
        self.estimate.setText(f"It took {duration(self._took_s)}." if self._took_s > 1 else "")

    def _row(self, name: str) -> tuple[_Bar, QLabel]:
        bar, label = _Bar(name), QLabel()
        row = self._grid.rowCount()
        self._grid.addWidget(bar, row, 0)
        self._grid.addWidget(bar.percent, row, 1)
        self._grid.addWidget(label, row, 2)
        # A long name must not make the window wider.
        label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        return bar, label


class _Bar(QProgressBar):
    """A bar with its percentage beside it."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setTextVisible(False)
        self.setFixedSize(_BAR_WIDTH, 12)
        self.setAccessibleName(name)
        self.setToolTip(name)
        self.percent = QLabel()
        self.percent.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.percent.setFixedWidth(self.percent.fontMetrics().horizontalAdvance("100 %"))

    def set_fraction(self, fraction: float | None) -> None:
        """Show a fraction, or that it is not known."""
        if fraction is None:
            self.setRange(0, 0)
            self.percent.setText("")
            return
        # A bar paints the whole window at once, instead of with the other changes of the turn.
        self.setUpdatesEnabled(False)
        self.setRange(0, _BAR_STEPS)
        self.setValue(round(_BAR_STEPS * fraction))
        self.setUpdatesEnabled(True)
        self.percent.setText(f"{fraction:.0%}")


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
