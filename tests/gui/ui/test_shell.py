"""Actions, menus, dialogs, pieces of the window."""

from __future__ import annotations

import gc
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QObject
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QApplication, QCheckBox, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from cellseg_app.core.errors import InputError
from cellseg_app.core.progress import Progress
from cellseg_app.ui.actions import ACTIONS
from cellseg_app.ui.controllers.scene import limited
from cellseg_app.ui.dialogs.reports import BugDialog, report_text, save_bundle
from cellseg_app.ui.garbage import GuiThreadGarbage
from cellseg_app.ui.icons import app_icon
from cellseg_app.ui.menu_order import MENUS, TOOLBAR
from cellseg_app.ui.panels.empty_state import EmptyState
from cellseg_app.ui.panels.message_bar import MessageBar, Offer
from cellseg_app.ui.panels.progress_panel import duration, progress_sentence
from cellseg_app.ui.qt_actions import color_icons, make_actions
from cellseg_app.ui.theme import DARK, LIGHT, Appearance, Colors
from cellseg_app.workers.jobs import Crash
from cellseg_app.workers.live import PatchedLabels


def test_every_action_of_the_menus_exists_and_explains_itself(qapp: QApplication) -> None:
    parent = QObject()
    actions = make_actions(parent, "#000000")
    placed = {key for keys in MENUS.values() for key in keys if key and not key.startswith("@")}
    assert placed | {"segment_class"} == set(actions)
    assert {key for key in TOOLBAR if key} <= set(actions)
    for action in actions.values():
        assert action.toolTip()
        assert action.text()


def test_no_two_actions_share_a_shortcut() -> None:
    keys = [info.shortcut for info in ACTIONS if info.shortcut]
    assert len(keys) == len(set(keys))


