"""Moving through a volume: wheel, keys, mouse."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QSpinBox,
)
from pytestqt.qtbot import QtBot

from cellseg_app.viewers.viewer import Viewer
from tests.gui.viewers.conftest import SHAPE, SPACING, Waiter, is_read
from tests.gui.viewers.gestures import CONTROL, NONE, SHIFT, at_um, turn_wheel

# ---- Slices ----


def test_it_starts_in_the_middle(viewer: Viewer) -> None:
    assert viewer.state.cursor_zyx == (10, 20, 30)
    assert viewer.ortho.panes["xy"].caption == "Z 11/20  21.0 µm"


def test_the_wheel_moves_through_slices(viewer: Viewer, qtbot: QtBot) -> None:
    with qtbot.waitSignal(viewer.cursor_moved) as moved:
        turn_wheel(viewer.ortho.panes["xy"], 2)
    assert moved.args == [(12, 20, 30)]
    turn_wheel(viewer.ortho.panes["yz"], -1)
    turn_wheel(viewer.ortho.panes["xz"], 1, held=SHIFT)
    assert viewer.state.cursor_zyx == (12, 30, 29)


def test_the_wheel_stops_at_the_last_slice(viewer: Viewer) -> None:
    turn_wheel(viewer.ortho.panes["xy"], 100)
    assert viewer.state.cursor_zyx[0] == SHAPE[0] - 1
    turn_wheel(viewer.ortho.panes["xy"], -100)
    assert viewer.state.cursor_zyx[0] == 0


def test_a_fine_wheel_adds_up(viewer: Viewer) -> None:
    pane = viewer.ortho.panes["xy"]
    for _ in range(8):
        event = QWheelEvent(
            QPointF(50, 50), QPointF(50, 50), QPoint(), QPoint(0, 30), Qt.MouseButton.NoButton,
            NONE, Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(pane, event)
    assert viewer.state.cursor_zyx[0] == 12


@pytest.mark.parametrize(
    ("key", "held", "expected"),
    [
        (Qt.Key.Key_PageUp, NONE, (11, 20, 30)),
        (Qt.Key.Key_PageDown, SHIFT, (0, 20, 30)),
        (Qt.Key.Key_Period, NONE, (11, 20, 30)),
        (Qt.Key.Key_Left, NONE, (10, 20, 29)),
        (Qt.Key.Key_Down, SHIFT, (10, 30, 30)),
    ],
)
def test_keys_move_the_crosshair(
    viewer: Viewer, key: Qt.Key, held: Any, expected: tuple[int, int, int]
) -> None:
    QTest.keyClick(viewer.ortho.panes["xy"], key, held)
    assert viewer.state.cursor_zyx == expected


def test_what_is_seen_is_the_slice(
    viewer: Viewer, image: npt.NDArray[Any], settled: Waiter
) -> None:
    viewer.state.set_look("labels", visible=False)
    low, high = 0.0, 20_000.0
    viewer.state.set_look("image", clims=(low, high))
    pane = viewer.ortho.panes["xy"]

    def grey_at(z: int, y: int, x: int) -> int:
        picture = pane.grab().toImage()
        place = at_um(pane, *((i + 0.5) * s for i, s in zip((z, y, x), SPACING, strict=True)))
        return QColor(picture.pixel(place)).red()

    for z in (3, 17):
        viewer.state.cursor_zyx = (z, 20, 30)
        expected = 255 * (float(image[z, 5, 8]) - low) / (high - low)
        settled(lambda e=expected, z=z: abs(grey_at(z, 5, 8) - e) < 3)


def test_a_slab_is_chosen_in_the_strip(viewer: Viewer, settled: Waiter) -> None:
    box = next(b for b in viewer.findChildren(QSpinBox) if b.isVisible())
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, "5")
    QTest.keyClick(box, Qt.Key.Key_Return)
    assert viewer.state.slab_planes == 5
    settled(lambda: "max of 5" in viewer.ortho.panes["xy"].caption)


# ---- Geometry ----


def test_panes_show_true_proportions_and_line_up(viewer: Viewer) -> None:
    panes = viewer.ortho.panes
    for pane in panes.values():
        assert pane.camera == panes["xy"].camera
    xy, xz, yz = panes["xy"], panes["xz"], panes["yz"]
    px = xy.camera.px_um
    # 10 voxels of Z are 20 µm, of Y 10 µm, of X 5 µm.
    down = xz.to_px((20, 0, 0)).y() - xz.to_px((0, 0, 0)).y()
    along = xy.to_px((0, 0, 5)).x() - xy.to_px((0, 0, 0)).x()
    assert down == pytest.approx(20 / px)
    assert along == pytest.approx(5 / px)
    assert xy.to_px((0, 0, 7)).x() == pytest.approx(xz.to_px((0, 0, 7)).x())
    assert xy.to_px((0, 7, 0)).y() == pytest.approx(yz.to_px((0, 7, 0)).y())


def test_the_whole_volume_is_seen_at_first(viewer: Viewer) -> None:
    for pane in viewer.ortho.panes.values():
        size = pane.rect().adjusted(-1, -1, 1, 1)
        assert size.contains(at_um(pane, 0, 0, 0))
        assert size.contains(at_um(pane, 40, 40, 30))


def test_zoom_keeps_what_is_under_the_mouse_and_is_linked(viewer: Viewer) -> None:
    pane, at = viewer.ortho.panes["xy"], QPointF(130, 90)
    before, px = pane.to_um(at), pane.camera.px_um
    turn_wheel(pane, 3, at=at, held=CONTROL)
    assert pane.to_um(at) == pytest.approx(before)
    assert pane.camera.px_um == pytest.approx(px / 1.25**3)
    assert viewer.ortho.panes["yz"].camera == pane.camera
    assert viewer.state.cursor_zyx == (10, 20, 30)


def test_dragging_moves_all_panes(viewer: Viewer) -> None:
    pane = viewer.ortho.panes["xy"]
    point = pane.to_um(QPointF(100, 100))
    QTest.mousePress(pane, Qt.MouseButton.LeftButton, NONE, QPoint(100, 100))
    for n in range(1, 6):
        QTest.mouseMove(pane, QPoint(100 + 8 * n, 100 - 4 * n))
        QApplication.processEvents()
    QTest.mouseRelease(pane, Qt.MouseButton.LeftButton, NONE, QPoint(140, 80))
    assert pane.to_um(QPointF(140, 80)) == pytest.approx(point)
    assert viewer.ortho.panes["xz"].camera == pane.camera
    assert viewer.state.cursor_zyx == (10, 20, 30)


def test_home_shows_everything_again(viewer: Viewer) -> None:
    pane = viewer.ortho.panes["xy"]
    before = pane.camera
    turn_wheel(pane, 5, at=QPointF(10, 10), held=CONTROL)
    QTest.keyClick(pane, Qt.Key.Key_Home)
    assert pane.camera == before


def test_a_pane_fills_the_viewer_and_gives_way_again(viewer: Viewer, settled: Waiter) -> None:
    pane = viewer.ortho.panes["xz"]
    QTest.mouseDClick(pane, Qt.MouseButton.LeftButton)
    assert viewer.state.maximized == "xz"
    settled(lambda: pane.width() > 700 and pane.height() > 450)
    assert not viewer.ortho.panes["xy"].isVisible()
    QTest.keyClick(pane, Qt.Key.Key_Escape)
    settled(lambda: viewer.ortho.panes["xy"].isVisible())
    settled(lambda: is_read(viewer))
    QTest.mouseClick(viewer.ortho.panes["xy"].maximize_button, Qt.MouseButton.LeftButton)
    assert viewer.state.maximized == "xy"


def test_the_visible_region_is_what_the_panes_show(viewer: Viewer) -> None:
    assert viewer.visible_region() == (slice(0, 20), slice(0, 40), slice(0, 60))
    viewer.center_on((10, 20, 30))
    camera = viewer.ortho.linked.camera
    viewer.ortho.linked.set_camera(camera.zoomed(20))
    z, y, x = viewer.visible_region()
    for part, middle, size in ((z, 10, 20), (y, 20, 40), (x, 30, 60)):
        assert part.start <= middle < part.stop
        assert part.stop - part.start < size
