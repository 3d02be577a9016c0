"""How soon slices of a large volume appear, and how long the GUI thread ever stands still.

    python tests/benchmarks/viewer.py [--format tif|zarr] [--results] [--cold] [--gl] [folder]

It writes a volume of 2 GB into the folder, as TIFF or as OME-Zarr with a pyramid, opens it lazily,
and drives the viewer with real key and wheel events. `--results` shows labels (4 GB of uint32) and
a probability map (2 GB) of the same size over it, as a run writes them. `--write` only writes.
`--cold` drops the files from the disk cache first, which works on Linux. `--gl` also draws 3D: run
it under a display, such as `xvfb-run`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

if "--gl" not in sys.argv:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QEventLoop, QPoint, QPointF, Qt, QTimer
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from cellseg_app.core.settings import DataSettings
from cellseg_app.io.ome_zarr_write import new_ome_zarr
from cellseg_app.io.open import describe, open_volume
from cellseg_app.io.tiff_write import TiffSlabWriter
from cellseg_app.state.display import Layer
from cellseg_app.ui.controllers.scene import with_levels
from cellseg_app.ui.garbage import GuiThreadGarbage
from cellseg_app.viewers.reader import Delivery
from cellseg_app.viewers.viewer import Viewer
from cellseg_app.workers.files import coarser_levels

SHAPE = (470, 1504, 1504)
SPACING = (2.0, 1.0, 1.0)
N_STEPS = 25
_ASKED_WITHIN_MS = 40
_SLAB = 32


def planes() -> Iterator[np.ndarray]:
    """Blobs in noise, plane by plane."""
    rng = np.random.default_rng(0)
    noise = rng.integers(100, 500, (8, *SHAPE[1:]), dtype=np.uint16)
    y, x = (np.sin(np.arange(n) / 13) + 1 for n in SHAPE[1:])
    for z in range(SHAPE[0]):
        blobs = 800 * (np.sin(z / 9) + 1) * np.outer(y, x)
        yield noise[z % len(noise)] + blobs.astype(np.uint16)


def map_planes() -> Iterator[np.ndarray]:
    """The probability of the blobs."""
    y, x = (np.sin(np.arange(n) / 13) + 1 for n in SHAPE[1:])
    for z in range(SHAPE[0]):
        yield ((np.sin(z / 9) + 1) * np.outer(y, x) / 8).astype(np.float16)


def label_planes() -> Iterator[np.ndarray]:
    """One number for each blob: 200,000 of them."""
    y, x = (np.arange(n) // 16 for n in SHAPE[1:])
    inside = np.outer(np.arange(SHAPE[1]) % 16 > 3, np.arange(SHAPE[2]) % 16 > 3)
    n_y, n_x = int(y[-1]) + 1, int(x[-1]) + 1
    for z in range(SHAPE[0]):
        ids = 1 + (z // 16 * n_y + y[:, None]) * n_x + x
        yield (ids * (inside & (z % 16 > 3))).astype(np.uint32)


def write(folder: Path, kind: str, form: str) -> Path:
    """The volume on disk, or labels or probability of it; made once."""
    path = folder / f"viewer-{kind}.{form}"
    if path.exists():
        return path
    made = {"image": planes, "labels": label_planes, "probability": map_planes}[kind]
    dtype = {"image": np.uint16, "labels": np.uint32, "probability": np.float16}[kind]
    options: dict[str, Any] = {"dtype": dtype, "spacing_um_zyx": SPACING, "kind": kind}
    if form == "zarr":
        with tempfile.TemporaryFile(dir=folder) as file:
            flat = np.memmap(file, dtype, shape=SHAPE)
            for z, plane in enumerate(made()):
                flat[z] = plane
            with new_ome_zarr(path, SHAPE, **options) as image:
                image.fill(flat)
        return path
    with TiffSlabWriter(path, SHAPE, **options) as writer:
        slab: list[np.ndarray] = []
        for z, plane in enumerate(made()):
            slab.append(plane)
            if len(slab) == _SLAB or z == SHAPE[0] - 1:
                writer.write(np.stack(slab))
                slab = []
    return path


def drop_from_disk_cache(path: Path) -> None:
    """Let the next reading come from the disk."""
    for file in [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]:
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


class Watchdog:
    """Longest time between two turns of the event loop, and the work of the GUI thread in one.

    The first includes waiting for a processor that others use; the second does not.
    """

    def __init__(self) -> None:
        self._timer = QTimer(interval=1)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._wall = self._worked = 0.0
        self.longest_ms = self.longest_work_ms = 0.0
        self._timer.timeout.connect(self._on_turn)

    @contextmanager
    def watch(self) -> Iterator[Watchdog]:
        """Measure while the block runs."""
        self.longest_ms = self.longest_work_ms = 0.0
        self._wall, self._worked = time.perf_counter(), time.thread_time()
        self._timer.start()
        yield self
        self._timer.stop()

    def text(self) -> str:
        return f"{self.longest_ms:6.1f} ms, of work {self.longest_work_ms:6.1f} ms"

    def _on_turn(self) -> None:
        wall, worked = time.perf_counter(), time.thread_time()
        self.longest_ms = max(self.longest_ms, 1000 * (wall - self._wall))
        self.longest_work_ms = max(self.longest_work_ms, 1000 * (worked - self._worked))
        self._wall, self._worked = wall, worked


class Stopwatch:
    """From an event to the first picture of a pane, and to the one at full resolution."""

    def __init__(self, viewer: Viewer, pane_key: str, layer_key: str) -> None:
        self._viewer, self._place = viewer, (pane_key, layer_key)
        self._loop = QEventLoop()
        self._start = 0.0
        self.first_ms: list[float] = []
        self.exact_ms: list[float] = []
        self._has_first = False
        viewer.reader.arrived.connect(self._on_arrived)

    def time(self, act: object, *, timeout_ms: int = 60_000) -> None:
        """Do something and wait for its picture to be painted."""
        self._has_first = False
        asked = self._viewer.reader.n_asked
        self._start = time.perf_counter()
        act()  # type: ignore[operator]
        timeout = QTimer(singleShot=True, interval=timeout_ms)
        timeout.timeout.connect(self._loop.quit)
        timeout.start()
        # Two planes may be one of a coarser level: then nothing is asked for.
        same = QTimer(singleShot=True, interval=_ASKED_WITHIN_MS)
        same.timeout.connect(
            lambda: self._loop.quit() if self._viewer.reader.n_asked == asked else None
        )
        same.start()
        self._loop.exec()
        timeout.stop()
        same.stop()

    def close(self) -> None:
        """Stop listening."""
        self._viewer.reader.arrived.disconnect(self._on_arrived)

    def _on_arrived(self, delivery: Delivery) -> None:
        if delivery.place != self._place or delivery.image is None:
            return
        # Arrived is not seen: painted at once, the time includes it.
        self._viewer.ortho.panes[self._place[0]].repaint()  # type: ignore[index]
        elapsed = 1000 * (time.perf_counter() - self._start)
        if not self._has_first:
            self._has_first = True
            self.first_ms.append(elapsed)
        if not delivery.image.preview:
            self.exact_ms.append(elapsed)
            self._loop.quit()


def wait(milliseconds: int) -> None:
    """Let the event loop run; unlike `QTest.qWait`, without keeping Python from other threads."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def wheel(pane: object, notches: int) -> None:
    """Turn the mouse wheel over the middle of a pane."""
    at = QPointF(pane.rect().center())  # type: ignore[attr-defined]
    event = QWheelEvent(
        at, at, QPoint(), QPoint(0, 120 * notches), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(pane, event)  # type: ignore[arg-type]


def line(name: str, values: list[float]) -> None:
    if not values:
        print(f"  {name:<34} the same picture each time")
        return
    median, worst = np.median(values), max(values)
    print(f"  {name:<34} median {median:6.1f} ms   longest {worst:7.1f} ms   n {len(values)}")


def measure_pane(viewer: Viewer, key: str, dog: Watchdog) -> None:
    pane = viewer.ortho.panes[key]  # type: ignore[index]
    rng = np.random.default_rng(1)
    # What is drawn last: labels over the image, where there are some.
    watch = Stopwatch(viewer, key, viewer.layers[-1].key)
    axis = {"xy": 0, "xz": 1, "yz": 2}[key]
    with dog.watch():
        for _ in range(N_STEPS):
            watch.time(lambda: wheel(pane, 1))
    line(f"{key} next slice, first picture", watch.first_ms)
    line(f"{key} next slice, full resolution", watch.exact_ms)
    watch.first_ms, watch.exact_ms = [], []
    with dog.watch():
        for _ in range(N_STEPS):
            point = list(viewer.state.cursor_zyx)
            point[axis] = int(rng.integers(SHAPE[axis]))
            watch.time(lambda p=tuple(point): setattr(viewer.state, "cursor_zyx", p))
    line(f"{key} far slice, first picture", watch.first_ms)
    line(f"{key} far slice, full resolution", watch.exact_ms)
    print(f"  {key} longest stall of the GUI thread  {dog.text()}")
    watch.close()


def measure_hurry(viewer: Viewer, dog: Watchdog) -> None:
    """Events faster than slices can be read: the window must stay alive."""
    pane = viewer.ortho.panes["yz"]
    with dog.watch():
        for _ in range(60):
            QTest.keyClick(pane, Qt.Key.Key_PageUp)
            wheel(viewer.ortho.panes["xy"], 1)
            wait(16)
        wait(500)
    print(f"  60 slices a second: longest stall       {dog.text()}")


def layer_of(path: Path, kind: str) -> Layer:
    """A file as the window shows it, with the levels of its pyramid."""
    volume = open_volume(path)
    layer = Layer(kind, kind, kind, volume.data, volume.spacing_um_zyx)  # type: ignore[arg-type]
    levels = range(1, describe(path).levels)
    coarser = coarser_levels(
        volume.data, levels, lambda level: open_volume(path, DataSettings(level=level)).data
    )
    return with_levels(layer, coarser)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--format", choices=("tif", "zarr"), default="tif")
    for flag in ("--results", "--write", "--cold", "--gl"):
        parser.add_argument(flag, action="store_true")
    options = parser.parse_args()
    kinds = ("image", "probability", "labels") if options.results else ("image",)
    paths = [write(options.folder, kind, options.format) for kind in kinds]
    if options.write:
        return
    application = QApplication([])
    process = psutil.Process()
    if options.cold:
        for path in paths:
            drop_from_disk_cache(path)
    before = process.memory_info().rss
    viewer, dog = Viewer(), Watchdog()
    # As in the window: garbage is collected in small steps, not whenever a reader makes some.
    GuiThreadGarbage(viewer).settle()
    viewer.resize(1280, 800)
    viewer.show()
    wait(1500)
    with dog.watch():
        wait(5000)
    print(f"idle for comparison: longest stall        {dog.text()}")
    layers = [layer_of(path, kind) for path, kind in zip(paths, kinds, strict=True)]
    print(f"levels: {[1 + len(layer.coarser) for layer in layers]}")
    with dog.watch():
        start = time.perf_counter()
        watch = Stopwatch(viewer, "xy", layers[-1].key)
        watch.time(lambda: viewer.set_layers(layers))
        watch.close()
        if options.results:
            viewer.state.set_look("probability", visible=True)
        print(f"{paths[0].name}: open to XY slice {1000 * (time.perf_counter() - start):.0f} ms")
        while not viewer.reader.overviews and time.perf_counter() - start < 120:
            wait(20)
        print(f"  overview after {time.perf_counter() - start:.1f} s")
        wait(1000)
    print(f"  longest stall while opening             {dog.text()}")
    for key in ("xy", "xz", "yz"):
        measure_pane(viewer, key, dog)
    measure_hurry(viewer, dog)
    if options.format == "zarr":
        # Magnified until voxels are seen: the finest level.
        viewer.ortho.linked.set_camera(viewer.ortho.linked.camera.zoomed(6))
        wait(1000)
        print("magnified six times:")
        for key in ("xy", "xz", "yz"):
            measure_pane(viewer, key, dog)
    rss = process.memory_info().rss
    print(f"  memory: {rss / 1e6:.0f} MB, of which viewer and volume {(rss - before) / 1e6:.0f} MB")
    viewer.shutdown()
    viewer.close()
    application.processEvents()


if __name__ == "__main__":
    main()
