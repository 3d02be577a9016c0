"""Photographs the window in every state a user meets.

    xvfb-run -a -s "-screen 0 1280x800x24" python tests/benchmarks/screenshots.py OUT
    QT_SCALE_FACTOR=2 xvfb-run -a -s "-screen 0 2560x1600x24" \
        python tests/benchmarks/screenshots.py OUT --theme dark

The volume is the sample unless `--volume` names another; the network is the bundled one unless
`--weights` names others. Nothing of the user's own settings is read or changed.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

_PATIENCE_S = 600.0


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
        self._number += 1
        path = self._out / f"{self._number:02d}-{name}-{self._mark}.png"
        self.app.primaryScreen().grabWindow(0).save(str(path))
        print(path)

    def press(self, action: str) -> None:
        """Trigger an action."""
        self.window.actions_by_key[action].trigger()

    def set(self, *path: str, value: object) -> None:
        """Change a field of the form."""
        self.window.form_control.set_value(path, value)


def photograph(camera: Photographer, volume: Path | None, weights: str | None, work: Path) -> None:
    """Go the whole way once."""
    window = camera.window
    camera.shoot("first-start")
    if weights:
        camera.set("run", "network", "weights", value=weights)
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
            and window.progress.stage_bar.value() > 100
        ),
        "windows of the network",
    )
    camera.shoot("running", 0.2)
    camera.until(lambda: not window.runs.is_running, "the run")
    camera.until(lambda: window.scene.result is not None, "the result")
    camera.shoot("result", 2.5)
    camera.set("run", "threshold", "threshold", value=0.6)
    camera.until(lambda: window.tuning.live is not None, "tuned cells")
    camera.shoot("tuned")
    _look_at_cells(camera)
    _show_panes(camera)
    _show_troubles(camera, work)


def _look_at_cells(camera: Photographer) -> None:
    window = camera.window
    table = window.desk.cells.table
    column = "volume_um3" if "volume_um3" in table else "n_voxels"
    biggest = int(table["label"].iloc[int(table[column].argmax())])
    window.desk.cells.choose(biggest)
    camera.shoot("cell-chosen")
    window.results.color_by(column)
    window.docks["plots"].raise_()
    camera.shoot("histogram-colored")
    window.results.color_by("")
    for tab, name in ((1, "scatter"), (2, "depth")):
        window.plots.tabs.setCurrentIndex(tab)
        camera.shoot(name)
    window.docks["log"].raise_()
    camera.shoot("log")


def _show_panes(camera: Photographer) -> None:
    window = camera.window
    window.viewer.state.maximized = "3d"
    camera.shoot("3d", 3)
    window.viewer.state.maximized = None
    camera.press("compare")
    camera.until(lambda: window.viewer.state.mode == "grid", "the grid")
    camera.shoot("grid", 2)
    camera.press("compare")
    for section in window.form.sections.values():
        section.head.setChecked(section.spec.key in ("data", "inference", "size"))
    camera.set("run", "network", "name", value="WNet")
    window.docks["progress"].raise_()
    camera.shoot("form-wnet")


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
    parser.add_argument("--weights")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        os.environ["CELLSEG_DATA"] = str(work / "data")
        from cellseg_app import bootstrap

        bootstrap.prepare()
        camera = Photographer(arguments.out, arguments.theme, work)
        try:
            photograph(camera, arguments.volume, arguments.weights, work)
        finally:
            camera.rest(0.2)
            camera.window.close()
            bootstrap.finish()


if __name__ == "__main__":
    main()
