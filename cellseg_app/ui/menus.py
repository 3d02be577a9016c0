"""Menu bar and toolbar, filled from the tables in `menu_order`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QDockWidget, QMainWindow, QMenu

from cellseg_app.ui.menu_order import MENUS, TOOLBAR


class RecentMenu:
    """The files opened before, newest first; filled when it is about to be shown."""

    def __init__(
        self, menu: QMenu, recent: Callable[[], tuple[str, ...]], open_path: Callable[[str], None]
    ) -> None:
        self._menu, self._recent, self._open = menu, recent, open_path
        menu.aboutToShow.connect(self.fill)

    def fill(self) -> None:
        """List the files anew."""
        self._menu.clear()
        for name in self._recent():
            action = self._menu.addAction(name)
            action.triggered.connect(lambda _=False, n=name: self._open(n))
        if not self._recent():
            self._menu.addAction("Nothing was opened yet").setEnabled(False)


def fill_menus(
    window: QMainWindow, actions: Mapping[str, QAction], docks: Mapping[str, QDockWidget]
) -> QMenu:
    """Build the menu bar; returns the empty menu of recent files."""
    recent = QMenu("Open recent", window)
    for title, keys in MENUS.items():
        menu = window.menuBar().addMenu(title)
        menu.setToolTipsVisible(True)
        for key in keys:
            if key is None:
                menu.addSeparator()
            elif key == "@recent":
                menu.addMenu(recent)
            elif key == "@panels":
                menu.addActions([dock.toggleViewAction() for dock in docks.values()])
            else:
                menu.addAction(actions[key])
    return recent


def fill_toolbar(window: QMainWindow, actions: Mapping[str, QAction]) -> None:
    """Build the toolbar."""
    bar = window.addToolBar("Main")
    bar.setObjectName("toolbar")
    bar.setMovable(False)
    bar.setIconSize(QSize(20, 20))
    bar.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    for key in TOOLBAR:
        if key is None:
            bar.addSeparator()
        else:
            bar.addAction(actions[key])
            # Qt leaves toolbars out of the way of Tab.
            bar.widgetForAction(actions[key]).setFocusPolicy(Qt.FocusPolicy.TabFocus)
