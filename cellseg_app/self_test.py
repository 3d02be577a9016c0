"""`cellseg-app --self-test`: the installed program tries itself, from sample volume to cells.

It goes the way a user goes, through the real window: opens the sample, runs every bundled network
on a part of it, in PyTorch and in OpenVINO, finds and measures the cells of a piece, writes them,
reads them back, and looks whether slices and 3D are drawn. Nothing of the user's own settings is
read or changed.
"""

from __future__ import annotations

import logging
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication

from cellseg_app import __version__
from cellseg_app.atomic import write_text_atomic
from cellseg_app.core.blocks import Region
from cellseg_app.core.settings import InferenceSettings, NetworkSettings, RunSettings, Runtime
from cellseg_app.core.volume import ShapeZYX
from cellseg_app.inference.catalog import WeightsEntry, list_weights
from cellseg_app.io.run_record import read_record
from cellseg_app.io.table import read_table
from cellseg_app.io.tiff_write import write_volume_tiff
from cellseg_app.ui.main_window import MainWindow
from cellseg_app.workers.lane import JobHandle
from cellseg_app.workers.preview import Preview, previewing

_log = logging.getLogger(__name__)
_PICTURE_NAME: Final = "self-test.png"
_PATIENCE_S: Final = 240.0
# Voxels of the sample: about one window of a network, and what is segmented in half a minute.
_PART: Final = (16, 48, 48)
_PIECE: Final = (24, 80, 80)
# Small windows, so that converting five networks for OpenVINO takes seconds (voxels).
_WINDOW: Final = 48
# Two runtimes add in another order; probabilities, kept in half precision, differ no more.
_SAME: Final = 0.02
# Grey levels; what is drawn in one colour has none.
_CONTRAST: Final = 5.0


class SelfTestFailed(Exception):
    """The program does not do what it should; the message says what."""


@dataclass
class Report:
    """Lines, said as they come and kept for the file.

    Attributes
    ----------
    failures
        What did not work; empty if everything did.
    """

    lines: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def say(self, line: str) -> None:
        """Write one line where there is a place to write to."""
        self.lines.append(line)
        _log.info("self-test: %s", line)
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    @contextmanager
    def step(self, title: str) -> Iterator[list[str]]:
        """Say how a step went; the list takes what is to be told of it."""
        start_s = time.monotonic()
        told: list[str] = []
        try:
            yield told
        except Exception as error:  # noqa: BLE001 - the other steps are tried all the same
            self.failures.append(title)
            self.say(f"FAILED {title}: {type(error).__name__}: {error}")
            if not isinstance(error, SelfTestFailed):
                self.say(traceback.format_exc())
        else:
            seconds = time.monotonic() - start_s
            self.say(f"ok     {title} ({seconds:.1f} s){': ' if told else ''}{'; '.join(told)}")


def run_self_test(app: QApplication, window: MainWindow, *, folder: Path, report_file: Path) -> int:
    """Try everything once, with the window shown.

    Parameters
    ----------
    app, window
        The application and its window, with settings of their own.
    folder
        Where the picture and the results are written.
    report_file
        Where the report is kept; it is also said on the standard output, where there is one.

    Returns
    -------
    int
        0 if everything works, else 1.
    """
    report = Report()
    report.say(f"CellSeg {__version__}, {'frozen' if hasattr(sys, 'frozen') else 'from sources'}")
    report.say(f"{platform.platform()}, {os.cpu_count()} processors, screen {app.platformName()}")
    start_s = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    _Trial(app, window, report, folder).go()
    n, seconds = len(report.failures), time.monotonic() - start_s
    report.say(f"{f'{n} steps FAILED' if n else 'everything works'} ({seconds:.0f} s)")
    write_text_atomic(report_file, "\n".join(report.lines) + "\n")
    return 1 if n else 0


