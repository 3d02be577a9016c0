"""What the command line shows: progress bars for people, JSON lines for programs."""

from __future__ import annotations

import json
import logging
import sys
from types import TracebackType
from typing import Any, Protocol

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from cellseg_app.core.progress import Progress as Report


class Display(Protocol):
    """Where a command tells what it is doing."""

    def progress(self, report: Report) -> None:
        """Show one progress report."""

    def event(self, kind: str, text: str, **values: Any) -> None:  # noqa: ANN401
        """Say that something happened: `text` for people, `values` for programs."""

    def __enter__(self) -> Display: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class TerminalDisplay:
    """Bars and sentences; the bars only where a person is watching."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, soft_wrap=True)
        self._bars = Progress(
            TextColumn("{task.description:<16}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TextColumn("{task.fields[pace]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> TerminalDisplay:
        handler = RichHandler(console=self._console, show_path=False, markup=False)
        # Notes reach the user as events; the log of a batch, which has them too, is a file.
        handler.setLevel(logging.WARNING)
        logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def progress(self, report: Report) -> None:
        """Move the bar of the report's stage."""
        if report.done == 0 or report.stage not in self._tasks:
            self._remove(report.stage)
            self._tasks[report.stage] = self._bars.add_task(
                report.stage, total=report.total, pace=""
            )
        self._bars.update(
            self._tasks[report.stage],
            completed=report.done,
            total=report.total,
            pace=pace(report),
        )

    def event(self, kind: str, text: str, **values: Any) -> None:  # noqa: ANN401
        """Print the sentence; what was found goes to standard output, all else beside it."""
        if kind == "result":
            print(text, file=sys.stdout, flush=True)  # noqa: T201
        else:
            style = {"error": "red", "warning": "yellow"}.get(kind)
            self._bars.console.print(text, style=style, highlight=False, markup=False)
        if kind in ("result", "error"):
            for stage in list(self._tasks):
                self._remove(stage)

    def _remove(self, stage: str) -> None:
        task = self._tasks.pop(stage, None)
        if task is not None:
            self._bars.remove_task(task)


class JsonDisplay:
    """One JSON object a line on standard output."""

    def __enter__(self) -> JsonDisplay:
        handler = logging.StreamHandler(sys.stderr)
        # As in `TerminalDisplay`.
        handler.setLevel(logging.WARNING)
        logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return

    def progress(self, report: Report) -> None:
        """Print the report."""
        _print_line(
            {
                "event": "progress",
                "stage": report.stage,
                "done": report.done,
                "total": report.total,
                "message": report.message,
                "seconds_per_step": report.seconds_per_step,
                "remaining_s": report.remaining_s,
            }
        )

    def event(self, kind: str, text: str, **values: Any) -> None:  # noqa: ANN401
        """Print the event."""
        _print_line({"event": kind, "text": text, **values})


def display_for(*, as_json: bool) -> TerminalDisplay | JsonDisplay:
    """Return the display that the user asked for."""
    return JsonDisplay() if as_json else TerminalDisplay()


def pace(report: Report) -> str:
    """Speed and remaining time, in words."""
    if report.seconds_per_step is None or report.remaining_s is None:
        return ""
    left = round(report.remaining_s)
    clock = f"{left // 3600}:{left // 60 % 60:02}:{left % 60:02}"
    return f"{report.seconds_per_step:.2f} s each, {clock} left"


def _print_line(values: dict[str, Any]) -> None:
    print(json.dumps(values, default=str, ensure_ascii=False), flush=True)  # noqa: T201
