"""The plots as tabs of one panel."""

from __future__ import annotations

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QTabWidget

from cellseg_app.ui.cells import Cells
from cellseg_app.ui.panels.empty_state import EmptyState, Panel
from cellseg_app.ui.plots.comparison import Comparison
from cellseg_app.ui.plots.kinds import DepthProfile, Histogram, Scatter
from cellseg_app.ui.plots.plot import Plot
from cellseg_app.ui.theme import Appearance


class PlotPanel(Panel):
    """The plots as tabs; only the visible one is drawn."""

    failed = Signal(object)

    def __init__(self, cells: Cells, appearance: Appearance) -> None:
        self.tabs = QTabWidget()
        super().__init__(
            EmptyState(
                "Nothing to plot yet", "Run a volume: its measurements can be plotted here."
            ),
            self.tabs,
        )
        self._cells = cells
        self.histogram = Histogram(cells, appearance)
        self.scatter = Scatter(cells, appearance)
        self.profile = DepthProfile(cells, appearance)
        self.comparison = Comparison(cells, appearance)
        for title, plot in (
            ("Histogram", self.histogram),
            ("Scatter", self.scatter),
            ("Depth profile", self.profile),
            ("Images compared", self.comparison),
        ):
            self.tabs.addTab(plot, title)
            plot.failed.connect(self.failed)
        self._offered: list[str] = []
        self.tabs.currentChanged.connect(self._draw)
        # Table and viewer follow at once; plots drawn in the same turn would be felt.
        self._soon = QTimer(self, singleShot=True, interval=0)
        self._soon.timeout.connect(self._draw)
        self._is_stale = False
        cells.table_changed.connect(self._on_changed)
        cells.filters_changed.connect(self._on_changed)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Ask for the plots that nobody looked at until now."""
        super().paintEvent(event)
        # Behind another tab, Qt calls a dock visible but never paints it.
        if self._is_stale:
            self._soon.start()

    def _on_changed(self) -> None:
        self._is_stale = True
        self.update()

    def _draw(self) -> None:
        self._is_stale = False
        self.set_filled(len(self._cells.table) > 0)
        current = self.tabs.currentWidget()
        if isinstance(current, Plot) and len(self._cells.table):
            self._offer(self._cells.numeric_columns)
            current.draw()

    def _offer(self, columns: list[str]) -> None:
        if columns == self._offered:
            return
        self._offered = columns
        size = "volume_um3" if "volume_um3" in columns else "n_voxels"
        self.histogram.offer(columns, [size])
        self.scatter.offer(columns, [size, "intensity_mean"])
        self.profile.offer(columns, [size])
        self.comparison.offer(columns, [size])