def test_every_icon_is_drawn_in_the_colour_of_the_theme(qapp: QApplication) -> None:
    parent = QObject()
    actions = make_actions(parent, "#ff0000")
    for info in ACTIONS:
        if info.icon:
            image = actions[info.key].icon().pixmap(24, 24).toImage()
            inked = [
                image.pixelColor(x, y)
                for x in range(image.width())
                for y in range(image.height())
                if image.pixelColor(x, y).alpha() > 200
            ]
            assert inked, info.key
            assert all(color.red() > 200 and color.green() < 60 for color in inked)


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
def test_a_box_that_is_not_ticked_is_seen(colors: Colors, qtbot: QtBot) -> None:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    appearance = Appearance(app, "dark" if colors is DARK else "light")
    box = QCheckBox()
    qtbot.addWidget(box)
    box.resize(40, 20)
    picture = box.grab().toImage()
    edge = QColor(colors.window).lightness()
    most = max(
        abs(picture.pixelColor(x, picture.height() // 2).lightness() - edge)
        for x in range(picture.width())
    )
    appearance.choose("light")
    assert most > 60


def test_buttons_of_an_empty_panel_follow_the_theme(qtbot: QtBot) -> None:
    parent = QWidget()
    qtbot.addWidget(parent)
    actions = make_actions(parent, LIGHT.text)
    empty = EmptyState("Nothing yet", "Open something.", (actions["open"],))
    qtbot.addWidget(empty)
    button = empty.findChild(QPushButton)
    assert isinstance(button, QPushButton)

    def brightest() -> int:
        picture = button.icon().pixmap(32, 32).toImage()
        seen = [picture.pixelColor(x, y) for x in range(32) for y in range(32)]
        return max(color.lightness() for color in seen if color.alpha() > 128)

    assert brightest() < 100
    color_icons(actions, DARK.text)
    assert brightest() > 150


def test_the_program_has_an_icon(qapp: QApplication) -> None:
    assert not app_icon().pixmap(64, 64).isNull()


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("ink", ["text", "faint", "error", "good", "warning"])
def test_text_can_be_read_on_its_background(colors: object, ink: str) -> None:
    # WCAG 2.1, 1.4.3: a contrast of 4.5 for text.
    for ground in ("window", "base", "raised"):
        assert _contrast(getattr(colors, ink), getattr(colors, ground)) >= 4.5, ground


def test_the_theme_can_be_chosen(qapp: QApplication) -> None:
    appearance = Appearance(qapp, "dark")
    assert appearance.is_dark
    dark = qapp.palette().window().color().lightness()
    appearance.choose("light")
    assert qapp.palette().window().color().lightness() > dark + 100


def test_messages_come_once_and_go(qtbot: QtBot) -> None:
    bar, pressed = MessageBar(), []
    qtbot.addWidget(bar)
    for _ in range(2):
        bar.warn(InputError("It is no volume.", "Give another.", path="a.tif"))
    assert bar.texts() == ["a.tif: It is no volume. Give another."]
    message = bar.tell("News", Offer("Do it", lambda: pressed.append(1)))
    message.buttons[0].click()
    assert pressed == [1]
    assert "News" not in bar.texts()


def test_a_report_names_version_system_and_place(qtbot: QtBot, tmp_path: Path) -> None:
    crash = Crash("Counting", "ZeroDivisionError: x", "Traceback: line 7")
    text = report_text(crash)
    for part in ("CellSeg", "Python", "torch", "Counting", "line 7"):
        assert part in text
    log = tmp_path / "cellseg.log"
    log.write_text("what happened", encoding="utf-8")
    bundle = save_bundle(tmp_path / "r.zip", report=text, files=(log, tmp_path / "not-there.log"))
    with zipfile.ZipFile(bundle) as opened:
        assert set(opened.namelist()) == {"report.txt", "cellseg.log"}
    dialog = BugDialog(crash, (log,))
    qtbot.addWidget(dialog)
    assert "line 7" in dialog.text.toPlainText()


def test_progress_in_words() -> None:
    report = Progress("network", 3, 12, seconds_per_step=1.5, remaining_s=13.5)
    assert progress_sentence(report) == ("Network: 3 of 12 windows, 1.5 s per window, 14 s left")
    assert duration(600) == "10 min"
    assert duration(7200) == "2.0 h"


def test_a_crop_keeps_short_axes_whole_and_stays_around_the_crosshair() -> None:
    everything = (slice(0, 28), slice(0, 1024), slice(0, 1024))
    z, y, x = limited(everything, (14, 1000, 500), 144**3)
    assert z == slice(0, 28)
    assert y.stop == 1024
    assert x.start < 500 < x.stop
    n = (z.stop - z.start) * (y.stop - y.start) * (x.stop - x.start)
    assert 0.95 * 144**3 < n <= 144**3
    small = (slice(2, 9), slice(0, 10), slice(5, 9))
    assert limited(small, (0, 0, 0), 10_000) == small


@pytest.mark.parametrize("step", [1, 2, 3])
def test_labels_patched_in_a_region_read_like_an_array(step: int) -> None:
    rng = np.random.default_rng(1)
    base = rng.integers(0, 9, (7, 11, 13)).astype(np.uint32)
    region = (slice(2, 6), slice(3, 9), slice(1, 12))
    patch = rng.integers(100, 200, (4, 6, 11)).astype(np.uint32)
    wanted = base.copy()
    wanted[region] = patch
    patched = PatchedLabels(base, patch, region)
    for key in (
        (slice(0, 7, step), slice(0, 11, step), slice(0, 13, step)),
        (slice(3, 4), slice(0, 11), slice(0, 13)),
        (slice(0, 7), slice(10, 11), slice(0, 13)),
        (slice(1, 5, step), slice(4, 11, step), slice(5, 6)),
    ):
        np.testing.assert_array_equal(patched[key], wanted[key])


def test_widgets_in_cycles_are_freed_by_the_gui_thread(qapp: QApplication) -> None:
    freed_by: list[int] = []

    class Cycle:
        def __init__(self) -> None:
            self.own = self

        def __del__(self) -> None:
            freed_by.append(threading.get_ident())

    garbage = GuiThreadGarbage(qapp)
    try:
        garbage.settle()
        Cycle()
        # Kept, so that the collector sees far more new objects than it waits for.
        kept: list[list[int]] = []
        churn = threading.Thread(target=lambda: kept.extend([] for _ in range(200_000)))
        churn.start()
        churn.join()
        assert freed_by == []
        garbage.collect()
        assert freed_by == [threading.get_ident()]
    finally:
        garbage.stop()
        gc.unfreeze()
    assert gc.isenabled()


def test_nothing_is_collected_while_the_engine_loads(qtbot: QtBot) -> None:
    parent = QObject()
    garbage = GuiThreadGarbage(parent)
    try:
        garbage.wait()
        assert not garbage._timer.isActive()
        assert not gc.isenabled()
        garbage.settle()
        assert garbage._timer.isActive()
    finally:
        garbage.stop()
        gc.unfreeze()


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(name: str) -> float:
    color = QColor(name)
    parts = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (color.redF(), color.greenF(), color.blueF())
    ]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
