"""Every control of the whole window: named, explained, reached by the keyboard."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtGui import QAccessible
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QHeaderView,
    QLineEdit,
    QPlainTextEdit,
    QScrollBar,
    QTableView,
    QWidget,
)
from pytestqt.qtbot import QtBot

from cellseg_app.app import make_application, make_window
from cellseg_app.core.errors import InputError
from cellseg_app.ui.main_window import MainWindow
from cellseg_app.ui.panels.message_bar import Offer
from cellseg_app.viewers.ortho.pane import SlicePane
from tests.gui.ui.conftest import many_cells

CONTROLS = (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    SlicePane,
)
# Qt's own: what they do is in a menu too, or on the keys of what they belong to.
QT_OWN = ("qt_", "ScrollLeftButton", "ScrollRightButton")


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path) -> Iterator[MainWindow]:
    """The window with everything there is to see in it."""
    app = make_application()
    window = make_window(app, tmp_path / "window.json")
    window.show()
    window.open_paths([write_two_classes(tmp_path)])
    qtbot.waitUntil(lambda: window.scene.reading is not None, timeout=20_000)
    window.desk.cells.set_table(many_cells(30))
    window.desk.messages.warn(InputError("A", "b"), Offer("Do it", lambda: None))
    for section in window.form.sections.values():
        section.head.setChecked(True)
    yield window
    window.close()
    window.deleteLater()
    app.processEvents()
    logging.getLogger("cellseg_app").setLevel(logging.NOTSET)


def write_two_classes(folder: Path) -> Path:
    from cellseg_app.io.tiff_write import write_volume_tiff

    image = np.random.default_rng(0).integers(0, 900, (12, 40, 50)).astype(np.uint16)
    return write_volume_tiff(folder / "a.tif", image, spacing_um_zyx=(2.0, 1.0, 1.0))


def controls_of(window: QWidget) -> list[QWidget]:
    """What a user can press, turn or type into, hidden or not."""
    found = []
    for widget in window.findChildren(QWidget):
        if not isinstance(widget, CONTROLS) or isinstance(widget, (QScrollBar, QHeaderView)):
            continue
        # Lists that drop down are windows of their own.
        if widget.objectName().startswith(QT_OWN) or widget.window() is not window:
            continue
        if isinstance(widget.parent(), (QAbstractSpinBox, QComboBox, QTableView)):
            continue
        found.append(widget)
    return found


def described(widget: QWidget) -> str:
    chain, parent = [], widget
    while parent is not None and len(chain) < 4:
        chain.append(f"{type(parent).__name__} {parent.objectName()}".strip())
        parent = parent.parentWidget()
    text = getattr(widget, "text", lambda: "")()
    return f"{text!r} in {' < '.join(chain)}"


def test_every_control_has_a_name_that_a_screen_reader_reads(window: MainWindow) -> None:
    def name(widget: QWidget) -> str:
        interface = QAccessible.queryAccessibleInterface(widget)
        return interface.text(QAccessible.Text.Name)

    nameless = [
        described(widget)
        for widget in controls_of(window)
        if len(name(widget)) < 2 or name(widget) in ("...", "…")
    ]
    assert not nameless, "\n".join(nameless)


def test_every_control_explains_itself(window: MainWindow) -> None:
    def tip(widget: QWidget) -> str:
        above = widget.parentWidget()
        if isinstance(widget, SlicePane):
            # A tooltip would lie over the picture.
            return widget.accessibleDescription()
        return widget.toolTip() or ("" if above is None else above.toolTip())

    silent = [described(widget) for widget in controls_of(window) if not tip(widget)]
    assert not silent, "\n".join(silent)


def test_tab_reaches_every_control(window: MainWindow, qtbot: QtBot) -> None:
    window.activateWindow()
    reached = set()
    for key in ("progress", "table", "plots", "log"):
        window.docks[key].raise_()
        for tab in range(window.plots.tabs.count()):
            window.plots.tabs.setCurrentIndex(tab)
            qtbot.wait(30)
            reached |= tabbed_through(window)
            if key != "plots":
                break
    missed = [
        described(widget)
        for widget in controls_of(window)
        if widget.isEnabled()
        and widget.isVisible()
        and widget not in reached
        and not any(widget.isAncestorOf(other) for other in reached)
        and not any(other in reached for other in fellows(widget))
    ]
    assert not missed, "\n".join(missed)
    assert len(reached) > 60


def fellows(widget: QWidget) -> list[QAbstractButton]:
    """Buttons of which one is pressed at a time: Tab reaches one, arrows the others."""
    group = widget.group() if isinstance(widget, QAbstractButton) else None
    return [] if group is None else group.buttons()


def tabbed_through(window: MainWindow) -> set[QWidget]:
    """Where the focus goes when Tab is pressed until it comes round."""
    start = window.strip.spins[0]
    start.setFocus()
    seen: list[QWidget] = []
    for _ in range(400):
        here = QApplication.focusWidget()
        if here is None or (here is start and len(seen) > 1):
            break
        seen.append(here)
        # A text field keeps Tab for itself unless told otherwise.
        QTest.keyClick(here, Qt.Key.Key_Tab)
        QCoreApplication.processEvents()
    return set(seen)


def test_the_window_fits_a_small_screen_with_everything_in_it(window: MainWindow) -> None:
    window.tuning._bar.show_count("1,234 cells in the preview", "x " * 40, can_apply=True)
    window.run_bar.say_estimate("Estimate: 1,234 windows, " * 4)
    for key in ("progress", "table", "plots", "log"):
        window.docks[key].raise_()
        QCoreApplication.processEvents()
        least = window.minimumSizeHint()
        assert least.width() <= 1240, key
        assert least.height() <= 760, key
    assert window.width() == 1280


def test_what_is_only_in_menus_has_a_key_to_open_them(window: MainWindow) -> None:
    for action in window.menuBar().actions():
        assert "&" in action.text(), "Alt and the letter open it"
