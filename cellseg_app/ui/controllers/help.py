"""Help, reports of bugs, and the choice of a theme."""

from __future__ import annotations

import logging
from pathlib import Path

from PySide6.QtCore import QObject, Qt, QUrl
from PySide6.QtGui import QActionGroup, QDesktopServices
from PySide6.QtWidgets import QMessageBox, QWidget

from cellseg_app.paths import user_log_path
from cellseg_app.state.settings import Theme
from cellseg_app.ui.desk import Desk
from cellseg_app.ui.dialogs.about import AboutDialog, ShortcutsDialog
from cellseg_app.ui.dialogs.reports import BugDialog
from cellseg_app.ui.qt_actions import color_icons
from cellseg_app.workers.jobs import Crash
from cellseg_app.workers.releases import checking_for_updates

_log = logging.getLogger(__name__)


class HelpController(QObject):
    """Everything that has nothing to do with cells."""

    def __init__(self, desk: Desk, *, parent: QWidget) -> None:
        super().__init__(parent)
        self._desk, self._window = desk, parent
        desk.appearance.changed.connect(self._on_theme_changed)
        self._group = self._connect_themes()

    def show_crash(self, crash: Crash | None) -> None:
        """Open the report dialog; the program goes on."""
        if crash is not None:
            _log.error("%s: %s\n%s", crash.title, crash.summary, crash.traceback)
        logs = user_log_path()
        files = (logs / "cellseg.log", logs / "faults.log", self._desk.settings_file)
        dialog = BugDialog(crash, files, self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def show_shortcuts(self) -> None:
        """List the keys."""
        ShortcutsDialog(self._desk.actions, self._window).open()

    def show_about(self) -> None:
        """Say what this program is."""
        AboutDialog(self._window).open()

    def open_logs(self) -> None:
        """Open the folder of the logs."""
        open_folder(user_log_path())

    def check_updates(self) -> None:
        """Ask whether there is a newer release, and tell the answer."""
        work = checking_for_updates(self._desk.user.release_feed)
        handle = self._desk.lanes.files.submit("Checking for updates", work)
        self._desk.watch(handle, self._on_updates_checked)

    def open_results(self, path: Path) -> None:
        """Open the folder of a volume's results."""
        item = self._desk.session.item(path)
        if item is not None and item.record is not None:
            open_folder(item.record.parent)

    def may_cancel(self) -> bool:
        """Ask whether closing the window may stop the run."""
        box = QMessageBox(self._window)
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle("CellSeg")
        box.setText("A run is going on.")
        box.setInformativeText(
            "It stops within one window, and the next start offers to go on where it stopped."
        )
        close = box.addButton("Cancel the run and close", QMessageBox.ButtonRole.AcceptRole)
        stay = box.addButton("Keep running", QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(stay)
        box.exec()
        return box.clickedButton() is close

    def _on_updates_checked(self, sentence: object) -> None:
        self._desk.messages.tell(str(sentence))

    def _connect_themes(self) -> QActionGroup:
        group = QActionGroup(self)
        names: tuple[Theme, ...] = ("system", "light", "dark")
        for theme in names:
            action = self._desk.actions[f"theme_{theme}"]
            group.addAction(action)
            action.setChecked(theme == self._desk.appearance.theme)
            action.triggered.connect(lambda _=False, t=theme: self._on_theme_chosen(t))
        return group

    def _on_theme_chosen(self, theme: Theme) -> None:
        self._desk.appearance.choose(theme)
        self._desk.remember(theme=theme)

    def _on_theme_changed(self) -> None:
        color_icons(self._desk.actions, self._desk.appearance.colors.text)


def open_folder(folder: Path) -> None:
    """Open a folder in the file browser."""
    folder.mkdir(parents=True, exist_ok=True)
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))
