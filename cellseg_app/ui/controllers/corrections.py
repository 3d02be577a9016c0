"""Correcting cells by hand: delete, merge, split, undo, save, and asking before they are lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QInputDialog, QWidget

from cellseg_app.core.edits import MOST_PARTS, Edit, edits_sentence
from cellseg_app.core.progress import Progress
from cellseg_app.core.results import RunResult
from cellseg_app.ui.availability import CorrectionState, why_not_corrected
from cellseg_app.ui.controllers.results import ResultsController
from cellseg_app.ui.controllers.scene import SceneController
from cellseg_app.ui.controllers.tuning import TuningController, count_sentence
from cellseg_app.ui.desk import Desk
from cellseg_app.ui.dialogs.questions import what_of_corrections
from cellseg_app.ui.dialogs.waiting import wait_for
from cellseg_app.ui.forms.field_specs import FieldPath
from cellseg_app.ui.panels.message_bar import Offer
from cellseg_app.ui.panels.run_bar import RunBar
from cellseg_app.ui.qt_actions import set_possible
from cellseg_app.workers.corrections import CorrectedCells, Corrector
from cellseg_app.workers.jobs import Work
from cellseg_app.workers.lane import JobHandle

_FEW_PARTS: Final = 3


class CorrectionsController(QObject):
    """Sends edits to their lane in the order they are asked for, and shows what comes back."""

    def __init__(
        self,
        desk: Desk,
        scene: SceneController,
        results: ResultsController,
        *,
        tuning: TuningController,
        bar: RunBar,
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._desk, self._scene, self._results = desk, scene, results
        self._tuning, self._bar, self._window = tuning, bar, parent
        self._corrector: Corrector | None = None
        self._edits: tuple[Edit, ...] = ()
        self._n_undone = 0
        self._waiting: set[JobHandle] = set()
        self._is_saving = False
        desk.may_leave = self.may_leave
        scene.map_changed.connect(self._on_map_changed)
        desk.cells.chosen_changed.connect(self.refresh)
        scene.viewer.state.events.mode.connect(self.refresh)
        tuning.started.connect(self._on_tuning_started)
        slots = {
            "delete_cells": self.delete,
            "merge_cells": self.merge,
            "split_cell": self.split,
            "split_cell_into": self.ask_split,
            "undo": self.undo,
            "redo": self.redo,
            "save_corrections": self.save,
        }
        for key, slot in slots.items():
            desk.actions[key].triggered.connect(lambda _=False, do=slot: do())
        self.refresh()

    @property
    def is_unsaved(self) -> bool:
        """Whether there are corrections that no file holds."""
        return bool(self._edits or self._waiting)

    # ---- What the user asks for ----

    def delete(self) -> None:
        """Delete the chosen cells."""
        labels = self._desk.cells.chosen
        self._submit("Deleting cells", lambda corrector: corrector.deleting(labels))

    def merge(self) -> None:
        """Make the chosen cells one."""
        labels = self._desk.cells.chosen
        self._submit("Merging cells", lambda corrector: corrector.merging(labels))

    def split(self, n: int = 2) -> None:
        """Divide the chosen cell."""
        label = self._desk.cells.chosen[0]
        self._submit("Splitting a cell", lambda corrector: corrector.splitting(label, n))

    def ask_split(self) -> None:
        """Let the user say into how many parts the chosen cell is divided."""
        n, is_given = QInputDialog.getInt(
            self._window, "Split cell", "Number of parts:", _FEW_PARTS, 2, MOST_PARTS
        )
        if is_given:
            self.split(n)

    def undo(self) -> None:
        """Take the last edit back."""
        self._submit("Undoing", Corrector.undoing)

    def redo(self) -> None:
        """Do again what was taken back last."""
        self._submit("Redoing", Corrector.redoing)

    def save(self) -> bool:
        """Write the corrected result, show it, and say whether that succeeded.

        It ends with the writing; the window goes on meanwhile, but neither corrects nor leaves.
        """
        if self._corrector is None or self._is_saving:
            return False
        before = self._corrector.result.record_path
        handle = self._desk.lanes.edits.submit("Saving corrections", self._corrector.saving())
        handle.failed.connect(self._desk.warn)
        handle.noted.connect(self._desk.messages.tell)
        self._set_saving(True)
        saved = wait_for(handle, self._window)
        self._set_saving(False)
        if not isinstance(saved, RunResult):
            return False
        self._forget()
        record, n = saved.files.record, saved.n_cells
        for item in self._desk.session.items:
            if item.record == before:
                self._desk.session.change(
                    item.path, record=record, n_cells=n, text=count_sentence(n, "")
                )
        self._desk.messages.tell(f"Saved {record}")
        self._results.show_record(record)
        return True

    def discard(self) -> None:
        """Show the result as its files are."""
        if self._corrector is not None:
            result = self._corrector.result
            self._forget()
            self._results.show_result(result)

    # ---- Before corrections would be lost ----

    def may_leave(self) -> bool:
        """Ask what becomes of unsaved corrections; says whether they may go out of sight."""
        if self._is_saving:
            return False
        if not self.is_unsaved:
            return True
        answer = what_of_corrections(self._window)
        if answer == "save":
            return self.save()
        if answer == "discard":
            self.discard()
        return answer == "discard"

    def may_tune(self, path: FieldPath) -> bool:
        """Whether cells may be told apart anew; if corrections forbid it, offer what to do."""
        if not self._tuning.acts_on(path) or not self.is_unsaved:
            return True

        def discard() -> None:
            self.discard()
            self._tuning.on_form_edited(path)

        self._desk.messages.tell(
            "Telling the cells apart anew would lose your corrections.",
            Offer("Save corrections", self.save),
            Offer("Discard them", discard),
        )
        return False

    def when_saved(self, show: Callable[[], None]) -> None:
        """Show something else now, or offer it if there are corrections to save first."""
        if not self.is_unsaved:
            show()
            return
        self._desk.messages.tell(
            "There is a new result of this volume; the one shown has corrections of yours.",
            Offer("Show the new one", lambda: show() if self.may_leave() else None),
        )

    # ---- Private ----

    def refresh(self, *_: object) -> None:
        """Enable what can be done now; the others say why not."""
        scene = self._scene
        state = CorrectionState(
            has_labels=scene.result is not None and scene.result.labels is not None,
            is_preview=scene.preview is not None,
            is_tuned=self._tuning.is_changed,
            is_compared=scene.viewer.state.mode == "grid",
            is_saving=self._is_saving,
            n_chosen=len(self._desk.cells.chosen),
            n_edits=len(self._edits),
            n_undone=self._n_undone,
        )
        for key, reason in why_not_corrected(state).items():
            set_possible(self._desk.actions[key], reason)

    def _submit(self, title: str, work_of: Callable[[Corrector], Work]) -> None:
        if self._corrector is None:
            assert self._scene.result is not None
            self._corrector = Corrector(self._scene.result)
        corrector = self._corrector
        handle = self._desk.lanes.edits.submit(title, work_of(corrector))
        self._waiting.add(handle)
        # What is chosen now belongs to the cells before.
        self._desk.cells.choose(None)
        handle.progressed.connect(self._on_progressed)
        handle.noted.connect(self._desk.messages.tell)
        handle.finished.connect(self._on_done)
        handle.failed.connect(self._desk.warn)
        handle.ended.connect(lambda: self._waiting.discard(handle))

    def _on_done(self, cells: CorrectedCells) -> None:
        self._edits, self._n_undone = cells.edits, cells.n_undone
        self._results.show_corrected(cells)
        self._show_count(cells)
        self.refresh()

    def _show_count(self, cells: CorrectedCells) -> None:
        if not cells.edits:
            self._tuning.show_count()
            return
        state = f"{edits_sentence(cells.edits)} Not saved yet."
        count = count_sentence(cells.n_cells, "")
        self._bar.show_count(count, state, can_apply=False, can_save=True)

    def _on_progressed(self, report: Progress) -> None:
        share = report.done / report.total if report.total > 0 else 0
        self._bar.show_count(
            self._bar.count.text(), f"{report.stage}, {share:.0%}", can_apply=False
        )

    def _on_map_changed(self) -> None:
        is_other = self._corrector is not None and self._scene.result is not self._corrector.result
        if is_other or self._scene.preview is not None:
            self._forget()
        self.refresh()

    def _on_tuning_started(self) -> None:
        self._forget()
        self.refresh()

    def _set_saving(self, is_saving: bool) -> None:
        self._is_saving = is_saving
        self.refresh()

    def _forget(self) -> None:
        for handle in self._waiting:
            handle.blockSignals(True)
            handle.cancel()
        self._waiting.clear()
        self._corrector, self._edits, self._n_undone = None, (), 0
        self.refresh()
