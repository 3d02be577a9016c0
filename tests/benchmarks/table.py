"""How long table and plots of very many cells keep the window waiting.

    python tests/benchmarks/table.py [--cells 1000000] [--parquet FILE]

Makes a table like that of a run, shows it in the real panels, and sorts, filters, plots, colours
and chooses. For each: the time until it is seen, the longest time between two turns of the event
loop meanwhile, and the most that the window's own thread computed in one, which does not depend on
other programs. Then the table is written and read, as CSV and, with pyarrow, as Parquet.
`--parquet` shows the table from that file, as runs write beyond a million cells; the first call
only writes it, so that the process that is measured never held the whole table.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
import pandas as pd
import psutil
from PySide6.QtCore import QEventLoop, Qt, QTimer
from PySide6.QtWidgets import QApplication

from cellseg_app.core.cell_columns import CellColumns, FrameColumns
from cellseg_app.io.table import open_table, read_table, write_table
from cellseg_app.ui.cells import Cells, RangeFilter, values_of
from cellseg_app.ui.latest import MANY_ROWS, Latest
from cellseg_app.ui.panels.table_panel import TablePanel
from cellseg_app.ui.plots.plot_panel import PlotPanel
from cellseg_app.ui.theme import Appearance
from cellseg_app.viewers.colors import LabelColors, colors_by_value


def many_cells(n: int) -> pd.DataFrame:
    """A table of random cells with the columns of a run."""
    rng = np.random.default_rng(0)
    columns: dict[str, np.ndarray] = {
        "label": np.arange(1, n + 1),
        "n_voxels": rng.lognormal(6, 0.4, n).astype(np.int64),
    }
    columns["volume_um3"] = columns["n_voxels"] * 2.0
    for unit in ("voxel", "um"):
        columns |= {f"centroid_{axis}_{unit}": rng.uniform(0, 4000, n) for axis in "zyx"}
    for axis in "zyx":
        low = rng.integers(0, 4000, n)
        columns |= {f"bbox_{axis}_min": low, f"bbox_{axis}_max": low + 12}
    for name in (
        "axis_major_um", "axis_middle_um", "axis_minor_um", "sphericity_axes", "surface_um2",
        "sphericity_surface", "intensity_mean", "intensity_min", "intensity_max", "intensity_std",
        "mean_probability", "uncertainty",
    ):  # fmt: skip
        columns[name] = rng.gamma(4, 2, n)
    columns["touches_border"] = rng.random(n) < 0.05
    return pd.DataFrame(columns)


class Stalls:
    """Longest time between two turns of the event loop while something is done, and most work."""

    def __init__(self) -> None:
        self._timer = QTimer(interval=1)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._on_turn)
        self._last = self.longest_s = self._last_own = self.own_s = 0.0

    def measure(self, name: str, act: Callable[[], object], seen: Callable[[], bool]) -> None:
        """Do something, wait until it is seen and the window is quiet, and say how long it took."""
        _rest(300)
        self.longest_s, self._last = 0.0, time.perf_counter()
        self.own_s, self._last_own = 0.0, time.thread_time()
        self._timer.start()
        begin = time.perf_counter()
        QTimer.singleShot(0, act)
        _rest(5)
        while not seen():
            _rest(2)
        took = time.perf_counter() - begin
        _rest(300)
        self._timer.stop()
        print(
            f"{name:<28} {1000 * took:6.0f} ms, longest stall {1000 * self.longest_s:6.1f} ms, "
            f"of own work {1000 * self.own_s:6.1f} ms",
            flush=True,
        )

    def _on_turn(self) -> None:
        now, own = time.perf_counter(), time.thread_time()
        self.longest_s = max(self.longest_s, now - self._last)
        self.own_s = max(self.own_s, own - self._last_own)
        self._last, self._last_own = now, own


def _rest(milliseconds: int) -> None:
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=1_000_000)
    parser.add_argument("--parquet", type=Path, metavar="FILE.parquet")
    arguments = parser.parse_args()
    path = arguments.parquet
    if path is None:
        table = many_cells(arguments.cells)
        _show(FrameColumns(table))
        _files(table)
    elif path.exists():
        _show(path)
    else:
        write_table(path, many_cells(arguments.cells))


def _show(source: CellColumns | Path) -> None:
    application = QApplication([])
    cells = Cells()
    panel, plots = TablePanel(cells, ()), PlotPanel(cells, Appearance(application, "light"))
    for widget in (panel, plots):
        widget.resize(900, 300)
        widget.show()
    memory = psutil.Process().memory_info
    before = memory().rss
    begin = time.perf_counter()
    table = open_table(source) if isinstance(source, Path) else source
    print(f"opened in {1000 * (time.perf_counter() - begin):.0f} ms")
    n = len(table)
    stalls, model = Stalls(), panel.model
    print(f"{n:,} cells, {len(table.names)} columns")
    stalls.measure("idle", lambda: None, lambda: True)
    stalls.measure("show", lambda: cells.set_table(table), lambda: model.rowCount() == n)
    column = table.names.index("intensity_mean")
    stalls.measure(
        "scroll far down",
        lambda: panel.view.scrollToBottom(),
        lambda: model.data(model.index(n - 1, 0)) != "…",
    )
    greatest = int(table.labels[table.column("intensity_mean").argmax()])
    stalls.measure(
        "sort by a column",
        lambda: panel.view.sortByColumn(column, Qt.SortOrder.DescendingOrder),
        lambda: model.label_at(0) == greatest and model.data(model.index(0, 0)) != "…",
    )
    few, middle = RangeFilter("n_voxels", 0, 200), int(table.labels[n // 2])
    for name, one in (("filter", RangeFilter("n_voxels", 300, 500)), ("filter most away", few)):
        stalls.measure(name, lambda f=one: cells.add_filter(f), lambda: model.rowCount() < n)
        stalls.measure(
            f"{name}, and back", lambda: cells.set_filters(()), lambda: model.rowCount() == n
        )
    stalls.measure("choose a cell", lambda: cells.choose(middle), lambda: cells.chosen == (middle,))
    many = table.labels[:: max(1, n // 1000)]
    stalls.measure(
        f"choose {len(many):,} cells",
        lambda: cells.choose_all(many),
        lambda: len(cells.chosen) == len(many),
    )
    stalls.measure("choose none", lambda: cells.choose(None), lambda: not cells.chosen)
    for number, name in enumerate(("histogram", "scatter", "depth profile")):
        plots.tabs.setCurrentIndex(3)
        stalls.measure(name, lambda k=number: plots.tabs.setCurrentIndex(k), lambda: True)
        stalls.measure(
            f"{name}, filtered",
            lambda: cells.add_filter(RangeFilter("n_voxels", 300, 500)),
            lambda: model.rowCount() < n,
        )
        cells.set_filters(())
    plots.tabs.setCurrentIndex(3)
    colors: list[LabelColors] = []
    coloring = Latest()
    stalls.measure(
        "colours by a column",
        lambda: coloring.ask(
            lambda: colors_by_value(values_of(table, "intensity_mean"), "viridis"),
            colors.append,
            at_once=n <= MANY_ROWS,
        ),
        lambda: bool(colors),
    )
    print(f"memory beyond what was there before: {(memory().rss - before) / 1e6:.0f} MB")


def _files(table: pd.DataFrame) -> None:
    suffixes = [".csv"]
    try:
        import pyarrow  # noqa: F401

        suffixes.append(".parquet")
    except ImportError:
        pass
    with tempfile.TemporaryDirectory() as folder:
        for suffix in suffixes:
            path = Path(folder) / f"cells{suffix}"
            begin = time.perf_counter()
            write_table(path, table)
            written = time.perf_counter()
            read_table(path)
            read = time.perf_counter()
            print(
                f"{suffix}: written {written - begin:.1f} s, read {read - written:.1f} s, "
                f"{path.stat().st_size / 1e6:.0f} MB"
            )


if __name__ == "__main__":
    main()
