"""The places of the panels, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QByteArray, Qt, QTimer
from PySide6.QtWidgets import QDockWidget, QMainWindow, QWidget

from cellseg_app.state.settings import UserSettings

_LEFT: Final = Qt.DockWidgetArea.LeftDockWidgetArea
_RIGHT: Final = Qt.DockWidgetArea.RightDockWidgetArea
_BOTTOM: Final = Qt.DockWidgetArea.BottomDockWidgetArea
_LAYOUT_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class DockInfo:
    """A panel's place; those with the same `tabs_with` share that one's place as tabs."""

    key: str
    title: str
    area: Qt.DockWidgetArea
    size: int
    tabs_with: str = ""


DOCKS: Final = (
    DockInfo("queue", "Volumes", _LEFT, 215),
    DockInfo("layers", "Layers", _LEFT, 215),
    DockInfo("form", "Settings", _RIGHT, 332),
    DockInfo("progress", "Progress", _BOTTOM, 215),
    DockInfo("table", "Cells", _BOTTOM, 215, "progress"),
    DockInfo("plots", "Plots", _BOTTOM, 215, "progress"),
    DockInfo("log", "Log", _BOTTOM, 215, "progress"),
)


def make_docks(window: QMainWindow, contents: Mapping[str, QWidget]) -> dict[str, QDockWidget]:
    """Put every panel into a dock at its first place; returns the docks by key."""
    window.setCorner(Qt.Corner.BottomRightCorner, _RIGHT)
    window.setCorner(Qt.Corner.BottomLeftCorner, _LEFT)
    docks = {}
    for info in DOCKS:
        dock = QDockWidget(info.title, window)
        dock.setObjectName(f"dock-{info.key}")
        dock.setWidget(contents[info.key])
        docks[info.key] = dock
    arrange(window, docks)
    return docks


def arrange(window: QMainWindow, docks: Mapping[str, QDockWidget]) -> None:
    """Put every panel to its first place."""
    for info in DOCKS:
        dock = docks[info.key]
        dock.setFloating(False)
        window.addDockWidget(info.area, dock)
        if info.tabs_with:
            window.tabifyDockWidget(docks[info.tabs_with], dock)
        dock.show()
    _set_sizes(window, docks)
    docks["progress"].raise_()


def _set_sizes(window: QMainWindow, docks: Mapping[str, QDockWidget]) -> None:
    """Give the panels their first sizes; before the window is shown, Qt only half obeys."""
    for is_bottom, direction in (
        (False, Qt.Orientation.Horizontal),
        (True, Qt.Orientation.Vertical),
    ):
        chosen = [info for info in DOCKS if (info.area == _BOTTOM) is is_bottom]
        window.resizeDocks([docks[i.key] for i in chosen], [i.size for i in chosen], direction)


def reset_layout(window: QMainWindow, docks: Mapping[str, QDockWidget]) -> None:
    """Put every panel to its first place; the window keeps its size."""
    arrange(window, docks)
    _keep_size(window)


def _keep_size(window: QMainWindow) -> None:
    # Qt grows the window for the new dock sizes once the event loop turns.
    size = window.size()
    QTimer.singleShot(0, window, lambda: window.resize(size))


def saved_layout(window: QMainWindow) -> dict[str, str]:
    """Size and docks of the window in hexadecimal, as `UserSettings` keeps them."""
    geometry, layout = window.saveGeometry(), window.saveState(_LAYOUT_VERSION)
    return {
        "geometry": bytes(geometry.toHex().data()).decode(),
        "layout": bytes(layout.toHex().data()).decode(),
    }


def restore_layout(
    window: QMainWindow, docks: Mapping[str, QDockWidget], user: UserSettings
) -> None:
    """Put the window back as it was; what cannot be read is passed over."""
    try:
        parts = bytes.fromhex(user.geometry), bytes.fromhex(user.layout)
    except ValueError:
        parts = b"", b""
    if parts[0]:
        window.restoreGeometry(QByteArray(parts[0]))
    if parts[1]:
        window.restoreState(QByteArray(parts[1]), _LAYOUT_VERSION)
    else:
        QTimer.singleShot(0, window, lambda: _first_sizes(window, docks))


def _first_sizes(window: QMainWindow, docks: Mapping[str, QDockWidget]) -> None:
    _set_sizes(window, docks)
    _keep_size(window)
