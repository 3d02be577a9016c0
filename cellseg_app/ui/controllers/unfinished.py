"""Runs that did not end, offered to go on with at the next start."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject

from cellseg_app.core.sources import may_be_there
from cellseg_app.state.unfinished import (
    UnfinishedBatch,
    forget_batch,
    read_batch,
    unfinished_path,
)
from cellseg_app.ui.controllers.run_texts import volumes_text
from cellseg_app.ui.controllers.runs import RunController
from cellseg_app.ui.desk import Desk
from cellseg_app.ui.panels.message_bar import Offer


class UnfinishedController(QObject):
    """Reads the note that every run leaves until it ends."""

    def __init__(self, desk: Desk, runs: RunController) -> None:
        super().__init__()
        self._desk, self._runs = desk, runs

    def offer(self) -> None:
        """Offer to go on with a batch that did not end."""
        batch = read_batch(unfinished_path())
        if batch is None:
            return
        self._desk.messages.tell(
            f"A run of {volumes_text(len(batch.sources))} did not end "
            f"(results in {batch.output_folder}).",
            Offer("Resume", lambda: self.resume(batch)),
            Offer("Forget it", lambda: forget_batch(unfinished_path())),
        )

    def resume(self, batch: UnfinishedBatch) -> None:
        """Go on with a batch of an earlier start of the program."""
        session = self._desk.session
        sources = [path for path in batch.paths if may_be_there(path)]
        session.add(sources)
        for source, size in batch.voxel_sizes_um_zyx.items():
            session.change(Path(source), voxel_size_um_zyx=size)
        session.current = session.current or sources[0]
        self._runs.run(sources, Path(batch.output_folder), batch.settings)
