"""The main window: docks around the viewer, and who is told of what."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PySide6.QtCore import QTimer
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QMainWindow

from cellseg_app.core.sources import as_source
from cellseg_app.state.session import Session
from cellseg_app.state.settings import UserSettings
from cellseg_app.ui.availability import possible
from cellseg_app.ui.cells import Cells
from cellseg_app.ui.controllers.corrections import CorrectionsController
from cellseg_app.ui.controllers.exports import ExportController
from cellseg_app.ui.controllers.form_controller import FormController
from cellseg_app.ui.controllers.help import HelpController
from cellseg_app.ui.controllers.records import RecordsController
from cellseg_app.ui.controllers.region import RegionController
from cellseg_app.ui.controllers.results import ResultsController
from cellseg_app.ui.controllers.runs import RunController
from cellseg_app.ui.controllers.scene import SceneController
from cellseg_app.ui.controllers.tuning import TuningController
from cellseg_app.ui.controllers.unfinished import UnfinishedController
from cellseg_app.ui.controllers.volumes import VolumesController
from cellseg_app.ui.desk import Desk, Lanes
from cellseg_app.ui.docks import make_docks, reset_layout, restore_layout, saved_layout
from cellseg_app.ui.forms.form import SettingsForm
from cellseg_app.ui.garbage import GuiThreadGarbage
from cellseg_app.ui.menu_order import CELL_ACTIONS
from cellseg_app.ui.menus import RecentMenu, fill_menus, fill_toolbar
from cellseg_app.ui.panels.column import column
from cellseg_app.ui.panels.data_strip import DataStrip
from cellseg_app.ui.panels.log_panel import LogPanel
from cellseg_app.ui.panels.message_bar import MessageBar
from cellseg_app.ui.panels.progress_panel import ProgressPanel
from cellseg_app.ui.panels.queue_panel import QueuePanel
from cellseg_app.ui.panels.run_bar import RunBar
from cellseg_app.ui.panels.table_panel import TablePanel
from cellseg_app.ui.plots.plot_panel import PlotPanel
from cellseg_app.ui.qt_actions import make_actions
from cellseg_app.ui.task_bar import TaskBar
from cellseg_app.ui.theme import Appearance
from cellseg_app.viewers.layer_panel import LayerPanel
from cellseg_app.viewers.viewer import Viewer
from cellseg_app.workers.files import VolumeReading
from cellseg_app.workers.jobs import Crash
from cellseg_app.workers.runs import EngineReady, NetworkShelf, warming_up

_log = logging.getLogger(__name__)
_TABLE_EXPORTS: Final = ("export_csv", "export_excel", "export_labels")


class MainWindow(QMainWindow):
    """The window; controllers do the work, panels show it."""

    def __init__(self, user: UserSettings, settings_file: Path, appearance: Appearance) -> None:
        super().__init__()
        self.setAcceptDrops(True)
        self.resize(1280, 800)
        self._is_closing = False
        self._task_bar = TaskBar(self)
        self._garbage = GuiThreadGarbage(self)
        self.actions_by_key = make_actions(self, appearance.colors.text)
        self.desk = Desk(
            session=Session(),
            user=user,
            settings_file=settings_file,
            appearance=appearance,
            cells=Cells(),
            lanes=Lanes(),
            shelf=NetworkShelf(),
            actions=self.actions_by_key,
            messages=MessageBar(),
        )
        self._build_panels()
        self._build_docks()
        self._build_menus()
        self._build_controllers()
        self._connect()
        restore_layout(self, self.docks, user)
        self.log.folder = self.exports.folder
        self.log.listen()

    # ---- Building ----

    def _build_panels(self) -> None:
        actions, appearance, cells = self.actions_by_key, self.desk.appearance, self.desk.cells
        self.viewer = Viewer()
        self.strip = DataStrip()
        self.queue = QueuePanel(
            appearance, (actions["open"], actions["open_folder"], actions["open_sample"])
        )
        self.form = SettingsForm()
        self.run_bar = RunBar(actions)
        self.progress = ProgressPanel()
        of_cells = tuple(actions[key] for key in CELL_ACTIONS)
        self.viewer.addActions(of_cells)
        self.table = TablePanel(cells, tuple(actions[key] for key in _TABLE_EXPORTS), of_cells)
        self.plots = PlotPanel(cells, appearance)
        self.log = LogPanel()
        parts = (self.desk.messages, self.strip, self.viewer)
        self.setCentralWidget(column(*parts, growing=self.viewer, spacing=2))

    def _build_docks(self) -> None:
        contents = {
            "queue": self.queue,
            "layers": LayerPanel(self.viewer),
            "form": column(self.form, self.run_bar, growing=self.form),
            **{name: getattr(self, name) for name in ("progress", "table", "plots", "log")},
        }
        self.docks = make_docks(self, contents)

    def _build_menus(self) -> None:
        recent = fill_menus(self, self.actions_by_key, self.docks)
        self._recent = RecentMenu(
            recent, lambda: self.desk.user.recent, lambda name: self.open_paths([Path(name)])
        )
        fill_toolbar(self, self.actions_by_key)

    def _build_controllers(self) -> None:
        desk = self.desk
        self.scene = SceneController(self.viewer)
        self.volumes = VolumesController(desk, self.scene, queue=self.queue, strip=self.strip)
        self.form_control = FormController(desk, self.form, self.run_bar)
        self.region = RegionController(desk, self.scene, self.form_control, self.form)
        self.tuning = TuningController(desk, self.scene, self.run_bar)
        self.runs = RunController(desk, self.scene, self.progress)
        self.results = ResultsController(desk, self.scene, table=self.table, plots=self.plots)
        self.corrections = CorrectionsController(
            desk, self.scene, self.results, tuning=self.tuning, bar=self.run_bar, parent=self
        )
        self.exports = ExportController(desk, self.scene, self.tuning, parent=self)
        self.unfinished = UnfinishedController(desk, self.runs)
        self.help = HelpController(desk, parent=self)
        self.records = RecordsController(desk, self.volumes, self.form_control, parent=self)

    def _connect(self) -> None:
        self._connect_actions()
        desk, session = self.desk, self.desk.session
        self.volumes.volume_shown.connect(self._on_volume_shown)
        self.volumes.form_size_dropped.connect(self._on_form_size_dropped)
        self.form_control.edited.connect(self._on_form_edited)
        self.tuning.class_asked.connect(self._on_class_asked)
        self.tuning.measured.connect(self.results.show_live)
        self.tuning.changed.connect(self._refresh_actions)
        self.runs.running_changed.connect(self._on_running_changed)
        self.runs.progress_changed.connect(self._on_progress_changed)
        self.runs.previewed.connect(self._on_previewed)
        self.runs.volume_done.connect(self._on_volume_done)
        self.runs.batch_done.connect(self._on_batch_done)
        self.runs.estimated.connect(self.run_bar.say_estimate)
        self.queue.retry_asked.connect(self.runs.start)
        self.queue.folder_asked.connect(self.help.open_results)
        session.events.items.connect(self._refresh_actions)
        session.events.current.connect(self._refresh_actions)
        for panel in (self.plots, self.log):
            panel.failed.connect(desk.warn)
        for lane in desk.lanes.all:
            lane.crashed.connect(self.show_crash)

    def _connect_actions(self) -> None:
        slots = {
            "open": lambda: self.volumes.ask_files(self),
            "open_folder": lambda: self.volumes.ask_folder(self),
            "open_address": lambda: self.volumes.ask_address(self),
            "open_sample": self.volumes.open_sample,
            "open_record": self.records.ask_open,
            "rerun_record": self.records.ask_rerun,
            "quit": self.close,
            "preview": self.runs.preview,
            "estimate": self.runs.estimate,
            "start": lambda: self.runs.start(),
            "cancel": lambda: self.runs.cancel(),
            "retry": self.runs.retry_failed,
            "apply_here": self.runs.apply_here,
            "apply_all": self.runs.apply_all,
            "save_preset": lambda: self.form_control.ask_save_preset(self),
            "load_preset": lambda: self.form_control.ask_load_preset(self),
            "reset_form": self.form.reset,
            "compare": self.results.compare,
            "reset_layout": lambda: reset_layout(self, self.docks),
            "shortcuts": self.help.show_shortcuts,
            "report": lambda: self.show_crash(None),
            "open_logs": self.help.open_logs,
            "check_updates": self.help.check_updates,
            "about": self.help.show_about,
        }
        for key, slot in slots.items():
            self.actions_by_key[key].triggered.connect(lambda _=False, do=slot: do())

    # ---- What others may ask ----

    def open_paths(self, paths: Sequence[Path]) -> None:
        """Open volumes, folders of them, and run records."""
        self.records.open_paths(paths)

    def load_engine(self) -> None:
        """Load the engine in the background."""
        engine = self.desk.lanes.engine
        handle = engine.submit("Loading the engine", warming_up(), is_loading=True)
        handle.finished.connect(self._on_engine_ready)
        self._garbage.wait()
        handle.ended.connect(self._garbage.settle)

    def show_crash(self, crash: Crash | None) -> None:
        """Open the report dialog; the program goes on."""
        self.help.show_crash(crash)

    # ---- Slots ----

    def _on_engine_ready(self, ready: EngineReady) -> None:
        self.form_control.set_engine(ready)
        _log.info("The engine is loaded: %s", ", ".join(d.title for d in ready.devices))

    def _on_volume_shown(self, _reading: VolumeReading) -> None:
        self.run_bar.say_estimate("")
        self.form_control.refresh()
        item = self.desk.session.current_item
        if item is not None and item.record is not None:
            self.results.show_record(item.record)
        self._refresh_actions()

    def _on_form_size_dropped(self) -> None:
        self.form_control.set_value(("run", "data", "voxel_size_um_zyx"), None)

    def _on_form_edited(self, path: tuple[str, ...]) -> None:
        if not self.volumes.read_again() and self.corrections.may_tune(path):
            self.tuning.on_form_edited(path)

    def _on_class_asked(self, index: int) -> None:
        self.form_control.set_value(("run", "threshold", "class_choice"), index)

    def _on_previewed(self, preview: object) -> None:
        self.results.show_preview(preview)  # type: ignore[arg-type]
        self.desk.turns.later("raise", self.docks["table"].raise_)
        self._refresh_actions()

    def _on_volume_done(self, path: Path, record: Path) -> None:
        session = self.desk.session
        if session.form.display.show_results and session.current == path:
            self.corrections.when_saved(lambda: self.results.show_record(record))

    def _on_batch_done(self) -> None:
        self.run_bar.say_estimate("")
        self._task_bar.call()
        if self.desk.session.form.display.show_results:
            self.docks["table"].raise_()
        if sum(item.record is not None for item in self.desk.session.items) > 1:
            self.results.compare_tables()

    def _on_running_changed(self, is_running: bool) -> None:
        self.run_bar.set_running(is_running)
        if is_running:
            self.docks["progress"].show()
            self.docks["progress"].raise_()
        self._refresh_actions()
        if self._is_closing and not is_running:
            QTimer.singleShot(0, self.close)

    def _on_progress_changed(self, fraction: float | None) -> None:
        item = self.desk.session.current_item
        self._task_bar.show("" if item is None else item.path.name, fraction)

    def _refresh_actions(self, *_: object) -> None:
        state = possible(
            self.desk.session,
            is_running=self.runs.is_running,
            is_tuned=self.tuning.is_changed,
            is_preview=self.scene.preview is not None,
        )
        for key, is_on in state.items():
            self.actions_by_key[key].setEnabled(is_on)
        if not self.runs.is_running:
            self._on_progress_changed(None)

    # ---- Qt ----

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files and folders."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped."""
        paths = [
            Path(url.toLocalFile()) if url.isLocalFile() else as_source(url.toString())
            for url in event.mimeData().urls()
        ]
        if paths:
            event.acceptProposedAction()
            self.open_paths(paths)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Ask during a run; leave no thread behind."""
        if self.runs.is_running:
            event.ignore()
            if not self._is_closing and self.help.may_cancel():
                self._is_closing = True
                self.runs.cancel(keep_note=True)
            return
        self._is_closing = False
        if not self.desk.may_leave():
            event.ignore()
            return
        layout = saved_layout(self)
        self.hide()
        self.desk.turns.forget()
        self.desk.lanes.stop()
        self.desk.remember_last(**layout)
        self.viewer.shutdown()
        # Last: a thread that logs must not be the one to delete what it logs to.
        self.log.stop_listening()
        self._garbage.stop()
        event.accept()
