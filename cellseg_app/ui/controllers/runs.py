"""Preview, estimate, start, cancel, apply, resume."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Signal

from cellseg_app.core.errors import UserError
from cellseg_app.core.progress import Progress
from cellseg_app.core.results import RunFailure
from cellseg_app.core.settings import RunSettings
from cellseg_app.core.sources import folder_beside, shown
from cellseg_app.io.naming import is_corrected_name
from cellseg_app.state.run_share import RunShare
from cellseg_app.state.session import QueueItem
from cellseg_app.state.unfinished import forget_batch, unfinished_path
from cellseg_app.ui.controllers.run_texts import outcome, settings_sentence, volumes_text
from cellseg_app.ui.controllers.scene import SceneController
from cellseg_app.ui.desk import Desk
from cellseg_app.ui.dialogs.questions import may_lose_corrections
from cellseg_app.ui.panels.message_bar import Offer
from cellseg_app.ui.panels.progress_panel import ProgressPanel
from cellseg_app.workers.jobs import Work
from cellseg_app.workers.lane import JobHandle
from cellseg_app.workers.preview import Preview, previewing
from cellseg_app.workers.runs import (
    ClusterJoined,
    Resegmented,
    estimating,
    resegmenting,
    running_batch,
)

if TYPE_CHECKING:
    from cellseg_app.pipeline.batch import BatchEvent, BatchResult
    from cellseg_app.pipeline.estimate import Estimate

_log = logging.getLogger(__name__)
_FOLDER_NAME: Final = "CellSeg results"


class RunController(QObject):
    """The engine's lane: one job at a time.

    Signals
    -------
    running_changed
        Whether something runs.
    progress_changed
        Fraction of the whole, 0 to 1, or None when nothing runs; for the window's title.
    previewed
        A `Preview` is there.
    volume_done
        Path of a volume and of its record.
    batch_done
        All volumes of a batch were tried.
    estimated
        The estimate as a sentence.
    """

    running_changed = Signal(bool)
    progress_changed = Signal(object)
    previewed = Signal(object)
    volume_done = Signal(object, object)
    batch_done = Signal()
    estimated = Signal(str)

    def __init__(self, desk: Desk, scene: SceneController, panel: ProgressPanel) -> None:
        super().__init__()
        self._desk, self._scene, self._panel = desk, scene, panel
        self._handle: JobHandle | None = None
        self._share = RunShare()
        self._running: Path | None = None
        self._keeps_note = False

    @property
    def is_running(self) -> bool:
        """Whether something runs that can be cancelled."""
        return self._handle is not None

    def output_folder(self, sources: Sequence[Path]) -> Path:
        """Where results of these volumes go."""
        chosen = self._desk.session.form.output_folder
        return Path(chosen).expanduser() if chosen else folder_beside(sources[0]) / _FOLDER_NAME

    # ---- What the user asks for ----

    def preview(self) -> None:
        """Run the visible crop of the current volume."""
        item, region = self._desk.session.current_item, self._scene.visible_crop()
        if item is None or region is None or self.is_running or not self._desk.may_leave():
            return
        self._scene.viewer.set_preview_box(region)
        settings = self._desk.session.run_settings(item.path)
        work = previewing(self._desk.shelf, item.path, settings=settings, region=region)
        handle = self._begin(f"Preview of {item.path.name}", work)
        handle.finished.connect(self._on_previewed)

    def estimate(self) -> None:
        """Say what a run of the current volume needs."""
        item = self._desk.session.current_item
        if item is None or self.is_running:
            return
        work = estimating(
            self._desk.shelf,
            item.path,
            output_folder=self.output_folder([item.path]),
            settings=self._desk.session.run_settings(item.path),
        )
        handle = self._begin(f"Estimating {item.path.name}", work)
        handle.finished.connect(self._on_estimated)

    def start(self, sources: Sequence[Path] | None = None) -> None:
        """Run volumes; all of the list that can be run if none are named."""
        session = self._desk.session
        if sources is None:
            sources = [item.path for item in session.items if item.runnable]
        if sources and not self.is_running and self._desk.may_leave():
            self.run(sources, self.output_folder(sources), session.form.run)

    def retry_failed(self) -> None:
        """Run the volumes that failed or were cancelled."""
        items = self._desk.session.items
        self.start([item.path for item in items if item.state in ("failed", "cancelled")])

    def apply_here(self) -> None:
        """Save the cells of the current volume with the settings at hand."""
        item = self._desk.session.current_item
        self._apply([] if item is None else [item])

    def apply_all(self) -> None:
        """Save the cells of every volume with the settings at hand."""
        self._apply(self._desk.session.items)

    def _apply(self, items: Sequence[QueueItem]) -> None:
        # Cells are told apart anew from the stored maps.
        records = [item.record for item in items if item.record is not None]
        if not records or self.is_running or not self._may_apply(records):
            return
        handle = self._begin(
            f"Applying to {volumes_text(len(records))}",
            resegmenting(records, self._desk.session.form.run),
            total=len(records),
            has_network=False,
        )
        handle.happened.connect(self._on_resegmented)
        handle.finished.connect(self._on_applied)

    def _may_apply(self, records: Sequence[Path]) -> bool:
        """Ask before cells that were corrected by hand are told apart anew."""
        n = sum(is_corrected_name(record) for record in records)
        return self._desk.may_leave() and (n == 0 or may_lose_corrections(n, self._panel.window()))

    def cancel(self, *, keep_note: bool = False) -> None:
        """Stop at the next window; `keep_note` offers to go on at the next start."""
        if self._handle is not None:
            self._keeps_note = keep_note
            self._panel.stage.setText("Cancelling: the window under way is finished first…")
            self._handle.cancel()

    # ---- What the engine says ----

    def run(self, sources: Sequence[Path], folder: Path, settings: RunSettings) -> None:
        """Run volumes with other settings than those of the form, results going to a folder."""
        sizes = {}
        for item in [self._desk.session.item(path) for path in sources]:
            if item is not None:
                self._desk.session.change(item.path, state="waiting", text="Waiting…")
                if item.voxel_size_um_zyx is not None:
                    sizes[item.path] = item.voxel_size_um_zyx
        _log.info(settings_sentence(settings))
        work = running_batch(
            self._desk.shelf,
            sources,
            output_folder=folder,
            settings=settings,
            voxel_sizes_um_zyx=sizes,
            note=unfinished_path(),
            scheduler=self._desk.session.form.cluster.scheduler or None,
        )
        handle = self._begin(f"Running {volumes_text(len(sources))}", work, total=len(sources))
        handle.happened.connect(self._on_batch_event)
        handle.finished.connect(self._on_batch_done)
        handle.ended.connect(self._on_run_ended)

    def _begin(
        self, title: str, work: Work, *, total: int = 1, has_network: bool = True
    ) -> JobHandle:
        self._share = RunShare(total, has_network=has_network)
        self._running, self._keeps_note = None, False
        handle = self._desk.lanes.engine.submit(title, work)
        self._handle = handle
        self._panel.begin(title, total=total)
        handle.progressed.connect(self._on_progress)
        handle.noted.connect(self._on_note)
        handle.failed.connect(self._on_failed)
        handle.cancelled.connect(lambda: self._panel.end(f"{title}: cancelled."))
        handle.crashed.connect(lambda _: self._panel.end(f"{title}: stopped by a bug in CellSeg."))
        handle.finished.connect(lambda _: self._panel.end(f"{title}: done."))
        handle.ended.connect(self._on_ended)
        self.running_changed.emit(True)
        self.progress_changed.emit(0.0)
        return handle

    def _on_progress(self, report: Progress) -> None:
        self._share.take(report)
        self._panel.show_progress(report)
        self._show_share()

    def _show_share(self) -> None:
        share, session = self._share, self._desk.session
        item = session.item(self._running)
        name = self._handle.title if item is None and self._handle is not None else ""
        self._panel.show_share(name if item is None else item.path.name, share)
        # The list is told of whole percents, not of every window.
        if item is not None and round(100 * (item.progress or 0)) != round(100 * share.volume):
            text = f"Running, {share.volume:.0%}"
            session.change(item.path, progress=share.volume, text=text)
        self.progress_changed.emit(share.batch)

    def _on_note(self, sentence: str) -> None:
        self._panel.say(sentence)
        if sentence.startswith("Estimate"):
            self.estimated.emit(sentence)

    def _on_failed(self, error: UserError) -> None:
        title = "" if self._handle is None else self._handle.title
        self._panel.end(f"{title}: {error}")
        self._desk.warn(error)

    def _on_ended(self) -> None:
        self._handle = None
        self.running_changed.emit(False)
        self.progress_changed.emit(None)

    def _on_run_ended(self) -> None:
        for item in self._desk.session.items:
            if item.state in ("waiting", "running"):
                text = "Cancelled; Start goes on where it stopped."
                self._desk.session.change(item.path, state="cancelled", text=text, progress=None)
        if not self._keeps_note:
            forget_batch(unfinished_path())

    def _on_previewed(self, preview: Preview) -> None:
        if self._desk.session.current == preview.source:
            self.previewed.emit(preview)

    def _on_estimated(self, estimate: Estimate) -> None:
        sentence = estimate.sentence()
        self.estimated.emit(sentence)
        self._panel.say(sentence)

    def _on_batch_event(self, event: BatchEvent | ClusterJoined) -> None:
        session = self._desk.session
        if isinstance(event, ClusterJoined):
            _log.info("Dask workers: %d; dashboard: %s", event.n_workers, event.dashboard or "none")
            self._panel.show_cluster(event.n_workers, event.dashboard)
            return
        if event.state == "started":
            self._running = event.source
            self._share.begin_volume()
            session.change(event.source, state="running", text="Running…", bug=False, progress=0.0)
            return
        self._running = None
        self._share.end_volume()
        self._show_share()
        ended = outcome(event)
        session.change(event.source, **ended)
        _log.info("%s: %s", shown(event.source), ended["text"])
        if event.failure is None:
            self.volume_done.emit(event.source, event.record)

    def _on_batch_done(self, result: BatchResult) -> None:
        total = len(result.records) + len(result.failures)
        said = f"{len(result.records)} of {volumes_text(total)} done."
        unread = sum(item.state == "refused" for item in self._desk.session.items)
        if unread:
            said = f"{said} {volumes_text(unread)} could not be read; the list says why."
        if result.failures:
            self._desk.messages.tell(
                f"{said} {volumes_text(len(result.failures))} failed; the list says why.",
                Offer("Run failed ones again", self.retry_failed),
            )
        elif total > 1 and self._desk.session.form.display.show_results:
            compare = self._desk.actions["compare"]
            self._desk.messages.tell(said, Offer("Show results side by side", compare.trigger))
        self._panel.end(said)
        self.batch_done.emit()

    def _on_resegmented(self, event: Resegmented) -> None:
        self._share.end_volume()
        for item in self._desk.session.items:
            if item.record == event.old_record:
                self._desk.session.change(
                    item.path,
                    record=event.record,
                    n_cells=event.n_cells,
                    text=f"{event.n_cells:,} cells",
                )
                self.volume_done.emit(item.path, event.record)

    def _on_applied(self, failures: list[RunFailure]) -> None:
        for failure in failures:
            self._desk.warn(UserError(failure.problem, failure.remedy, path=failure.source))
        self._panel.end(f"Applied to {self._share.done} of {volumes_text(self._share.total)}.")
        self.batch_done.emit()
