"""The actions of the tables in `actions`, as Qt has them."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QAction, QKeySequence

from cellseg_app.ui.actions import ACTIONS
from cellseg_app.ui.icons import icon


def make_actions(parent: QObject, color: str) -> dict[str, QAction]:
    """Return a Qt action for every entry of `ACTIONS`, by key."""
    made = {}
    for info in ACTIONS:
        action = QAction(info.text, parent)
        action.setObjectName(info.key)
        shortcut = f" ({info.shortcut})" if info.shortcut else ""
        action.setToolTip(f"{info.tip}{shortcut}")
        action.setStatusTip(info.tip)
        action.setCheckable(info.is_checkable)
        action.setEnabled(info.is_on_at_first)
        action.setWhatsThis(info.tip)
        if info.shortcut:
            action.setShortcut(QKeySequence(info.shortcut))
        if info.is_of_cells:
            action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        made[info.key] = action
    color_icons(made, color)
    return made


def set_possible(action: QAction, reason: str) -> None:
    """Enable an action; or disable it, and let its tip say why."""
    keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
    shortcut = f" ({keys})" if keys else ""
    tip = action.whatsThis()
    action.setEnabled(not reason)
    action.setToolTip(f"{tip}{shortcut}" + (f"\nNot now: {reason}" if reason else ""))
    action.setStatusTip(f"Not now: {reason}" if reason else tip)


def color_icons(actions: Mapping[str, QAction], color: str) -> None:
    """Draw the icons in the text colour of the theme."""
    for info in ACTIONS:
        if info.icon:
            actions[info.key].setIcon(icon(info.icon, color))
