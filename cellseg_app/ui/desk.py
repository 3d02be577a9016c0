"""What every controller needs: state, settings, lanes, actions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from PySide6.QtGui import QAction

from cellseg_app.core.errors import UserError
from cellseg_app.state.session import Session
from cellseg_app.state.settings import UserSettings, write_settings
from cellseg_app.ui.cells import Cells
from cellseg_app.ui.panels.message_bar import MessageBar
from cellseg_app.ui.theme import Appearance
from cellseg_app.ui.turns import Turns
from cellseg_app.workers.lane import JobHandle, Lane
from cellseg_app.workers.runs import NetworkShelf


@dataclass
class Lanes:
    """The threads: long engine work, re-segmenting while sliders move, corrections, files.

    A run must not keep a volume from opening, nor a slider from answering.
    """

    engine: Lane = field(default_factory=lambda: Lane("engine"))
    edits: Lane = field(default_factory=lambda: Lane("edits"))
    tuning: Lane = field(default_factory=lambda: Lane("tuning"))
    files: Lane = field(default_factory=lambda: Lane("files"))

    @property
    def all(self) -> tuple[Lane, ...]:
        """Every lane."""
        return self.engine, self.tuning, self.edits, self.files

    def stop(self) -> None:
        """Cancel everything and end the threads."""
        for lane in self.all:
            lane.cancel_all()
        for lane in self.all:
            lane.stop()


@dataclass
class Desk:
    """Shared by the controllers of one main window."""

    session: Session
    user: UserSettings
    settings_file: Path
    appearance: Appearance
    cells: Cells
    lanes: Lanes
    shelf: NetworkShelf
    actions: Mapping[str, QAction]
    messages: MessageBar
    turns: Turns = field(default_factory=Turns)
    # Asked before what is shown makes room for something else: the user may want to stay.
    may_leave: Callable[[], bool] = field(default=lambda: True)

    def remember(self, **changes: object) -> None:
        """Change what is remembered from one start to the next, and save it soon.

        Not at once: a disk may take longer to say that it is written than a window may stall.
        """
        self.user = self.user.model_copy(update=changes)
        file, user = self.settings_file, self.user
        self.lanes.files.submit("Saving settings", lambda _: write_settings(file, user))

    def remember_last(self, **changes: object) -> None:
        """The same once the lanes have ended: what they had not saved yet is saved with it."""
        self.user = self.user.model_copy(update=changes)
        write_settings(self.settings_file, self.user)

    def watch(self, handle: JobHandle, done: Callable[[object], None]) -> JobHandle:
        """Call `done` with the job's result, and show its failure if it has one."""
        handle.finished.connect(done)
        handle.failed.connect(self.warn)
        return handle

    def warn(self, error: UserError) -> None:
        """Show an expected failure."""
        self.messages.warn(error)
