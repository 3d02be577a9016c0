"""How long the window takes to open, and how long it stalls while the engine works.

    python tests/benchmarks/startup.py [--runs 5] [--stalls]
    python tests/benchmarks/startup.py --program dist/CellSeg/cellseg-app [--within 2 3]

The second form measures a frozen program, by its log: from its start until something is on the
screen, and until the window takes input; with `--within`, it ends with 1 where the quickest start
took longer than that.

Start-up: a fresh process each time, from its start until the event loop is entered; the engine
loads after that. Stalls: the longest gaps between two turns of the window's event loop, while the
engine loads, a preview runs, a batch runs and sliders move; and while nothing happens, which tells
how much of a gap is waiting for a processor that other programs use. The processor time of the
window's own thread between two turns is told beside it: it does not depend on other programs.
"""

from __future__ import annotations

import argparse
import operator
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

_LOGGED = ("The first picture is on the screen.", "The window takes input.")
_CHILD = """
import time, sys

from cellseg_app import bootstrap
bootstrap.prepare()
from PySide6.QtCore import QTimer
from cellseg_app.app import make_application, make_window
app = make_application()
bootstrap.load_engine_libraries()
window = make_window(app)
window.show()
QTimer.singleShot(0, app.quit)
app.exec()
print(f"{time.time() - float(sys.argv[1]):.3f} {time.process_time():.3f}")
print("torch" in sys.modules)
window.close()
"""


def measure_start(runs: int, environment: dict[str, str]) -> None:
    """Print the seconds until the event loop turns."""
    walls, cpus = [], []
    for _ in range(runs):
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, str(time.time())],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        numbers, has_torch = done.stdout.splitlines()[:2]
        assert has_torch == "False", "torch was loaded before the window"
        wall, cpu = (float(word) for word in numbers.split())
        walls.append(wall)
        cpus.append(cpu)
    print(f"window open after: median {statistics.median(walls):.2f} s, best {min(walls):.2f} s")
    print(f"processor time until then: median {statistics.median(cpus):.2f} s")
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def measure_program(program: Path, runs: int, environment: dict[str, str]) -> list[float]:
    """Print how long a frozen program takes; returns the shortest seconds to picture and input."""
    rows = []
    for number in range(runs):
        data = Path(environment["CELLSEG_DATA"]) / str(number)
        start_s = time.time()
        subprocess.run(
            [str(program), "--quit-after", "3"],
            env={**environment, "CELLSEG_DATA": str(data)},
            check=True,
        )
        log = (data / "logs" / "cellseg.log").read_text("utf-8")
        rows.append([_time_of(line, log) - start_s for line in _LOGGED])
    best = []
    for what, seconds in zip(("picture", "input"), zip(*rows, strict=True), strict=True):
        middle, least = statistics.median(seconds), min(seconds)
        print(f"{what} after: median {middle:.2f} s, best {least:.2f} s, of {runs} starts")
        best.append(least)
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return best


def _time_of(sentence: str, log: str) -> float:
    line = next(line for line in log.splitlines() if line.endswith(sentence))
    return datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp()


class Watchdog:
    """Measures the gaps between turns of the event loop."""

    def __init__(self) -> None:
        from PySide6.QtCore import QTimer

        self._timer = QTimer()
        self._timer.setInterval(2)
        self._timer.timeout.connect(self._on_turn)
        self._timer.start()
        self._last_s, self._last_cpu_s = time.perf_counter(), time.thread_time()
        self.gaps_ms: list[float] = []
        self.own_ms: list[float] = []

    def _on_turn(self) -> None:
        now_s, cpu_s = time.perf_counter(), time.thread_time()
        self.gaps_ms.append(1000 * (now_s - self._last_s))
        self.own_ms.append(1000 * (cpu_s - self._last_cpu_s))
        self._last_s, self._last_cpu_s = now_s, cpu_s

    def report(self, what: str) -> None:
        """Print the gaps since the last report, and the most that the window itself computed."""
        gaps, own = sorted(self.gaps_ms), sorted(self.own_ms)
        if gaps:
            p99 = gaps[int(0.99 * (len(gaps) - 1))]
            over = sum(gap > 50 for gap in gaps)
            most = ", ".join(f"{ms:.0f}" for ms in own[:-4:-1])
            print(
                f"{what}: longest {gaps[-1]:.0f} ms, 99 % below {p99:.0f} ms, {over} over 50 ms; "
                f"own work of the longest three turns {most} ms",
                flush=True,
            )
        self.gaps_ms.clear()
        self.own_ms.clear()
        # What counting took belongs to no turn.
        self._last_s, self._last_cpu_s = time.perf_counter(), time.thread_time()


def measure_stalls(work: Path) -> None:
    """Print the longest stalls of a run of the sample."""
    from cellseg_app import bootstrap

    bootstrap.prepare()
    from cellseg_app.app import make_application, make_window

    app = make_application()
    bootstrap.load_engine_libraries()
    window = make_window(app, work / "window.json")
    window.show()
    app.processEvents()
    dog = Watchdog()

    def until(condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 900
        while not condition() and time.monotonic() < end:
            app.processEvents()
            time.sleep(0.0005)

    def rest(seconds: float) -> None:
        end = time.monotonic() + seconds
        until(lambda: time.monotonic() > end)

    rest(5.0)
    dog.report("idle, for comparison")
    window.load_engine()
    until(lambda: not window.desk.lanes.engine.busy)
    dog.report("loading the engine")
    window.form_control.set_value(("output_folder",), str(work / "out"))
    window.volumes.open_sample()
    until(lambda: window.scene.reading is not None)
    rest(1.0)
    dog.report("opening the sample")
    window.actions_by_key["preview"].trigger()
    until(lambda: not window.runs.is_running)
    rest(1.0)
    dog.report("preview")
    window.actions_by_key["start"].trigger()
    until(lambda: not window.runs.is_running)
    until(lambda: window.scene.result is not None)
    rest(1.0)
    dog.report("run")
    for step in range(40):
        window.form_control.set_value(("run", "threshold", "threshold"), 0.3 + step / 100)
        rest(0.1)
    until(lambda: not window.desk.lanes.tuning.busy)
    rest(0.5)
    dog.report("moving the threshold")
    window.close()
    bootstrap.finish()


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--stalls", action="store_true")
    parser.add_argument("--program", type=Path, help="a frozen program instead of these sources")
    parser.add_argument("--within", type=float, nargs=2, metavar="SECONDS")
    arguments = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    with tempfile.TemporaryDirectory() as name:
        os.environ["CELLSEG_DATA"] = name
        if arguments.program:
            best = measure_program(arguments.program, arguments.runs, dict(os.environ))
            if arguments.within and any(map(operator.gt, best, arguments.within)):
                sys.exit(f"Slower than {arguments.within} s.")
            return
        measure_start(arguments.runs, dict(os.environ))
        if arguments.stalls:
            measure_stalls(Path(name))


if __name__ == "__main__":
    main()
