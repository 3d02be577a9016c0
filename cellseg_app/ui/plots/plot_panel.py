"""The plots as tabs of one panel."""

from __future__ import annotations

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QTabWidget

from cellseg_app.ui.cells import Cells, numeric_columns
from cellseg_app.ui.panels.empty_state import EmptyState, Panel
from cellseg_app.ui.plots.kinds import Comparison, DepthProfile, Histogram, Scatter
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
        self.tabs.currentChanged.connect(self._draw)
        # Table and viewer follow a filter at once; of very many cells both would be felt.
        self._soon = QTimer(self, singleShot=True, interval=0)
        self._soon.timeout.connect(self._draw)
        cells.table_changed.connect(self._on_table_changed)
        cells.filters_changed.connect(self._soon.start)

    def _on_table_changed(self) -> None:
        columns = numeric_columns(self._cells.table)
        size = "volume_um3" if "volume_um3" in columns else "n_voxels"
        self.histogram.offer(columns, [size])
        self.scatter.offer(columns, [size, "intensity_mean"])
        self.profile.offer(columns, [size])
        self.comparison.offer(columns, [size])
        self.set_filled(len(self._cells.table) > 0)
        self._draw()

    def _draw(self) -> None:
        current = self.tabs.currentWidget()
        if isinstance(current, Plot) and len(self._cells.table):
            current.draw()
