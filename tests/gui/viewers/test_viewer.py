"""What the viewer shows, and what it tells of clicks."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PySide6.QtCore import QPoint, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QSlider,
    QSpinBox,
    QToolButton,
)
from pytestqt.qtbot import QtBot

from cellseg_app.core.errors import InputError
from cellseg_app.state.display import Layer
from cellseg_app.viewers.colors import LabelValues, colors_by_value
from cellseg_app.viewers.grid_view import GridTile
from cellseg_app.viewers.ortho.overlays import draw_caption
from cellseg_app.viewers.viewer import Viewer
from tests.gui.viewers.conftest import SHAPE, SPACING, Waiter
from tests.gui.viewers.gestures import CONTROL, NONE, at_um, turn_wheel

# ---- Clicks and values ----


def test_a_click_on_a_cell_tells_its_id_and_moves_the_crosshair(
    viewer: Viewer, qtbot: QtBot
) -> None:
    pane = viewer.ortho.panes["xy"]
    with qtbot.waitSignal(viewer.cell_clicked, timeout=10_000) as clicked:
        QTest.mouseClick(pane, Qt.MouseButton.LeftButton, NONE, at_um(pane, 0, 30.4, 20.2))
    assert clicked.args == [303]
    assert viewer.state.cursor_zyx == (10, 30, 40)
    with qtbot.waitSignal(viewer.cell_clicked, timeout=10_000) as clicked:
        QTest.mouseClick(pane, Qt.MouseButton.LeftButton, NONE, at_um(pane, 0, 3.5, 2.2))
    assert clicked.args == [0]


def test_a_click_with_ctrl_is_told_as_one_more(viewer: Viewer, qtbot: QtBot) -> None:
    pane, clicked = viewer.ortho.panes["xy"], []
    viewer.cell_clicked.connect(clicked.append)
    with qtbot.waitSignal(viewer.cell_toggled, timeout=10_000) as toggled:
        QTest.mouseClick(pane, Qt.MouseButton.LeftButton, CONTROL, at_um(pane, 0, 30.4, 20.2))
    assert toggled.args == [303]
    assert clicked == []


def test_the_values_under_the_mouse_are_shown(viewer: Viewer, settled: Waiter) -> None:
    pane = viewer.ortho.panes["xz"]
    place = at_um(pane, 17.0, 0, 22.7)
    viewer.state.cursor_zyx = (10, 28, 30)
    QTest.mouseMove(pane, place + QPoint(5, 5))
    QTest.mouseMove(pane, place)
    text = viewer.strip._readout
    settled(lambda: "Z 8  Y 28  X 45" in text.text())
    assert "cell 303" in text.text()
    assert "Image 8571" in text.text()
    assert "Probability 0.750" in text.text()
    assert "28.5" in text.text()


def test_the_right_button_drags_the_crosshair(viewer: Viewer) -> None:
    pane = viewer.ortho.panes["xy"]
    QTest.mousePress(pane, Qt.MouseButton.RightButton, NONE, at_um(pane, 0, 5.5, 5.2))
    assert viewer.state.cursor_zyx == (10, 5, 10)


def test_a_highlighted_cell_is_seen(viewer: Viewer, settled: Waiter) -> None:
    pane = viewer.ortho.panes["xy"]

    def white() -> int:
        picture = pane.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
        pixels = np.frombuffer(picture.constBits(), np.uint32)
        return int((pixels == 0xFFFFFFFF).sum())

    before = white()
    viewer.state.set_look("labels", opacity=1.0)
    viewer.highlight((303,))
    settled(lambda: white() > before + 100)
    viewer.highlight(())
    settled(lambda: white() <= before)


def test_cells_are_colored_by_a_value(viewer: Viewer, settled: Waiter) -> None:
    pane = viewer.ortho.panes["xy"]
    viewer.state.set_look("labels", opacity=1.0)
    values = LabelValues(np.array([11, 303]), np.array([1.0, 2.0]))
    viewer.set_label_colors(colors_by_value(values, "gray"))

    def color() -> str:
        return QColor(pane.grab().toImage().pixel(at_um(pane, 0, 27.5, 18.2))).name()

    settled(lambda: color() == "#ffffff")
    viewer.set_label_colors(None)
    settled(lambda: color() != "#ffffff")


# ---- Layers come and go ----


def test_a_replaced_layer_keeps_its_look_and_the_view(
    viewer: Viewer, layers: list[Layer], settled: Waiter
) -> None:
    viewer.state.set_look("labels", opacity=1.0, outlines_only=True)
    viewer.center_on((3, 4, 5))
    camera = viewer.ortho.linked.camera
    empty = Layer("labels", "Cells", "labels", np.zeros(SHAPE, np.uint32), SPACING)
    viewer.set_layers([*layers[:2], empty])
    assert viewer.state.looks["labels"].outlines_only
    assert viewer.state.cursor_zyx == (3, 4, 5)
    assert viewer.ortho.linked.camera == camera


def test_a_replaced_layer_is_shown(viewer: Viewer, layers: list[Layer], settled: Waiter) -> None:
    pane = viewer.ortho.panes["xy"]
    viewer.state.set_look("image", visible=False)
    everywhere = Layer("labels", "Cells", "labels", np.full(SHAPE, 11, np.uint32), SPACING)
    place = at_um(pane, 0, 3.5, 2.2)
    before = QColor(pane.grab().toImage().pixel(place)).name()
    viewer.set_layers([*layers[:2], everywhere])
    settled(lambda: QColor(pane.grab().toImage().pixel(place)).name() != before)


def test_another_image_gets_its_own_contrast(viewer: Viewer, settled: Waiter) -> None:
    first = viewer.state.looks["image"].clims
    bright = (np.random.default_rng(0).random((8, 9, 10)) * 60_000).astype(np.uint16)
    viewer.set_layers([Layer("image", "Image", "image", bright, None)])
    settled(lambda: viewer.state.looks["image"].clims not in (None, first))
    assert viewer.state.cursor_zyx == (4, 4, 5)
    assert "µm" not in viewer.ortho.panes["xy"].caption


def test_no_layers_say_what_to_do(empty_viewer: Viewer) -> None:
    assert "Drop a volume" in empty_viewer.ortho.panes["xy"].message
    turn_wheel(empty_viewer.ortho.panes["xy"], 1)
    assert empty_viewer.state.cursor_zyx == (0, 0, 0)


class Unreadable:
    """A file that was taken away."""

    shape, dtype, ndim = (10, 20, 30), np.dtype(np.uint16), 3

    def __getitem__(self, key: tuple[slice, ...]) -> npt.NDArray[Any]:
        raise InputError("The file is gone.", "Check that its disk is connected.")


def test_a_file_that_cannot_be_read_says_so_in_the_panes(
    empty_viewer: Viewer, settled: Waiter
) -> None:
    empty_viewer.set_layers([Layer("image", "Image", "image", Unreadable())])
    settled(lambda: "disk is connected" in empty_viewer.ortho.panes["xz"].message)


# ---- Classes, grid, pictures ----


def test_the_class_slider_shows_a_class_at_once(
    viewer: Viewer, layers: list[Layer], settled: Waiter, qtbot: QtBot
) -> None:
    classes = np.stack([np.full(SHAPE, n / 4, np.float16) for n in range(4)])
    assert not viewer.class_slider.isVisible()
    layer = Layer("probability", "Probability", "probability", classes, SPACING)
    viewer.state.set_look("probability", visible=True)
    viewer.set_layers([layers[0], layer])
    assert viewer.class_slider.isVisible()
    slider = viewer.class_slider.findChild(QSlider)
    with qtbot.waitSignal(viewer.class_changed) as changed:
        QTest.keyClick(slider, Qt.Key.Key_End)
    assert changed.args == [3]
    assert viewer.state.class_index == 3
    QTest.mouseMove(viewer.ortho.panes["xy"], QPoint(100, 100))
    QTest.mouseMove(viewer.ortho.panes["xy"], viewer.ortho.panes["xy"].rect().center())
    settled(lambda: "Probability 0.750" in viewer.strip._readout.text())
    viewer.state.class_index = 1
    assert slider.value() == 1


def test_results_are_compared_side_by_side(viewer: Viewer, settled: Waiter) -> None:
    button = next(b for b in viewer.findChildren(QToolButton) if b.text() == "Side by side")
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert viewer.state.mode == "grid"
    panes = viewer.grid.panes
    assert [pane.title for pane in panes] == ["Image", "Probability", "Cells"]
    # Hidden among the slices, a probability is seen in its own tile.
    settled(lambda: panes[1].has_picture("probability") and panes[2].has_picture("labels"))
    turn_wheel(panes[2], 1)
    assert viewer.state.cursor_zyx[0] == 11
    settled(lambda: panes[0].caption == panes[2].caption)
    turn_wheel(panes[0], 2, held=CONTROL)
    assert panes[0].camera == panes[2].camera


def test_volumes_of_other_voxel_sizes_are_compared_at_the_same_place(
    viewer: Viewer, layers: list[Layer], settled: Waiter, qtbot: QtBot
) -> None:
    half = Layer("half", "Half", "labels", layers[2].data[::2, ::2, ::2], (4.0, 2.0, 1.0))  # type: ignore[index]
    viewer.set_grid([GridTile("One", (layers[2],)), GridTile("Two", (half,))])
    viewer.state.mode = "grid"
    one, two = viewer.grid.panes
    settled(lambda: one.has_picture("labels") and two.has_picture("half"))
    with qtbot.waitSignal(viewer.cell_clicked, timeout=10_000) as clicked:
        QTest.mouseClick(two, Qt.MouseButton.LeftButton, NONE, at_um(two, 0, 30.4, 20.2))
    assert clicked.args == [303]
    assert viewer.state.cursor_zyx == (10, 30, 40)
    viewer.set_grid(None)
    assert [pane.title for pane in viewer.grid.panes] == ["Image", "Probability", "Cells"]


def test_the_preview_box_is_drawn_where_it_lies(viewer: Viewer, settled: Waiter) -> None:
    pane = viewer.ortho.panes["xy"]
    viewer.set_preview_box((slice(5, 15), slice(10, 30), slice(20, 40)))
    edge = at_um(pane, 0, 10.0, 12.0)

    def is_orange() -> bool:
        picture = pane.grab().toImage()
        colors = [QColor(picture.pixel(edge + QPoint(0, n))) for n in (-1, 0, 1)]
        return any(c.red() > 200 and 100 < c.green() < 200 and c.blue() < 110 for c in colors)

    settled(is_orange)
    viewer.set_preview_box(None)
    assert not is_orange()


def test_a_screenshot_has_all_panes(viewer: Viewer) -> None:
    picture = viewer.screenshot()
    ratio = viewer.devicePixelRatio()
    assert picture.width() == viewer.width() * ratio
    assert picture.height() > 0.8 * viewer.height() * ratio


def test_every_control_has_a_name_and_a_tooltip(viewer: Viewer) -> None:
    kinds = (QToolButton, QSlider, QSpinBox, QComboBox)
    controls = [w for kind in kinds for w in viewer.findChildren(kind)]
    assert len(controls) > 8
    for control in controls:
        assert control.accessibleName(), control
        assert control.toolTip(), control


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="None cannot be lost there")
def test_painting_takes_no_reference_from_none(viewer: Viewer) -> None:
    """PySide6 6.12.0 did: after some thousand repaints the process died."""
    pane = viewer.ortho.panes["xy"]
    pane.repaint()
    before = sys.getrefcount(None)
    for _ in range(50):
        pane.repaint()
    assert sys.getrefcount(None) > before - 500


def test_panes_of_the_grid_are_not_made_while_nobody_compares(
    viewer: Viewer, layers: list[Layer]
) -> None:
    assert viewer.grid.panes == []
    viewer.state.mode = "grid"
    assert len(viewer.grid.panes) == 3
    viewer.set_layers(layers[:1])
    assert [pane.title for pane in viewer.grid.panes] == ["Image"]
    viewer.state.mode = "ortho"
    assert viewer.grid.panes == []


@pytest.mark.parametrize("title", ["XY", "a long name of a volume: 1,234 cells, TRAILMAP_MS"])
def test_where_a_pane_cuts_is_read_beside_any_name(title: str, qapp: QApplication) -> None:
    image = QImage(220, 40, QImage.Format.Format_RGB32)
    image.fill(QColor("blue"))
    painter = QPainter(image)
    draw_caption(painter, QRectF(0, 0, 220, 40), "Z 25/48  49.0 µm", strong=title)
    painter.end()
    shaded = [x for x in range(220) if image.pixelColor(x, 12) != QColor("blue")]
    assert shaded[-1] < 215
