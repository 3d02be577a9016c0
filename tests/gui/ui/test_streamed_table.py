"""Table, filters and plots over a Parquet file show the same as over the table in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyqtgraph as pg
import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from cellseg_app.core.errors import InputError
from cellseg_app.io.table import open_table, write_table
from cellseg_app.ui.cells import Cells, RangeFilter
from cellseg_app.ui.panels.table_model import CellTableModel
from cellseg_app.ui.plots.plot_panel import PlotPanel
from cellseg_app.ui.theme import Appearance
from tests.gui.ui.conftest import many_cells

pytest.importorskip("pyarrow")
N = 120_000


@pytest.fixture
def table() -> pd.DataFrame:
    return many_cells(N)


@pytest.fixture
def path(table: pd.DataFrame, tmp_path: Path) -> Path:
    return write_table(tmp_path / "cells.parquet", table)


@pytest.fixture
def streamed(path: Path, qtbot: QtBot) -> Cells:
    cells = Cells()
    cells.set_table(open_table(path))
    return cells


def texts(model: CellTableModel, rows: range) -> list[list[str]]:
    return [[model.data(model.index(r, c)) for c in range(model.columnCount())] for r in rows]


def test_rows_appear_as_they_are_read_in_any_order(
    streamed: Cells, table: pd.DataFrame, qtbot: QtBot
) -> None:
    other = Cells()
    other.set_table(table)
    model, wanted = CellTableModel(streamed), CellTableModel(other)
    column, rows = model.columns.index("intensity_mean"), range(N - 300, N - 270)
    assert texts(model, rows)[0] == ["…"] * 8
    qtbot.waitUntil(lambda: texts(model, rows) == texts(wanted, rows), timeout=20_000)
    for one in (model, wanted):
        one.sort(column, Qt.SortOrder.DescendingOrder)
    highest = int(table["label"].iloc[table["intensity_mean"].argmax()])
    qtbot.waitUntil(lambda: model.label_at(0) == wanted.label_at(0) == highest, timeout=20_000)
    qtbot.waitUntil(lambda: texts(model, rows) == texts(wanted, rows), timeout=20_000)
    assert model.row_of(model.label_at(77_777)) == 77_777


def test_filters_hold_together_and_give_the_same_cells(
    streamed: Cells, table: pd.DataFrame, qtbot: QtBot
) -> None:
    with qtbot.waitSignal(streamed.filters_changed, timeout=20_000):
        streamed.add_filter(RangeFilter("volume_um3", 50, 100))
        streamed.add_filter(RangeFilter("intensity_mean", -np.inf, 500))
    wanted = table["volume_um3"].between(50, 100) & (table["intensity_mean"] <= 500)
    np.testing.assert_array_equal(streamed.kept, wanted)
    np.testing.assert_array_equal(streamed.kept_labels, table["label"][wanted])
    label = int(table["label"].iloc[4321])
    row = table.iloc[4321]
    middle = tuple(round(row[f"centroid_{axis}_voxel"]) for axis in "zyx")
    assert streamed.centroid_voxel(label) == middle


def test_plots_are_the_same(
    streamed: Cells, table: pd.DataFrame, appearance: Appearance, qtbot: QtBot
) -> None:
    other = Cells()
    panels = [PlotPanel(cells, appearance) for cells in (other, streamed)]
    for panel in panels:
        qtbot.addWidget(panel)
        panel.resize(500, 300)
        panel.show()
    other.set_table(table)
    streamed.set_table(streamed.table)
    qtbot.waitUntil(lambda: all(heights(panel) for panel in panels), timeout=20_000)
    assert heights(panels[0]) == heights(panels[1])
    assert sum(heights(panels[0])) == N
    for panel in panels:
        panel.tabs.setCurrentWidget(panel.scatter)
    qtbot.waitUntil(lambda: all(points(panel) for panel in panels), timeout=20_000)
    assert points(panels[0]) == points(panels[1])
    assert panels[1].scatter.note.text() == "12,000 of 120,000 cells are drawn"


def test_a_file_that_is_gone_is_said(streamed: Cells, path: Path, qtbot: QtBot) -> None:
    path.unlink()
    with qtbot.waitSignal(streamed.failed, timeout=20_000) as said:
        streamed.add_filter(RangeFilter("volume_um3", 50, 100))
    assert isinstance(said.args[0], InputError)
    assert streamed.filters == ()


def heights(panel: PlotPanel) -> list[int]:
    bars = [i for i in panel.histogram.figure.plotItem.items if isinstance(i, pg.BarGraphItem)]
    return [int(h) for h in bars[0].opts["height"]] if bars else []


def points(panel: PlotPanel) -> list[tuple[float, float]]:
    items = panel.scatter.figure.plotItem.items
    found = [i for i in items if isinstance(i, pg.ScatterPlotItem) and len(i.data)]
    return [(float(p["x"]), float(p["y"])) for p in found[0].data] if found else []
