"""Threshold, class and instances without running the network again."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QObject, QTimer, Signal

from cellseg_app.core.blocks import region_shape, whole
from cellseg_app.core.errors import UserError
from cellseg_app.core.progress import Progress
from cellseg_app.state.run_share import RunShare
from cellseg_app.ui.controllers.scene import SceneController
from cellseg_app.ui.desk import Desk
from cellseg_app.ui.forms.field_specs import FieldPath
from cellseg_app.ui.panels.run_bar import RunBar
from cellseg_app.workers.lane import JobHandle
from cellseg_app.workers.live import LiveCells, tuning

# Long enough to gather the moves of a slider, short enough to feel immediate.
_DELAY_MS: Final = 60
_SECTIONS: Final = ("threshold", "instances")


class TuningController(QObject):
    """Re-segments the visible crop at once, then everything; newer requests replace older ones.

    Signals
    -------
    class_asked
        The user wants the cells of this class.
    measured
        A new table of all cells, of the whole map.
    started
        Cells are being told apart anew.
    changed
        The cells shown are not those of a file any more.
    """

    class_asked = Signal(int)
    measured = Signal(object)
    started = Signal()
    changed = Signal()

    def __init__(self, desk: Desk, scene: SceneController, bar: RunBar) -> None:
        super().__init__()
        self._desk, self._scene, self._bar = desk, scene, bar
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DELAY_MS)
        self._timer.timeout.connect(self._start)
        self._is_changed = False
        self.labelled_class: int | None = None
        self.live: LiveCells | None = None
        scene.map_changed.connect(self._on_map_changed)
        scene.viewer.class_changed.connect(self._on_class_changed)
        desk.actions["segment_class"].triggered.connect(
            lambda: self.class_asked.emit(scene.viewer.state.class_index)
        )

    @property
    def is_changed(self) -> bool:
        """Whether the cells shown are not those of a file."""
        return self._is_changed

    def acts_on(self, path: FieldPath) -> bool:
        """Whether a field of the form matters for the map that is shown."""
        is_relevant = len(path) == 0 or (path[0] == "run" and path[1] in _SECTIONS)
        return is_relevant and self._scene.tunable is not None

    def on_form_edited(self, path: FieldPath) -> None:
        """Re-segment if the field matters after the network."""
        if self.acts_on(path):
            self._timer.start()

    def _start(self) -> None:
        source, region = self._scene.tunable, self._scene.visible_map_crop()
        if source is None or region is None:
            return
        self._is_changed = True
        self.started.emit()
        settings = self._desk.session.form.run
        is_all = region_shape(region) == source.shape_zyx
        handle = self._desk.lanes.tuning.submit_latest(
            "Finding cells in view", tuning(source, settings, region, measure=is_all)
        )
        handle.finished.connect(self._on_all_done if is_all else self._on_crop_done)
        self._follow(handle)
        self._bar.show_count(self._bar.count.text() or "…", "finding cells…", can_apply=False)

    def _follow(self, handle: JobHandle) -> None:
        handle.failed.connect(self._desk.warn)
        handle.failed.connect(lambda error: self._bar.show_count("–", str(error), can_apply=False))

    def _on_crop_done(self, cells: LiveCells) -> None:
        self._scene.show_live(cells)
        shape = " × ".join(str(n) for n in cells.labels.shape)
        self._bar.show_count(
            count_sentence(cells.n_cells, "in view"),
            f"{shape} voxels around the crosshair; everything follows…",
            can_apply=False,
        )
        source = self._scene.tunable
        if source is None:
            return
        settings = self._desk.session.form.run
        handle = self._desk.lanes.tuning.submit_latest(
            "Finding cells", tuning(source, settings, whole(source.shape_zyx), measure=True)
        )
        share = RunShare(has_network=False)
        handle.progressed.connect(lambda report: self._on_all_progress(cells, share, report))
        handle.finished.connect(self._on_all_done)
        handle.failed.connect(lambda error: self._on_all_failed(cells, error))

    def _on_all_progress(self, in_view: LiveCells, share: RunShare, report: Progress) -> None:
        share.take(report)
        state = f"everything follows: {report.stage}, {share.volume:.0%}"
        count = count_sentence(in_view.n_cells, "in view")
        self._bar.show_count(count, state, can_apply=False)

    def _on_all_failed(self, in_view: LiveCells, error: UserError) -> None:
        # Saving them needs no second copy of everything.
        state = f"{error} Only the part in view was done; Apply here does all of it."
        self._bar.show_count(count_sentence(in_view.n_cells, "in view"), state, can_apply=True)
        self.changed.emit()

    def _on_all_done(self, cells: LiveCells) -> None:
        self._scene.show_live(cells)
        self.labelled_class, self.live = cells.class_index, cells
        is_preview = self._scene.preview is not None
        where = "in the preview" if is_preview else ""
        state = f"Threshold {cells.threshold:.2f}, {cells.seconds:.1f} s"
        state = state if is_preview else f"{state}; not saved yet"
        self._bar.show_count(count_sentence(cells.n_cells, where), state, can_apply=not is_preview)
        self._offer_class()
        self.changed.emit()
        self.measured.emit(cells)

    def _on_map_changed(self) -> None:
        self._timer.stop()
        self._desk.lanes.tuning.cancel_all()
        self._is_changed, self.live = False, None
        self.show_count()
        self._offer_class()

    def show_count(self) -> None:
        """Show how many cells the preview has, or the result's files."""
        scene = self._scene
        if scene.preview is not None:
            cells = scene.preview.cells
            self.labelled_class = cells.class_index
            text = count_sentence(cells.n_cells, "in the preview")
            self._bar.show_count(
                text,
                "Change threshold or instances to see their effect; Start runs everything.",
                can_apply=False,
            )
        elif scene.result is not None and scene.result.record.n_cells is not None:
            used = scene.result.record.used
            self.labelled_class = scene.result.foreground_class
            state = "Change threshold or instances to see their effect."
            if scene.result.map is None:
                state = "The probability was not saved, so nothing can be tuned."
            elif used.threshold is not None:
                state = f"Threshold {used.threshold:.2f}. {state}"
            self._bar.show_count(
                count_sentence(scene.result.record.n_cells, ""), state, can_apply=False
            )
        else:
            self.labelled_class = None
            self._bar.show_count("", "", can_apply=False)

    def _on_class_changed(self, _index: int) -> None:
        self._offer_class()

    def _offer_class(self) -> None:
        shown = self._scene.viewer.state.class_index
        source = self._scene.tunable
        has_classes = source is not None and source.probability.shape[0] > 1
        is_other = has_classes and self.labelled_class != shown
        self._bar.offer_class(shown if is_other else None)
        self._desk.actions["segment_class"].setEnabled(is_other)


def count_sentence(n: int, where: str) -> str:
    """A number of cells for people."""
    return f"{n:,} {'cell' if n == 1 else 'cells'} {where}".strip()
