"""What the training commands show."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

from cellseg_app.core.progress import Progress, ProgressSink


@contextlib.contextmanager
def bars() -> Iterator[ProgressSink]:
    """A bar for each stage on the error stream; without a terminal, the log's sentences alone."""
    from rich.console import Console
    from rich.logging import RichHandler
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True, soft_wrap=True)
    handler = RichHandler(console=console, show_path=False, markup=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    logging.getLogger("cellseg_app.training").setLevel(logging.INFO)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[message]}"),
    )
    with Bars(*columns, console=console, disable=not console.is_terminal) as shown:
        tasks: dict[str, Any] = {}

        def show(report: Progress) -> None:
            if report.stage not in tasks:
                tasks[report.stage] = shown.add_task(report.stage, total=report.total, message="")
            shown.update(tasks[report.stage], completed=report.done, message=report.message)

        yield show
