"""Table, plots and filters: by label id, with 50,000 cells."""

from __future__ import annotations

import time
from collections.abc import Callable
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
from cellseg_app.ui.cells import Cells, RangeFilter
from cellseg_app.ui.panels.table_model import CellTableModel
from cellseg_app.ui.panels.table_panel import TablePanel
from cellseg_app.ui.plots.export import save_plot
from cellseg_app.ui.plots.kinds import ImageCells
from cellseg_app.ui.plots.plot import Plot
from cellseg_app.ui.plots.plot_panel import PlotPanel
from cellseg_app.ui.theme import Appearance
from cellseg_app.ui.turns import Turns
from tests.gui.ui.conftest import many_cells


def test_sorting_keeps_rows_together(cells: Cells) -> None:
    model = CellTableModel(cells)
    column = model.columns.index("volume_um3")
    for order in (Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder):
        model.sort(column, order)
        labels = [model.label_at(row) for row in range(model.rowCount())]
        wanted = frame_of(cells.table).sort_values(
            "volume_um3", ascending=order == Qt.SortOrder.AscendingOrder
        )["label"]
        assert labels == wanted.tolist()
        assert model.row_of(labels[17]) == 17


def test_a_row_is_known_by_its_label(cells: Cells, qtbot: QtBot) -> None:
    panel = TablePanel(cells, ())
    qtbot.addWidget(panel)
    chosen: list[object] = []
    cells.chosen_changed.connect(chosen.append)
    panel.view.sortByColumn(2, Qt.SortOrder.DescendingOrder)
    panel.view.selectRow(4)
    assert chosen[-1] == (panel.model.label_at(4),)
    label = panel.model.label_at(100)
    cells.choose(label)
    assert panel.view.currentIndex().row() == 100
    panel.view.sortByColumn(1, Qt.SortOrder.AscendingOrder)
    assert panel.model.label_at(panel.view.currentIndex().row()) == label


def test_several_rows_are_several_cells(cells: Cells, qtbot: QtBot) -> None:
    panel = TablePanel(cells, ())
    qtbot.addWidget(panel)
    panel.resize(700, 300)
    panel.show()
    shown: list[int] = []
    cells.looked_at.connect(shown.append)

    def click(row: int, held: Qt.KeyboardModifier) -> None:
        place = panel.view.visualRect(panel.model.index(row, 1)).center()
        QTest.mouseClick(panel.view.viewport(), Qt.MouseButton.LeftButton, held, place)

    click(1, Qt.KeyboardModifier.NoModifier)
    click(3, Qt.KeyboardModifier.ControlModifier)
    ids = [panel.model.label_at(row) for row in range(6)]
    assert set(cells.chosen) == {ids[1], ids[3]}
    assert shown == [ids[1]], "the view stays where it is while more are chosen"
    click(1, Qt.KeyboardModifier.ControlModifier)
    assert cells.chosen == (ids[3],)
    cells.toggle(ids[5])
    assert _selected_rows(panel) == {3, 5}
    panel.view.sortByColumn(2, Qt.SortOrder.DescendingOrder)
    assert {panel.model.label_at(row) for row in _selected_rows(panel)} == {ids[3], ids[5]}
    assert cells.chosen == (ids[3], ids[5])
    cells.choose(None)
    assert not _selected_rows(panel)


def test_all_of_a_million_rows_can_be_chosen_and_sorted(qtbot: QtBot) -> None:
    cells = Cells()
    panel = TablePanel(cells, ())
    qtbot.addWidget(panel)
    panel.show()
    cells.set_table(many_cells(1_000_000))
    for action in (
        panel.view.selectAll,
        lambda: panel.view.sortByColumn(2, Qt.SortOrder.DescendingOrder),
    ):
        begin = time.thread_time()
        action()
        assert time.thread_time() - begin < 0.4
    # As many as can be corrected at once; the bar says so.
    assert len(cells.chosen) == 100_000
    assert "100,000 chosen" in panel.count_label.text()


