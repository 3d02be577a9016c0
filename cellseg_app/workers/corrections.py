"""Corrections of cells by hand while the window shows them: done, undone, saved, in a lane."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellseg_app.core.cell_columns import frame_of
from cellseg_app.core.edits import DeleteCells, Edit, MergeCells
from cellseg_app.core.volume import LazyArray
from cellseg_app.io.run_record import RunRecord
from cellseg_app.state.display import Change
from cellseg_app.workers.files import CoarserLevel
from cellseg_app.workers.jobs import JobContext, Work
from cellseg_app.workers.results import LoadedResult
from cellseg_app.workers.runs import reporting

if TYPE_CHECKING:
    from cellseg_app.analysis.edited_labels import EditedLabels
    from cellseg_app.analysis.edits import LabelEdits
    from cellseg_app.core.results import RunResult
    from cellseg_app.pipeline.correctable import Correctable


@dataclass(frozen=True, slots=True, eq=False)
class CorrectedCells:
    """The cells of a result after corrections; later ones do not change it.

    Attributes
    ----------
    labels, coarser
        (Z, Y, X), and the same at lower resolutions.
    change
        In what the labels differ from those before the last step.
    table
        One row per cell; None if the result has none.
    edits
        All that was done and not undone.
    record
        Of the result with these edits; names the result's own files, for no others are written.
    n_undone
        How much can be done again.
    named
        Ids of cells that the last step was about, as far as they are there now.
    """

    labels: LazyArray
    coarser: tuple[CoarserLevel, ...]
    change: Change
    table: pd.DataFrame | None
    n_cells: int
    edits: tuple[Edit, ...]
    record: RunRecord
    n_undone: int
    named: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """An edit, and the rows that its cells have on the other side of it."""

    edit: Edit
    rows: pd.DataFrame | None


@dataclass(slots=True, eq=False)
class _Begun:
    opened: Correctable
    edits: LabelEdits
    table: pd.DataFrame | None


class Corrector:
    """Corrections of one result. Its work must run in one lane, which alone changes it.

    Parameters
    ----------
    result
        What is corrected; its files are not changed.
    """

    def __init__(self, result: LoadedResult) -> None:
        self.result = result
        self._begun: _Begun | None = None
        self._done: list[_Step] = []
        self._undone: list[_Step] = []
        self._given: EditedLabels | None = None

    def deleting(self, labels: Sequence[int]) -> Work:
        """Work that deletes cells; gives the `CorrectedCells`, as the works below."""
        return self._doing(lambda _: DeleteCells(labels=tuple(labels)))

    def merging(self, labels: Sequence[int]) -> Work:
        """Work that makes cells one."""
        return self._doing(lambda _: MergeCells(labels=tuple(labels)))

    def splitting(self, label: int, n: int) -> Work:
        """Work that divides a cell at its narrowest places."""
        return self._doing(lambda edits: edits.split(label, n))

    def undoing(self) -> Work:
        """Work that takes the last edit back."""
        return self._stepping(self._done, self._undone, lambda edits, _: edits.undo())

    def redoing(self) -> Work:
        """Work that does again what was undone last."""
        return self._stepping(self._undone, self._done, lambda edits, edit: edits.apply(edit))

    def saving(self) -> Work:
        """Work that writes the corrected result beside the other; gives its `RunResult`."""

        def work(context: JobContext) -> RunResult:
            from cellseg_app.pipeline.corrections import save_corrections

            begun = self._begin(context)
            # What was touched is measured anew, at one go, as `cellseg correct` does.
            return save_corrections(begun.opened, begun.edits, reporting(context))

        return work

    def _stepping(
        self,
        come_from: list[_Step],
        go_to: list[_Step],
        step_over: Callable[[LabelEdits, Edit], object],
    ) -> Work:
        def work(context: JobContext) -> CorrectedCells:
            begun = self._begin(context)
            if not come_from:
                return self._cells(begun, ())
            step = come_from.pop()
            step_over(begun.edits, step.edit)
            go_to.append(_Step(step.edit, self._swap_rows(begun, step)))
            return self._cells(begun, _named(step.edit))

        return work

    def _doing(self, edit_of: Callable[[LabelEdits], Edit]) -> Work:
        def work(context: JobContext) -> CorrectedCells:
            from cellseg_app.pipeline.corrections import corrected_table

            begun = self._begin(context)
            edit = edit_of(begun.edits)
            before = _rows(begun.table, edit)
            begun.edits.apply(edit)
            try:
                if begun.table is not None:
                    begun.table = corrected_table(
                        begun.table,
                        begun.edits,
                        begun.opened.measured,
                        reporting(context),
                        ids=_named(edit),
                    )
            except BaseException:
                begun.edits.undo()
                raise
            self._done.append(_Step(edit, before))
            self._undone.clear()
            return self._cells(begun, _named(edit))

        return work

    def _begin(self, context: JobContext) -> _Begun:
        from cellseg_app.pipeline.correctable import open_correctable

        if self._begun is None:
            path, columns = self.result.record_path, self.result.table
            table = None if columns is None else frame_of(columns)
            opened = open_correctable(path, reporting(context), table=table)
            for note in opened.notes:
                context.note(note)
            self._begun = _Begun(opened, opened.begin(), opened.table)
        return self._begun

    def _swap_rows(self, begun: _Begun, step: _Step) -> pd.DataFrame | None:
        """Put a step's rows into the table; returns those that were there."""
        from cellseg_app.analysis.remeasure import with_rows

        before = _rows(begun.table, step.edit)
        if begun.table is not None and step.rows is not None:
            there = set(step.rows["label"].tolist())
            gone = [label for label in _named(step.edit) if label not in there]
            begun.table = with_rows(begun.table, step.rows, gone)
        return before

    def _cells(self, begun: _Begun, named: tuple[int, ...]) -> CorrectedCells:
        from cellseg_app.analysis.edited_labels import EditedLabels
        from cellseg_app.pipeline.corrections import corrected_record

        labels, edits = begun.edits.labels, begun.edits
        coarser = tuple(
            CoarserLevel(EditedLabels(c.data, labels.rewrites, c.factor_zyx), c.factor_zyx)
            for c in self.result.coarser_labels
        )
        given, self._given = self._given, labels
        before, rewrites = (self.result.labels, ()) if given is None else (given, given.rewrites)
        assert before is not None
        return CorrectedCells(
            labels,
            coarser,
            Change(before, labels.changed_since(rewrites)),
            begun.table,
            edits.n_cells,
            edits.edits,
            corrected_record(begun.opened, edits),
            len(self._undone),
            tuple(label for label in named if edits.has(label)),
        )


def _named(edit: Edit) -> tuple[int, ...]:
    from cellseg_app.analysis.edits import concerned

    return concerned(edit)


def _rows(table: pd.DataFrame | None, edit: Edit) -> pd.DataFrame | None:
    if table is None:
        return None
    places = np.flatnonzero(np.isin(table["label"].to_numpy(np.int64), _named(edit)))
    return table.take(places)
