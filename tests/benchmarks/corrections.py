"""How long the window stands still while cells of a large result are corrected by hand.

    python -m tests.benchmarks.corrections [--tiles 2 5 4] [--gl] [folder]

It writes a volume with 37,000 cells and 340 MB of labels into the folder, as a run writes them,
opens it in the real window, and deletes, merges, splits, undoes and does again. For each edit:
the time until table and labels are shown, and until the overview is that of the new labels; the
longest time between two turns of the event loop; and the most that the window's own thread
computed in one, which does not depend on other programs. `--gl` also draws 3D: run it under a
display, such as `xvfb-run`.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

if "--gl" not in sys.argv:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from cellseg_app import bootstrap
from cellseg_app.analysis.measure import measure_cells, moved
from cellseg_app.core.settings import RunSettings
from cellseg_app.io.run_record import (
    RecordedChoices,
    RecordedFiles,
    RecordedInput,
    RecordedNetwork,
    RunRecord,
    write_record,
)
from cellseg_app.io.table import write_table
from cellseg_app.io.tiff_write import write_volume_tiff
from tests.benchmarks.viewer import Watchdog, wait
from tests.synthetic_cells import touching_ellipsoids

TILE = 128
N_TILE = 1000
SPACING = (2.0, 1.0, 1.0)
_PATIENCE_S = 600.0


def write_result(folder: Path, tiles: tuple[int, int, int]) -> Path:
    """A volume and the result of a run on it; made once. Returns the record."""
    record = folder / "corrections.json"
    if record.exists():
        return record
    tile = touching_ellipsoids((TILE,) * 3, N_TILE, radius=(4.0, 6.0))
    n = int(tile.max())
    of_tile = measure_cells(tile, spacing_um_zyx=SPACING).cells
    noise = np.random.default_rng(0).integers(0, 200, tile.shape, np.uint16)
    labels = np.zeros(np.multiply(tiles, TILE), np.uint32)
    image = np.zeros(labels.shape, np.uint16)
    tables = []
    for number, place in enumerate(itertools.product(*map(range, tiles))):
        start = [TILE * k for k in place]
        box = tuple(slice(k, k + TILE) for k in start)
        labels[box] = np.where(tile > 0, tile + number * n, 0)
        image[box] = noise + 1500 * (tile > 0).astype(np.uint16)
        own = moved(of_tile, (start[0], start[1], start[2]), SPACING)
        own["label"] += number * n
        tables.append(own)
    table = pd.concat(tables, ignore_index=True)
    write_volume_tiff(folder / "image.tif", image, spacing_um_zyx=SPACING)
    write_volume_tiff(folder / "labels.tif", labels, spacing_um_zyx=SPACING, kind="labels")
    write_table(folder / "cells.csv", table)
    z, y, x = labels.shape
    now = datetime.now().astimezone()
    write_record(
        record,
        RunRecord(
            versions={},
            started=now,
            finished=now,
            settings=RunSettings(),
            input=RecordedInput(
                path=str(folder / "image.tif"),
                shape_zyx=(z, y, x),
                dtype="uint16",
                spacing_um_zyx=SPACING,
            ),
            network=RecordedNetwork(name="none", weights_sha256=""),
            used=RecordedChoices(device="cpu", precision="float32", foreground_class=0),
            n_cells=len(table),
            files=RecordedFiles(labels="labels.tif", table="cells.csv"),
        ),
    )
    return record


class Corrector:
    """Corrects cells in the window, and watches it."""

    def __init__(self, record: Path, work: Path) -> None:
        bootstrap.prepare()
        from cellseg_app.app import make_application, make_window

        self.app = make_application()
        bootstrap.load_engine_libraries()
        self.window = make_window(self.app, work / "window.json")
        self.window.resize(1280, 800)
        self.window.show()
        self.cells = self.window.desk.cells
        self.dog = Watchdog()
        wait(1000)
        self.window.load_engine()
        self.until(lambda: not self.window.desk.lanes.engine.busy)
        self.window.open_paths([record])
        self.until(lambda: len(self.cells.table) > 0)
        self.window.docks["table"].raise_()
        self.until(lambda: self.is_surveyed)
        wait(2000)

    @property
    def is_quiet(self) -> bool:
        desk = self.window.desk
        return not desk.lanes.edits.busy and not desk.turns._waiting

    @property
    def is_surveyed(self) -> bool:
        viewer = self.window.viewer
        overviews = viewer.reader.overviews
        found = [overviews.get((layer.key, 0)) for layer in viewer.layers]
        return all(
            own is not None and own.layer is layer
            for own, layer in zip(found, viewer.layers, strict=True)
        )

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.perf_counter() + _PATIENCE_S
        while not condition():
            if time.perf_counter() > end:
                raise TimeoutError
            wait(2)

    def time(self, name: str, act: Callable[[], object]) -> None:
        """Do something, wait until it is seen everywhere, and say how long it took."""
        with self.dog.watch():
            start = time.perf_counter()
            act()
            wait(5)
            self.until(lambda: self.is_quiet)
            shown = time.perf_counter() - start
            self.until(lambda: self.is_surveyed)
            surveyed = time.perf_counter() - start
            wait(1000)
        print(
            f"{name:<28} shown {1000 * shown:6.0f} ms, overview {1000 * surveyed:6.0f} ms; "
            f"longest turn {self.dog.text()}",
            flush=True,
        )

    def measure(self) -> None:
        corrections, ids = self.window.corrections, self.cells.table.labels
        n = len(ids)

        def choose(*places: int) -> None:
            labels = ids[list(places)]
            name = "choose a cell" if len(places) == 1 else f"choose {len(places):,} cells"
            self.time(name, lambda: self.cells.choose_all(labels))

        self.time("idle, for comparison", lambda: None)
        choose(n // 100)
        self.time("delete it (first edit)", corrections.delete)
        for place in (n // 10, n // 5):
            choose(place)
            self.time("delete it", corrections.delete)
        choose(n // 4, n // 4 + 1)
        self.time("merge them", corrections.merge)
        choose(n // 3)
        self.time("split it", corrections.split)
        self.time("undo", corrections.undo)
        self.time("redo", corrections.redo)
        choose(*np.linspace(n // 2, n - 1, min(1000, n // 3)).astype(int).tolist())
        self.time("delete them", corrections.delete)
        self.time("undo", corrections.undo)
        self.time("redo", corrections.redo)
        corrections.discard()
        wait(500)
        self.window.close()
        bootstrap.finish()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--tiles", type=int, nargs=3, default=(2, 5, 4))
    for flag in ("--gl", "--write"):
        parser.add_argument(flag, action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        os.environ["CELLSEG_DATA"] = name
        record = write_result(options.folder or work, tuple(options.tiles))
        if not options.write:
            Corrector(record, work).measure()


if __name__ == "__main__":
    main()
