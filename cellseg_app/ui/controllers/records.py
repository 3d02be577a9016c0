"""Earlier runs: looking at one, and running it again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QFileDialog, QWidget

from cellseg_app.core.errors import UserError
from cellseg_app.io.run_record import RunRecord, read_record
from cellseg_app.ui.controllers.form_controller import FormController
from cellseg_app.ui.controllers.volumes import VolumesController
from cellseg_app.ui.desk import Desk

_FILTER: Final = "Run record (*.json)"


class RecordsController(QObject):
    """Opens run records."""

    def __init__(
        self, desk: Desk, volumes: VolumesController, form: FormController, *, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self._desk, self._volumes, self._form, self._window = desk, volumes, form, parent

    def ask_open(self) -> None:
        """Let the user choose a result to look at."""
        chosen, _ = QFileDialog.getOpenFileName(self._window, "Open result", "", _FILTER)
        if chosen:
            self.open(Path(chosen))

    def open_paths(self, paths: Sequence[Path]) -> None:
        """Open volumes and folders of them; of run records (.json), show the results."""
        records = [path for path in paths if path.suffix.lower() == ".json"]
        for path in records:
            self.open(path)
        volumes = [path for path in paths if path not in records]
        if volumes:
            self._volumes.open(volumes)

    def open(self, path: Path) -> None:
        """Show an earlier run."""
        record = self._read(path)
        if record is None or not self._desk.may_leave():
            return
        session, source = self._desk.session, Path(record.input.path)
        session.add([source])
        text = "Done" if record.n_cells is None else f"{record.n_cells:,} cells"
        size = record.settings.data.voxel_size_um_zyx
        session.change(
            source,
            state="done",
            record=path,
            n_cells=record.n_cells,
            text=text,
            voxel_size_um_zyx=size,
        )
        if session.current == source:
            self._volumes.read_again(always=True)
        session.current = source

    def ask_rerun(self) -> None:
        """Let the user choose a run to repeat."""
        chosen, _ = QFileDialog.getOpenFileName(self._window, "Re-run from record", "", _FILTER)
        if chosen:
            self.rerun(Path(chosen))

    def rerun(self, path: Path) -> None:
        """Take volume and settings of an earlier run; Start runs it again."""
        from cellseg_app.pipeline.recording import settings_to_repeat

        record = self._read(path)
        if record is None:
            return
        settings, source = settings_to_repeat(record), Path(record.input.path)
        # The voxel size belongs to that volume, everything else to the form.
        self._form.take_run(settings.with_voxel_size(None))
        self._volumes.open([source], voxel_size_um_zyx=settings.data.voxel_size_um_zyx)
        self._desk.messages.tell(f"Settings of {path.name} are in the form; Start runs it again.")

    def _read(self, path: Path) -> RunRecord | None:
        try:
            return read_record(path)
        except UserError as error:
            self._desk.warn(error)
            return None
