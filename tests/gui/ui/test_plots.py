"""Plots of the cells: drawn when seen, filtering by a range, saving."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyqtgraph as pg
import pytest
from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QDockWidget, QLabel, QMainWindow
from pytestqt.qtbot import QtBot

from cellseg_app.core.cell_columns import FrameColumns, frame_of
from cellseg_app.core.errors import SettingsError
from cellseg_app.ui.cells import Cells
from cellseg_app.ui.plots.comparison import ImageCells
from cellseg_app.ui.plots.export import save_plot
from cellseg_app.ui.plots.plot import Plot
from cellseg_app.ui.plots.plot_panel import PlotPanel
from cellseg_app.ui.theme import Appearance
from cellseg_app.ui.turns import Turns
from tests.gui.ui.conftest import many_cells


@pytest.fixture
def plots(cells: Cells, appearance: Appearance, qtbot: QtBot) -> PlotPanel:
    panel = PlotPanel(cells, appearance)
    qtbot.addWidget(panel)
    panel.resize(500, 300)
    panel.show()
    cells.set_table(cells.table)
    qtbot.waitUntil(lambda: bool(bars(panel.histogram)))
    return panel


def bars(plot: Plot) -> list[object]:
    return [item for item in plot.figure.plotItem.items if isinstance(item, pg.BarGraphItem)]


def test_plots_that_nobody_sees_are_drawn_when_somebody_looks(
    cells: Cells, appearance: Appearance, qtbot: QtBot
) -> None:
    window = QMainWindow()
    qtbot.addWidget(window)
    panel = PlotPanel(cells, appearance)
    docks = [QDockWidget(title, window) for title in ("Cells", "Plots")]
    for dock, content in zip(docks, (QLabel("a table"), panel), strict=True):
        dock.setWidget(content)
        window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, dock)
    window.tabifyDockWidget(*docks)
    docks[0].raise_()
    window.show()
    qtbot.waitExposed(window)
    qtbot.wait(50)
    cells.set_table(many_cells(40))
    qtbot.wait(50)
    assert not bars(panel.histogram), "what is behind another tab costs a new result no time"
    docks[1].raise_()
    qtbot.waitUntil(lambda: bool(bars(panel.histogram)))


def test_work_in_pieces_lets_the_event_loop_turn_between_them(qtbot: QtBot) -> None:
    turns, done = Turns(), []
    turns.later("table", lambda: done.append("old table"))
    turns.later("slices", lambda: done.append("slices"))
    turns.later("table", lambda: done.append("table"))
    seen: list[list[str]] = []
    watch = QTimer(interval=0)
    watch.timeout.connect(lambda: seen.append(list(done)))
    watch.start()
    qtbot.waitUntil(lambda: len(done) == 2)
    watch.stop()
    assert done == ["slices", "table"], "newer work replaces older of its kind"
    assert ["slices"] in seen, "others had a turn between the two"
    turns.later("table", lambda: done.append("of another volume"))
    turns.forget()
    qtbot.wait(30)
    assert len(done) == 2


def test_a_range_on_the_histogram_becomes_a_filter(plots: PlotPanel, cells: Cells) -> None:
    plots.histogram.region.setRegion((50.0, 100.0))
    plots.histogram._on_q_keep()
    (only,) = cells.filters
    assert only.column == "volume_um3"
    assert (only.low, only.high) == (50.0, 100.0)


def test_a_rectangle_on_the_scatter_plot_becomes_two_filters(
    plots: PlotPanel, cells: Cells
) -> None:
    plots.tabs.setCurrentWidget(plots.scatter)
    table = frame_of(cells.table)
    plots.scatter.keep.click()
    assert cells.kept.all(), "the rectangle begins around all of them"
    plots.scatter.box.setPos((60.0, 450.0))
    plots.scatter.box.setSize((40.0, 100.0))
    plots.scatter.keep.click()
    wanted = table["volume_um3"].between(60, 100) & table["intensity_mean"].between(450, 550)
    assert 0 < wanted.sum() < len(table)
    np.testing.assert_array_equal(cells.kept, wanted)


def test_a_range_of_depths_becomes_a_filter(plots: PlotPanel, cells: Cells) -> None:
    plots.tabs.setCurrentWidget(plots.profile)
    plots.profile.region.setRegion((10.0, 30.0))
    plots.profile.keep.click()
    np.testing.assert_array_equal(
        cells.kept, frame_of(cells.table)["centroid_z_voxel"].between(10, 30)
    )


def test_a_range_on_the_comparison_becomes_a_filter(plots: PlotPanel, cells: Cells) -> None:
    plots.comparison.set_images(
        [ImageCells("a", cells.table), ImageCells("b", FrameColumns(many_cells(40)))]
    )
    plots.tabs.setCurrentWidget(plots.comparison)
    plots.comparison.region.setRegion((80.0, 120.0))
    plots.comparison.keep.click()
    np.testing.assert_array_equal(cells.kept, frame_of(cells.table)["volume_um3"].between(80, 120))


def test_the_handles_of_the_scatter_plot_are_dragged_with_the_mouse(
    plots: PlotPanel, cells: Cells, qtbot: QtBot
) -> None:
    plots.tabs.setCurrentWidget(plots.scatter)
    qtbot.wait(50)
    box, view = plots.scatter.box, plots.scatter.figure
    handle = box.handles[0]["item"]
    start = view.mapFromScene(handle.scenePos())
    before = box.size()
    QTest.mousePress(view.viewport(), Qt.MouseButton.LeftButton, pos=start)
    for n in range(1, 6):
        QTest.mouseMove(view.viewport(), start + QPoint(-12 * n, 8 * n))
        qtbot.wait(10)
    end = start + QPoint(-60, 40)
    QTest.mouseRelease(view.viewport(), Qt.MouseButton.LeftButton, pos=end)
    assert box.size()[0] < before[0]
    plots.scatter.keep.click()
    assert 0 < cells.kept.sum() < len(cells.table)


@pytest.mark.parametrize("tab", range(4))
@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_every_plot_is_saved_in_every_format(
    plots: PlotPanel, cells: Cells, tmp_path: Path, tab: int, suffix: str
) -> None:
    plots.comparison.set_images(
        [ImageCells("a", cells.table), ImageCells("b", FrameColumns(many_cells(40)))]
    )
    plots.tabs.setCurrentIndex(tab)
    plot = plots.tabs.currentWidget()
    target = save_plot(plot.figure, tmp_path / f"plot{suffix}")  # type: ignore[attr-defined]
    head = target.read_bytes()[:200]
    assert {".png": b"PNG", ".svg": b"<svg", ".pdf": b"%PDF"}[suffix] in head
    assert target.stat().st_size > 1500


def test_a_plot_is_not_saved_as_something_else(plots: PlotPanel, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"\.png"):
        save_plot(plots.histogram.figure, tmp_path / "plot.doc")
