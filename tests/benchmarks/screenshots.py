"""Photographs the window in every state a user meets.

    xvfb-run -a -s "-screen 0 1280x800x24" python tests/benchmarks/screenshots.py OUT
    QT_SCALE_FACTOR=2 xvfb-run -a -s "-screen 0 2560x1600x24" \
        python tests/benchmarks/screenshots.py OUT --theme dark

The volume is the sample unless `--volume` names another; the network is the default one unless
`--network` or `--weights` name others. Nothing of the user's own settings is read or changed.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

_PATIENCE_S = 1200.0
# Sections of the form that fit below each other.
_SECTION_GROUPS = (
    ("data", "network", "inference"),
    ("size", "threshold"),
    ("statistics", "output", "display"),
)


class Photographer:
    """Drives the window and saves pictures of it."""

    def __init__(self, out: Path, theme: str, work: Path) -> None:
        from cellseg_app.app import make_application, make_window

        out.mkdir(parents=True, exist_ok=True)
        self.app = make_application()
        self.window = make_window(self.app, work / "window.json")
        self.window.desk.appearance.choose(theme)  # type: ignore[arg-type]
        self.window.show()
        self.scale = round(self.window.devicePixelRatioF())
        self._out, self._mark = out, f"{theme}-{self.scale}x"
        self._number = 0

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Let the window run until something is so."""
        end = time.monotonic() + _PATIENCE_S
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(what)
            self.rest(0.02)

    def rest(self, seconds: float) -> None:
        """Let the window run for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.app.processEvents()
            time.sleep(0.005)

    def shoot(self, name: str, rest_s: float = 1.2) -> None:
        """Save a picture of the screen."""
        self.rest(rest_s)
        self._draw_3d()
        self._number += 1
        path = self._out / f"{self._number:02d}-{name}-{self._mark}.png"
        self.app.primaryScreen().grabWindow(0).save(str(path))
        print(path)

    def _draw_3d(self) -> None:
        """Complete the 3D picture: without a graphics card it is drawn band by band."""
        space = self.window.viewer.ortho.space
        if space.scene is not None:
            space.draw_whole()
            space.scene.widget.update()
            self.rest(0.1)

    def press(self, action: str) -> None:
        """Trigger an action."""
        self.window.actions_by_key[action].trigger()

    def set(self, *path: str, value: object) -> None:
        """Change a field of the form."""
        self.window.form_control.set_value(path, value)


def photograph(
    camera: Photographer, volume: Path | None, options: dict[str, str], work: Path
) -> None:
    """Go the whole way once: open, preview, run, tune, look at cells, export."""
    window = camera.window
    camera.shoot("first-start")
    for name, value in options.items():
        camera.set("run", "network", name, value=value)
    camera.set("output_folder", value=str(work / "results"))
    if volume is None:
        camera.press("open_sample")
    else:
        window.open_paths([volume])
    camera.until(lambda: window.scene.reading is not None, "the volume")
    camera.shoot("volume-open", 2.5)
    camera.press("preview")
    camera.until(lambda: not window.runs.is_running, "the preview")
    camera.shoot("preview")
    camera.press("start")
    camera.until(
        lambda: (
            window.progress.stage.text().startswith("Network")
            and window.progress.stage_bar.value() > 300
        ),
        "windows of the network",
    )
    camera.shoot("running", 0.2)
    camera.until(lambda: not window.runs.is_running, "the run")
    camera.until(lambda: window.scene.result is not None, "the result")
    camera.shoot("result", 2.5)
    _look_at_cells(camera, work)
    _tune(camera)
    _show_panes(camera)
    _show_batch(camera, work)
    _show_troubles(camera, work)


def _tune(camera: Photographer) -> None:
    window = camera.window
    if window.viewer.class_slider.isVisible():
        shown = window.viewer.state.class_index
        window.viewer.class_slider._slider.setValue(1 - shown)
        camera.shoot("class-slider", 2)
        window.viewer.class_slider._slider.setValue(shown)
    camera.set("run", "threshold", "threshold", value=0.6)
    camera.until(lambda: window.tuning.live is not None, "tuned cells")
    camera.until(lambda: not window.desk.lanes.tuning.busy, "tuned cells")
    camera.shoot("tuned")


def _look_at_cells(camera: Photographer, work: Path) -> None:
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest
    from PySide6.QtWidgets import QFileDialog

    window = camera.window
    from cellseg_app.core.cell_columns import frame_of

    table = frame_of(window.desk.cells.table)
    column = "volume_um3" if "volume_um3" in table else "n_voxels"
    biggest = int(table["label"].iloc[int(table[column].argmax())])
    voxel = window.desk.cells.centroid_voxel(biggest)
    assert voxel is not None
    window.viewer.center_on(voxel)
    camera.rest(1)
    pane = window.viewer.ortho.panes["xy"]
    QTest.mouseClick(pane, Qt.MouseButton.LeftButton, pos=pane.rect().center())
    camera.until(lambda: bool(window.desk.cells.chosen), "the cell clicked on")
    camera.shoot("cell-clicked")
    _correct(camera)
    exported = work / "cells.csv"
    QFileDialog.getSaveFileName = lambda *_: (str(exported), "CSV (*.csv)")  # type: ignore[method-assign]
    camera.press("export_csv")
    camera.until(exported.exists, "the CSV")
    camera.shoot("exported")
    window.desk.messages.clear()
    window.results.color_by(column)
    window.docks["plots"].raise_()
    camera.rest(0.3)
    low, high = window.plots.histogram.region.getRegion()
    window.plots.histogram.region.setRegion((low + (high - low) / 4, high))
    camera.shoot("histogram-colored")
    window.results.color_by("")
    window.plots.histogram.keep.click()
    for tab, name in ((1, "scatter"), (2, "depth")):
        window.plots.tabs.setCurrentIndex(tab)
        camera.shoot(f"filtered-{name}")
    window.docks["table"].raise_()
    camera.shoot("filtered-table")
    window.desk.cells.set_filters(())
    window.docks["log"].raise_()
    camera.shoot("log")


def _correct(camera: Photographer) -> None:
    """Split a cell, choose several, and look at the menu."""
    window = camera.window
    cells = window.desk.cells
    window.docks["table"].raise_()
    camera.press("split_cell")
    camera.until(lambda: len(cells.chosen) == 2, "the parts")
    camera.shoot("cell-split", 2)
    cells.toggle(int(cells.table.labels[0]))
    menus = {action.text(): action.menu() for action in window.menuBar().actions()}
    menu = menus["&Cells"]
    menu.popup(window.menuBar().mapToGlobal(window.menuBar().rect().bottomLeft()))  # type: ignore[attr-defined]
    camera.shoot("cells-menu")
    menu.close()  # type: ignore[attr-defined]
    camera.press("merge_cells")
    camera.until(lambda: len(cells.chosen) == 1, "the merged cell")
    camera.shoot("cells-merged", 2)
    camera.press("save_corrections")
    camera.until(lambda: window.scene.corrected is None, "the corrected result")
    camera.shoot("corrections-saved", 2)
    window.desk.messages.clear()


def _show_panes(camera: Photographer) -> None:
    window = camera.window
    window.viewer.state.maximized = "3d"
    camera.shoot("3d", 4)
    window.viewer.state.maximized = None
    camera.press("compare")
    camera.until(lambda: window.viewer.state.mode == "grid", "the grid")
    camera.shoot("grid", 2)
    camera.press("compare")
    opened = {key: box.head.isChecked() for key, box in window.form.sections.items()}
    network = window.desk.session.form.run.network
    for group in (
        ("data", "network", "inference"),
        ("size", "threshold"),
        ("statistics", "output", "display"),
    ):
        for key, section in window.form.sections.items():
            section.head.setChecked(key in group)
        camera.set("run", "network", "name", value="WNet")
        camera.shoot(f"form-{group[0]}", 0.6)
    camera.set("run", "network", "name", value=network.name)
    camera.set("run", "network", "weights", value=network.weights)
    for key, is_open in opened.items():
        window.form.sections[key].head.setChecked(is_open)


def _show_batch(camera: Photographer, work: Path) -> None:
    """Small volumes, one of them damaged, run as a batch."""
    import numpy as np

    from cellseg_app.io.open import open_volume
    from cellseg_app.io.tiff_write import write_volume_tiff
    from cellseg_app.ui.controllers.volumes import sample_path

    window = camera.window
    source = sample_path()
    assert source is not None
    sample = open_volume(source)
    folder = work / "embryos"
    folder.mkdir()
    for n in range(3):
        part = np.asarray(sample.data[slice(0, 48), slice(40, 120), slice(20 * n, 20 * n + 80)])
        write_volume_tiff(
            folder / f"embryo {n + 1}.tif", part, spacing_um_zyx=sample.spacing_um_zyx
        )
    damaged = folder / "embryo 2.tif"
    damaged.write_bytes(damaged.read_bytes()[:70_000])
    window.desk.session.remove([item.path for item in window.desk.session.items])
    window.open_paths([folder])
    session = window.desk.session
    camera.until(lambda: len(session.items) == 3, "the folder")
    camera.until(lambda: all(i.state != "reading" for i in session.items), "the headers")
    camera.press("start")
    camera.until(lambda: (session.items[-1].progress or 0) > 0.15, "the last volume")
    camera.shoot("batch-running", 0.2)
    camera.until(lambda: not window.runs.is_running, "the batch")
    camera.shoot("batch-done")
    camera.press("compare")
    camera.until(lambda: window.viewer.state.mode == "grid", "the grid")
    window.docks["plots"].raise_()
    window.plots.tabs.setCurrentIndex(3)
    camera.shoot("batch-compared", 2)
    camera.press("compare")
    window.desk.messages.clear()


def _show_troubles(camera: Photographer, work: Path) -> None:
    from cellseg_app.workers.jobs import Crash

    window = camera.window
    broken = work / "broken.tif"
    broken.write_bytes(b"II*\0 this is no image")
    window.open_paths([broken])
    camera.until(lambda: bool(window.desk.messages.texts()), "the refusal")
    camera.shoot("refused")
    trace = 'Traceback (most recent call last):\n  File "planted.py", line 1, in bug\nKeyError: 1'
    window.show_crash(Crash("Preview of nuclei.tif", "KeyError: 1", trace))
    camera.shoot("bug-report")
    camera.app.activeModalWidget().close()


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--theme", choices=("light", "dark"), default="light")
    parser.add_argument("--volume", type=Path)
    parser.add_argument("--network")
    parser.add_argument("--weights")
    arguments = parser.parse_args()
    named = {"name": arguments.network, "weights": arguments.weights}
    options = {name: value for name, value in named.items() if value}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        os.environ["CELLSEG_DATA"] = str(work / "data")
        from cellseg_app import bootstrap

        bootstrap.prepare()
        camera = Photographer(arguments.out, arguments.theme, work)
        camera.window.load_engine()
        try:
            photograph(camera, arguments.volume, options, work)
        finally:
            camera.rest(0.2)
            camera.window.close()
            bootstrap.finish()


if __name__ == "__main__":
    main()
