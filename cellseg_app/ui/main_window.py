"""The main window: docks around the viewer, and who is told of what."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PySide6.QtCore import QByteArray, Qt, QTimer, QUrl
from PySide6.QtGui import (
    QActionGroup,
    QCloseEvent,
    QDesktopServices,
    QDragEnterEvent,
    QDropEvent,
)
from PySide6.QtWidgets import (
    QMainWindow,
    QMessageBox,
    QVBoxLayout,
    QWidget,
)

from cellseg_app.paths import user_data_path
from cellseg_app.state.session import Session
from cellseg_app.state.settings import Theme, UserSettings
from cellseg_app.state.unfinished import forget_batch, read_batch, unfinished_path
from cellseg_app.ui.actions import color_icons, make_actions
from cellseg_app.ui.cells import Cells
from cellseg_app.ui.controllers.exports import ExportController
from cellseg_app.ui.controllers.form_controller import FormController
from cellseg_app.ui.controllers.records import RecordsController
from cellseg_app.ui.controllers.results import ResultsController
from cellseg_app.ui.controllers.runs import RunController
from cellseg_app.ui.controllers.scene import SceneController
from cellseg_app.ui.controllers.tuning import TuningController
from cellseg_app.ui.controllers.volumes import VolumesController
from cellseg_app.ui.desk import Desk, Lanes
from cellseg_app.ui.dialogs.about import AboutDialog, ShortcutsDialog
from cellseg_app.ui.dialogs.reports import BugDialog
from cellseg_app.ui.docks import make_docks, reset_layout
from cellseg_app.ui.forms.form import SettingsForm
from cellseg_app.ui.garbage import GuiThreadGarbage
from cellseg_app.ui.menus import RecentMenu, fill_menus, fill_toolbar
from cellseg_app.ui.panels.data_strip import DataStrip
from cellseg_app.ui.panels.log_panel import LogPanel
from cellseg_app.ui.panels.message_bar import MessageBar, Offer
from cellseg_app.ui.panels.progress_panel import ProgressPanel
from cellseg_app.ui.panels.queue_panel import QueuePanel
from cellseg_app.ui.panels.run_bar import RunBar
from cellseg_app.ui.panels.table_panel import TablePanel
from cellseg_app.ui.plots.plot_panel import PlotPanel
from cellseg_app.ui.theme import Appearance
from cellseg_app.viewers.layer_panel import LayerPanel
from cellseg_app.viewers.viewer import Viewer
from cellseg_app.workers.files import VolumeReading
from cellseg_app.workers.jobs import Crash
from cellseg_app.workers.runs import EngineReady, NetworkShelf, warming_up

_log = logging.getLogger(__name__)
_TITLE: Final = "CellSeg"
_LAYOUT_VERSION: Final = 1


class MainWindow(QMainWindow):
    """The window; controllers do the work, panels show it."""

    def __init__(self, user: UserSettings, settings_file: Path, appearance: Appearance) -> None:
        super().__init__()
        self.setWindowTitle(_TITLE)
        self.setAcceptDrops(True)
        self.resize(1280, 800)
        self._is_closing = False
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
        self._restore_layout()
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
        self.table = TablePanel(cells, (actions["export_csv"],))
        self.plots = PlotPanel(cells, appearance)
        self.log = LogPanel()
        center = QWidget()
        column = QVBoxLayout(center)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self.desk.messages)
        column.addWidget(self.strip)
        column.addWidget(self.viewer, 1)
        self.setCentralWidget(center)

    def _build_docks(self) -> None:
        right = QWidget()
        column = QVBoxLayout(right)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.form, 1)
        column.addWidget(self.run_bar)
        contents = {
            "queue": self.queue,
            "layers": LayerPanel(self.viewer),
            "form": right,
            "progress": self.progress,
            "table": self.table,
            "plots": self.plots,
            "log": self.log,
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
        self.tuning = TuningController(desk, self.scene, self.run_bar)
        self.runs = RunController(desk, self.scene, self.progress)
        self.results = ResultsController(desk, self.scene, table=self.table, plots=self.plots)
        self.exports = ExportController(desk, self.scene, self.tuning, parent=self)
        self.records = RecordsController(desk, self.volumes, self.form_control, parent=self)

    def _connect(self) -> None:
        self._connect_actions()
        desk, session = self.desk, self.desk.session
        self.volumes.volume_shown.connect(self._on_volume_shown)
        self.volumes.spacing_edited.connect(self._on_spacing_edited)
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
        self.queue.folder_asked.connect(self._on_folder_asked)
        session.events.items.connect(self._refresh_actions)
        session.events.current.connect(self._refresh_actions)
        for panel in (self.plots, self.log):
            panel.failed.connect(desk.warn)
        for lane in desk.lanes.all:
            lane.crashed.connect(self.show_crash)
        desk.appearance.changed.connect(self._on_theme_changed)

    def _connect_actions(self) -> None:
        slots = {
            "open": lambda: self.volumes.ask_files(self),
            "open_folder": lambda: self.volumes.ask_folder(self),
            "open_sample": self.volumes.open_sample,
            "open_record": self.records.ask_open,
            "rerun_record": self.records.ask_rerun,
            "quit": self.close,
            "preview": self.runs.preview,
            "estimate": self.runs.estimate,
            "start": lambda: self.runs.start(),
            "cancel": lambda: self.runs.cancel(),
            "retry": self.runs.retry_failed,
            "apply_here": self._on_apply_here,
            "apply_all": self._on_apply_all,
            "save_preset": lambda: self.form_control.ask_save_preset(self),
            "load_preset": lambda: self.form_control.ask_load_preset(self),
            "reset_form": self.form.reset,
            "compare": self.results.compare,
            "reset_layout": lambda: reset_layout(self, self.docks),
            "shortcuts": lambda: ShortcutsDialog(self.actions_by_key, self).open(),
            "report": lambda: self.show_crash(None),
            "open_logs": lambda: _open_folder(user_data_path() / "logs"),
            "about": lambda: AboutDialog(self).open(),
        }
        for key, slot in slots.items():
            self.actions_by_key[key].triggered.connect(lambda _=False, do=slot: do())
        themes = QActionGroup(self)
        names: tuple[Theme, ...] = ("system", "light", "dark")
        for theme in names:
            action = self.actions_by_key[f"theme_{theme}"]
            themes.addAction(action)
            action.setChecked(theme == self.desk.appearance.theme)
            action.triggered.connect(lambda _=False, t=theme: self._on_theme_chosen(t))

    # ---- What others may ask ----

    def open_paths(self, paths: Sequence[Path]) -> None:
        """Open files and folders."""
        self.volumes.open(paths)

    def load_engine(self) -> None:
        """Load the engine in the background."""
        handle = self.desk.lanes.engine.submit("Loading the engine", warming_up())
        handle.finished.connect(self._on_engine_ready)

    def offer_resume(self) -> None:
        """Offer to go on with a batch that did not end."""
        batch = read_batch(unfinished_path())
        if batch is None:
            return
        n = len(batch.sources)
        self.desk.messages.tell(
            f"A run of {n} {'volume' if n == 1 else 'volumes'} did not end "
            f"(results in {batch.output_folder}).",
            Offer("Resume", lambda: self.runs.resume(batch)),
            Offer("Forget it", lambda: forget_batch(unfinished_path())),
        )

    def show_crash(self, crash: Crash | None) -> None:
        """Open the report dialog; the program goes on."""
        if crash is not None:
            _log.error("%s: %s\n%s", crash.title, crash.summary, crash.traceback)
        logs = user_data_path() / "logs"
        files = (logs / "cellseg.log", logs / "faults.log", self.desk.settings_file)
        dialog = BugDialog(crash, files, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    # ---- Slots ----

    def _on_engine_ready(self, ready: EngineReady) -> None:
        self.form_control.set_engine(ready)
        self._garbage.settle()
        _log.info("The engine is loaded: %s", ", ".join(d.title for d in ready.devices))

    def _on_volume_shown(self, _reading: VolumeReading) -> None:
        self.run_bar.say_estimate("")
        self.form_control.refresh()
        item = self.desk.session.current_item
        if item is not None and item.record is not None:
            self.results.show_record(item.record)
        self._refresh_actions()

    def _on_spacing_edited(self, spacing: object) -> None:
        self.form_control.set_value(("run", "data", "voxel_size_um_zyx"), spacing)

    def _on_form_edited(self, path: tuple[str, ...]) -> None:
        if not self.volumes.read_again():
            self.tuning.on_form_edited(path)

    def _on_class_asked(self, index: int) -> None:
        self.form_control.set_value(("run", "threshold", "class_choice"), index)

    def _on_previewed(self, preview: object) -> None:
        self.results.show_preview(preview)  # type: ignore[arg-type]
        self.docks["table"].raise_()
        self._refresh_actions()

    def _on_volume_done(self, path: Path, record: Path) -> None:
        if not self.desk.session.form.display.show_results:
            return
        if self.desk.session.current == path:
            self.results.show_record(record)
            self.docks["table"].raise_()

    def _on_batch_done(self) -> None:
        self.run_bar.say_estimate("")
        if sum(item.record is not None for item in self.desk.session.items) > 1:
            self.results.compare_tables()

    def _on_apply_here(self) -> None:
        if self.desk.session.current is not None:
            self.runs.apply([self.desk.session.current])

    def _on_apply_all(self) -> None:
        self.runs.apply([item.path for item in self.desk.session.items])

    def _on_folder_asked(self, path: Path) -> None:
        item = self.desk.session.item(path)
        if item is not None and item.record is not None:
            _open_folder(item.record.parent)

    def _on_running_changed(self, is_running: bool) -> None:
        self.run_bar.set_running(is_running)
        if is_running:
            self.docks["progress"].show()
            self.docks["progress"].raise_()
        self._refresh_actions()
        if self._is_closing and not is_running:
            QTimer.singleShot(0, self.close)

    def _on_progress_changed(self, fraction: float | None) -> None:
        # The title is what every system shows in its task bar.
        mark = "" if fraction is None else f"{fraction:.0%} – "
        item = self.desk.session.current_item
        name = "" if item is None else f"{item.path.name} – "
        self.setWindowTitle(f"{mark}{name}{_TITLE}")

    def _on_theme_chosen(self, theme: Theme) -> None:
        self.desk.appearance.choose(theme)
        self.desk.remember(theme=theme)

    def _on_theme_changed(self) -> None:
        color_icons(self.actions_by_key, self.desk.appearance.colors.text)

    def _refresh_actions(self, *_: object) -> None:
        session, running = self.desk.session, self.runs.is_running
        item = session.current_item
        can_run = item is not None and item.runnable
        any_result = any(i.record is not None for i in session.items)
        can_apply = self.tuning.is_changed and any_result and self.scene.preview is None
        state = {
            "preview": can_run and not running,
            "estimate": can_run and not running,
            "start": any(i.runnable for i in session.items) and not running,
            "cancel": running,
            "retry": any(i.state in ("failed", "cancelled") for i in session.items) and not running,
            "apply_here": can_apply
            and item is not None
            and item.record is not None
            and not running,
            "apply_all": can_apply and not running,
            "compare": any_result,
        }
        for key, is_on in state.items():
            self.actions_by_key[key].setEnabled(is_on)
        if not running:
            self._on_progress_changed(None)

    # ---- Qt ----

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files and folders."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped."""
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if paths:
            event.acceptProposedAction()
            self.open_paths(paths)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Ask during a run; leave no thread behind."""
        if self.runs.is_running:
            event.ignore()
            if not self._is_closing and self._may_cancel():
                self._is_closing = True
                self.runs.cancel(keep_note=True)
            return
        self.desk.remember(
            geometry=bytes(self.saveGeometry().toHex().data()).decode(),
            layout=bytes(self.saveState(_LAYOUT_VERSION).toHex().data()).decode(),
        )
        self.hide()
        self.log.stop_listening()
        self.desk.lanes.stop()
        self.viewer.shutdown()
        self._garbage.stop()
        event.accept()

    def _may_cancel(self) -> bool:
        box = QMessageBox(self)
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle(_TITLE)
        box.setText("A run is going on.")
        box.setInformativeText(
            "It stops within one window, and the next start offers to go on where it stopped."
        )
        close = box.addButton("Cancel the run and close", QMessageBox.ButtonRole.AcceptRole)
        stay = box.addButton("Keep running", QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(stay)
        box.exec()
        return box.clickedButton() is close

    def _restore_layout(self) -> None:
        user = self.desk.user
        try:
            geometry, layout = bytes.fromhex(user.geometry), bytes.fromhex(user.layout)
        except ValueError:
            return
        if geometry:
            self.restoreGeometry(QByteArray(geometry))
        if layout:
            self.restoreState(QByteArray(layout), _LAYOUT_VERSION)


def _open_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))