class _Trial:
    def __init__(self, app: QApplication, window: MainWindow, report: Report, folder: Path) -> None:
        self._app, self._window, self._report, self._folder = app, window, report, folder
        self._not_in_openvino: dict[str, str] = {}

    def go(self) -> None:
        step, window = self._report.step, self._window
        with step("window") as told:
            self._until(window.isVisible, "the window is shown")
            told.append(f"{window.width()} x {window.height()}")
        with step("engine") as told:
            self._wait_for_engine(told)
        with step("sample volume") as told:
            window.actions_by_key["open_sample"].trigger()
            self._until(lambda: window.scene.reading is not None, "the sample is shown")
            told.append(" x ".join(map(str, self._shape())) + " voxels")
        for entry in self._bundled():
            with step(f"network {entry.name}") as told:
                told += self._run_network(entry)
        with step("OpenVINO"):
            self._say_what_openvino_lacks()
        with step("cells of a piece, written and read back") as told:
            told.append(self._segment())
        with step("slices and 3D") as told:
            told += self._look()

    # ---- Steps ----

    def _wait_for_engine(self, told: list[str]) -> None:
        self._window.load_engine()
        self._until(lambda: not self._window.desk.lanes.engine.busy, "the engine is loaded")
        from cellseg_app.inference.devices import available_devices

        told += [device.title for device in available_devices()]

    def _bundled(self) -> list[WeightsEntry]:
        found: list[WeightsEntry] = []
        with self._report.step("bundled weights") as told:
            found += [entry for entry in list_weights() if entry.origin == "bundled"]
            if not found:
                raise SelfTestFailed("No weights came with the program.")
            told += [entry.name for entry in found]
        return found

    def _run_network(self, entry: WeightsEntry) -> list[str]:
        exact, quick = self._preview(entry, "torch"), self._preview(entry, "openvino")
        maps = [preview.map.probability[(slice(None),) * 4] for preview in (exact, quick)]
        if not np.isfinite(maps[0]).all() or np.ptp(maps[0]) < 0.01:
            raise SelfTestFailed("The network answers nothing of use.")
        told = [f"{exact.cells.n_cells} cells in {_size(exact.region)} voxels"]
        if quick.runtime != "openvino":
            self._not_in_openvino[entry.name] = " ".join(
                note for note in quick.notes if "OpenVINO" in note
            )
            return [*told, "by PyTorch only"]
        difference = float(np.abs(maps[0].astype(np.float32) - maps[1]).max())
        if not difference < _SAME:
            raise SelfTestFailed(f"OpenVINO gives other probabilities, by {difference:.3f}.")
        return [*told, f"by PyTorch and OpenVINO, which differ by {difference:.4f} at most"]

    def _preview(self, entry: WeightsEntry, runtime: Runtime) -> Preview:
        window = self._window
        item = window.desk.session.current_item
        if item is None:
            raise SelfTestFailed("The sample is not open.")
        network = NetworkSettings(name=entry.architecture, weights=entry.name)
        device = "cpu" if runtime == "openvino" else "auto"
        how = InferenceSettings(runtime=runtime, device=device, precision="float32", window=_WINDOW)
        settings = RunSettings(network=network, inference=how)
        region = _middle(self._shape(), _PART)
        work = previewing(window.desk.shelf, item.path, settings=settings, region=region)
        preview = self._outcome(window.desk.lanes.engine.submit(entry.name, work), entry.name)
        assert isinstance(preview, Preview)
        return preview

    def _say_what_openvino_lacks(self) -> None:
        lacking = self._not_in_openvino
        if lacking:
            why = " ".join(dict.fromkeys(lacking.values()))
            raise SelfTestFailed(f"It computes {', '.join(lacking)} not: {why}")

    def _segment(self) -> str:
        window = self._window
        piece = self._write_piece()
        window.form_control.set_value(("output_folder",), str(self._folder / "results"))
        window.open_paths([piece])
        self._until(lambda: _is_ready(window, piece), "the piece is read")
        window.runs.start([piece])
        self._until(lambda: not window.runs.is_running, "the run has ended")
        item = window.desk.session.item(piece)
        if item is None or item.record is None:
            raise SelfTestFailed(f"The run gave no result: {item.text if item else ''}")
        self._until(lambda: window.scene.result is not None, "the result is shown")
        record = read_record(item.record)
        rows = len(read_table(item.record.with_suffix(".csv")))
        if not record.n_cells or rows != record.n_cells:
            raise SelfTestFailed(f"{record.n_cells} cells, but {rows} rows in the table.")
        return f"{record.n_cells} cells"

    def _look(self) -> list[str]:
        space = self._window.viewer.ortho.space
        told = [space.report.problem or f"{space.report.renderer}, OpenGL {space.report.version}"]
        if not space.report.problem:
            self._until(lambda: space.scene is not None, "the 3D view is there")
            self._until(lambda: _contrast(space.picture()) > _CONTRAST, "the 3D view is drawn")
        end_s = time.monotonic() + 1.0
        self._until(lambda: time.monotonic() > end_s, "a rest")
        self._window.viewer.ortho.space.draw_whole()
        picture = self._window.grab().toImage()
        if _contrast(picture) < _CONTRAST:
            raise SelfTestFailed("The window is drawn in one colour.")
        picture.save(str(self._folder / _PICTURE_NAME))
        return told

    # ---- Means ----

    def _shape(self) -> ShapeZYX:
        reading = self._window.scene.reading
        if reading is None or reading.volume is None:
            raise SelfTestFailed("The sample is not shown.")
        return reading.volume.shape_zyx

    def _write_piece(self) -> Path:
        reading = self._window.scene.reading
        assert reading is not None
        assert reading.volume is not None
        image = reading.volume.data[_middle(self._shape(), _PIECE)]
        return write_volume_tiff(
            self._folder / "piece.tif", image, spacing_um_zyx=reading.volume.spacing_um_zyx
        )

    def _outcome(self, handle: JobHandle, what: str) -> object:
        """Wait for a job's result."""
        results: list[object] = []
        problems: list[str] = []
        handle.finished.connect(results.append)
        handle.failed.connect(lambda error: problems.append(str(error)))
        handle.crashed.connect(lambda crash: problems.append(crash.traceback))
        self._until(lambda: bool(results or problems), what)
        if problems:
            raise SelfTestFailed(problems[0])
        return results[0]

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        """Let the window run until something is so."""
        end_s = time.monotonic() + _PATIENCE_S
        while not condition():
            if time.monotonic() > end_s:
                raise SelfTestFailed(f"Waited {_PATIENCE_S:.0f} s in vain: {what}.")
            self._app.processEvents()
            time.sleep(0.005)


def _is_ready(window: MainWindow, path: Path) -> bool:
    item = window.desk.session.item(path)
    return item is not None and item.runnable


def _middle(shape: ShapeZYX, size: ShapeZYX) -> Region:
    z, y, x = (
        slice(max(0, (n - k) // 2), max(0, (n - k) // 2) + min(n, k))
        for n, k in zip(shape, size, strict=True)
    )
    return z, y, x


def _size(region: Region) -> str:
    return " x ".join(str(part.stop - part.start) for part in region)


def _contrast(picture: QImage | None) -> float:
    """Standard deviation of the pixels (0 to 255); 0 without a picture."""
    if picture is None or picture.isNull():
        return 0.0
    gray = picture.convertToFormat(QImage.Format.Format_Grayscale8)
    lines = np.frombuffer(gray.constBits(), np.uint8).reshape(gray.height(), gray.bytesPerLine())
    return float(lines[:, : gray.width()].std())