def _selected_rows(panel: TablePanel) -> set[int]:
    return {index.row() for index in panel.view.selectionModel().selectedRows()}


def test_filters_narrow_table_and_say_so(cells: Cells, qtbot: QtBot) -> None:
    panel = TablePanel(cells, ())
    qtbot.addWidget(panel)
    cells.add_filter(RangeFilter("n_voxels", 100, np.inf))
    cells.add_filter(RangeFilter("volume_um3", -np.inf, 200))
    wanted = frame_of(cells.table).query("n_voxels >= 100 and volume_um3 <= 200")
    assert panel.model.rowCount() == len(wanted)
    assert f"{len(wanted)} of 300" in panel.count_label.text()
    cells.add_filter(RangeFilter("n_voxels", 0, np.inf))
    assert len(cells.filters) == 2, "one filter per column"


def test_cells_without_a_value_do_not_pass_a_filter() -> None:
    table = many_cells(10)
    table.loc[3, "intensity_mean"] = np.nan
    cells = Cells()
    cells.set_table(table)
    cells.add_filter(RangeFilter("intensity_mean", -np.inf, np.inf))
    assert cells.kept.sum() == 9


def test_fifty_thousand_cells_without_delay(qtbot: QtBot) -> None:
    cells = Cells()
    panel = TablePanel(cells, ())
    qtbot.addWidget(panel)
    panel.show()
    table = many_cells(50_000)
    for action in (
        lambda: cells.set_table(table),
        lambda: panel.view.sortByColumn(2, Qt.SortOrder.DescendingOrder),
        lambda: cells.add_filter(RangeFilter("n_voxels", 100, 400)),
        lambda: cells.choose(int(cells.kept_labels[1234])),
    ):
        begin = time.process_time()
        action()
        # Twice what the eye notices, for a busy machine; process time, so others do not count.
        assert time.process_time() - begin < 0.4


def test_a_million_cells_are_sorted_while_the_window_lives(qtbot: QtBot) -> None:
    cells = Cells()
    panel = TablePanel(cells, ())
    qtbot.addWidget(panel)
    panel.show()
    table = many_cells(1_000_000)
    column = list(table.columns).index("intensity_mean")
    order = np.argsort(-table["intensity_mean"].to_numpy(), kind="stable")

    def alone(action: Callable[[], object]) -> None:
        """Work of the window's own thread; sorting and filtering are done by another."""
        begin = time.thread_time()
        action()
        assert time.thread_time() - begin < 0.1

    for action in (
        lambda: cells.set_table(table),
        lambda: panel.view.sortByColumn(column, Qt.SortOrder.DescendingOrder),
        lambda: cells.add_filter(RangeFilter("n_voxels", 100, 400)),
    ):
        alone(action)
    kept = order[cells.kept[order]]
    model = panel.model
    ids = table["label"].to_numpy()
    qtbot.waitUntil(lambda: model.label_at(0) == ids[kept[0]], timeout=20_000)
    assert [model.label_at(row) for row in (0, 1, 1000, len(kept) - 1)] == ids[
        kept[[0, 1, 1000, -1]]
    ].tolist()
    for row in (700, 90_000):
        alone(lambda row=row: cells.choose(int(ids[kept[row]])))  # type: ignore[misc]
        assert model.rows_of(cells.chosen).tolist() == [row]
        assert panel.view.currentIndex().row() == row
    alone(lambda: cells.set_filters(()))
    qtbot.waitUntil(lambda: model.label_at(5) == ids[order[5]], timeout=20_000)
    assert model.rows_of(cells.chosen).tolist() == [np.flatnonzero(order == kept[90_000])[0]]


def test_choosing_an_unknown_or_background_label_chooses_none(cells: Cells) -> None:
    cells.choose(int(frame_of(cells.table)["label"].iloc[0]))
    cells.choose(0)
    assert cells.chosen == ()


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
