"""The table of cells: sorting, filtering, choosing, many rows."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from cellseg_app.core.cell_columns import frame_of
from cellseg_app.ui.cells import Cells, RangeFilter
from cellseg_app.ui.panels.table_model import CellTableModel
from cellseg_app.ui.panels.table_panel import TablePanel
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
