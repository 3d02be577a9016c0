"""How soon slices of a large volume appear, and how long the GUI thread ever stands still.

    python tests/benchmarks/viewer.py [--zarr] [--cold] [--gl] [folder]

It writes a TIFF of 2 GB (or an OME-Zarr of it) into the folder, opens it lazily, and drives the
viewer with real key and wheel events. `--cold` drops the file from the disk cache first, which
works on Linux. `--gl` also draws 3D: run it under a display, such as `xvfb-run`.
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

import numpy as np
import psutil
import tifffile

if "--gl" not in sys.argv:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QEventLoop, QPoint, QPointF, Qt, QTimer
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from cellseg_app.core.volume import Volume
from cellseg_app.io.open import open_volume
from cellseg_app.state.display import Layer
from cellseg_app.viewers.reader import Delivery
from cellseg_app.viewers.viewer import Viewer

SHAPE = (470, 1504, 1504)
CHUNKS = (64, 128, 128)
N_STEPS = 25


def planes() -> Iterator[np.ndarray]:
    """Blobs in noise, plane by plane."""
    rng = np.random.default_rng(0)
    noise = rng.integers(100, 500, (8, *SHAPE[1:]), dtype=np.uint16)
    y, x = (np.sin(np.arange(n) / 13) + 1 for n in SHAPE[1:])
    for z in range(SHAPE[0]):
        blobs = 800 * (np.sin(z / 9) + 1) * np.outer(y, x)
        yield noise[z % len(noise)] + blobs.astype(np.uint16)


def write(folder: Path, *, as_zarr: bool) -> Path:
    """The volume on disk; made once."""
    path = folder / ("viewer.zarr" if as_zarr else "viewer.tif")
    if path.exists():
        return path
    if as_zarr:
        _write_zarr(path)
    else:
        with tifffile.TiffWriter(path, bigtiff=True) as tiff:
            tiff.write(planes(), shape=SHAPE, dtype=np.uint16, metadata={"axes": "ZYX"})
    return path


def _write_zarr(path: Path) -> None:
    from cellseg_app.io.zarr_arrays import create_array, write_group

    scale = [{"type": "scale", "scale": [2.0, 1.0, 1.0]}]
    axes = [{"name": n, "type": "space", "unit": "micrometer"} for n in "zyx"]
    image = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    write_group(path, {"multiscales": [image]})
    array = create_array(path / "0", SHAPE, chunks=CHUNKS, dtype=np.dtype(np.uint16), axes="zyx")
    slab: list[np.ndarray] = []
    for z, plane in enumerate(planes()):
        slab.append(plane)
        if len(slab) == CHUNKS[0] or z == SHAPE[0] - 1:
            array[z + 1 - len(slab) : z + 1] = np.stack(slab)
            slab = []


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

    def __init__(self, viewer: Viewer, pane_key: str) -> None:
        self._viewer, self._place = viewer, (pane_key, "image")
        self._loop = QEventLoop()
        self._start = 0.0
        self.first_ms: list[float] = []
        self.exact_ms: list[float] = []
        self._has_first = False
        viewer.reader.arrived.connect(self._on_arrived)

    def time(self, act: object, *, timeout_ms: int = 60_000) -> None:
        """Do something and wait for its picture to be painted."""
        self._has_first = False
        self._start = time.perf_counter()
        act()  # type: ignore[operator]
        QTimer.singleShot(timeout_ms, self._loop.quit)
        self._loop.exec()

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
    median, worst = np.median(values), max(values)
    print(f"  {name:<34} median {median:6.1f} ms   longest {worst:7.1f} ms   n {len(values)}")


def measure_pane(viewer: Viewer, key: str, dog: Watchdog) -> None:
    pane = viewer.ortho.panes[key]  # type: ignore[index]
    rng = np.random.default_rng(1)
    watch = Stopwatch(viewer, key)
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


def layer_of(volume: Volume) -> Layer:
    return Layer("image", "Image", "image", volume.data, volume.spacing_um_zyx)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(tempfile.gettempdir()))
    for flag in ("--zarr", "--cold", "--gl"):
        parser.add_argument(flag, action="store_true")
    options = parser.parse_args()
    path = write(options.folder, as_zarr=options.zarr)
    application = QApplication([])
    process = psutil.Process()
    if options.cold:
        drop_from_disk_cache(path)
    before = process.memory_info().rss
    viewer, dog = Viewer(), Watchdog()
    viewer.resize(1280, 800)
    viewer.show()
    wait(1500)
    with dog.watch():
        wait(5000)
    print(f"idle for comparison: longest stall        {dog.text()}")
    volume = open_volume(path)
    with dog.watch():
        start = time.perf_counter()
        watch = Stopwatch(viewer, "xy")
        watch.time(lambda: viewer.set_layers([layer_of(volume)]))
        watch.close()
        print(f"{path.name}: open to XY slice {1000 * (time.perf_counter() - start):.0f} ms")
        while not viewer.reader.overviews and time.perf_counter() - start < 120:
            wait(20)
        print(f"  overview after {time.perf_counter() - start:.1f} s")
        wait(1000)
    print(f"  longest stall while opening             {dog.text()}")
    for key in ("xy", "xz", "yz"):
        measure_pane(viewer, key, dog)
    measure_hurry(viewer, dog)
    rss = process.memory_info().rss
    print(f"  memory: {rss / 1e6:.0f} MB, of which viewer and volume {(rss - before) / 1e6:.0f} MB")
    viewer.shutdown()
    viewer.close()
    application.processEvents()


if __name__ == "__main__":
    main()
