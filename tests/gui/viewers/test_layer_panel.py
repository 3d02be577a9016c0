"""The layer panel edits how layers are drawn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QStyle, QStyleOptionViewItem
from pytestqt.qtbot import QtBot

from cellseg_app.state.display import Layer
from cellseg_app.viewers.layer_panel import LayerPanel
from cellseg_app.viewers.viewer import Viewer
from tests.gui.viewers.conftest import Waiter

NONE = Qt.KeyboardModifier.NoModifier


@pytest.fixture
def panel(viewer: Viewer, qtbot: QtBot) -> Iterator[LayerPanel]:
    made = LayerPanel(viewer)
    qtbot.addWidget(made)
    made.resize(280, 500)
    made.show()
    yield made
    made.close_events()


def titles(panel: LayerPanel) -> list[str]:
    return [panel.list.item(row).text() for row in range(panel.list.count())]


def tick_place(panel: LayerPanel, row: int) -> QPoint:
    item = panel.list.item(row)
    option = QStyleOptionViewItem()
    option.initFrom(panel.list)
    option.rect = panel.list.visualItemRect(item)
    option.features |= QStyleOptionViewItem.ViewItemFeature.HasCheckIndicator
    element = QStyle.SubElement.SE_ItemViewItemCheckIndicator
    return panel.list.style().subElementRect(element, option, panel.list).center()


def test_the_topmost_layer_is_listed_first(panel: LayerPanel) -> None:
    assert titles(panel) == ["Cells", "Probability", "Image"]
    assert panel.layer is not None
    assert panel.layer.key == "image"
    assert "20 × 40 × 60 voxels" in panel.list.item(2).toolTip()


def test_a_tick_hides_a_layer(panel: LayerPanel, viewer: Viewer, settled: Waiter) -> None:
    pane = viewer.ortho.panes["xy"]
    assert pane.has_picture("labels")
    QTest.mouseClick(panel.list.viewport(), Qt.MouseButton.LeftButton, NONE, tick_place(panel, 0))
    assert not viewer.state.looks["labels"].visible
    settled(lambda: not pane.has_picture("labels"))
    viewer.state.set_look("labels", visible=True)
    assert panel.list.item(0).checkState() == Qt.CheckState.Checked


def test_controls_fit_the_kind_of_layer(panel: LayerPanel) -> None:
    assert panel.contrast.isVisible()
    assert not panel.outlines.isVisible()
    panel.choose("labels")
    assert not panel.contrast.isVisible()
    assert not panel.colormap.isVisible()
    assert panel.outlines.isVisible()


def test_opacity_colormap_and_outlines_are_set(panel: LayerPanel, viewer: Viewer) -> None:
    panel.opacity.setFocus()
    QTest.keyClick(panel.opacity, Qt.Key.Key_Home)
    assert viewer.state.looks["image"].opacity == 0
    QTest.keyClicks(panel.colormap, "vir")
    assert viewer.state.looks["image"].colormap == "viridis"
    panel.choose("labels")
    QTest.mouseClick(panel.outlines, Qt.MouseButton.LeftButton, NONE, QPoint(8, 8))
    assert viewer.state.looks["labels"].outlines_only


def test_contrast_is_chosen_by_itself_or_by_hand(panel: LayerPanel, viewer: Viewer) -> None:
    auto = viewer.state.looks["image"].clims
    found = viewer.statistics("image")
    assert auto is not None
    assert found is not None
    assert panel.contrast.slider.value() == pytest.approx(auto, abs=1)
    QTest.mouseClick(panel.contrast.full, Qt.MouseButton.LeftButton)
    assert viewer.state.looks["image"].clims == found.range
    assert panel.contrast.slider.value() == pytest.approx(found.range, abs=1)
    QTest.mouseClick(panel.contrast.auto, Qt.MouseButton.LeftButton)
    assert viewer.state.looks["image"].clims == auto
    panel.contrast.slider.setValue((2000.0, 9000.0))
    assert viewer.state.looks["image"].clims == (2000.0, 9000.0)


def test_limits_never_meet(panel: LayerPanel, viewer: Viewer) -> None:
    panel.contrast.slider.setValue((5000.0, 5000.0))
    low, high = viewer.state.looks["image"].clims or (0, 0)
    assert high > low


def test_gamma_is_set(panel: LayerPanel, viewer: Viewer) -> None:
    panel.contrast.gamma.setValue(50)
    assert viewer.state.looks["image"].gamma == 0.5


def test_the_chosen_layer_stays_chosen_when_results_come(
    panel: LayerPanel, viewer: Viewer, layers: list[Layer], settled: Waiter
) -> None:
    panel.choose("labels")
    viewer.set_layers([layers[0], layers[2]])
    assert panel.layer is layers[2]
    settled(lambda: titles(panel) == ["Cells", "Image"])
    assert panel.layer is layers[2]


def test_without_layers_it_says_why_it_is_empty(
    panel: LayerPanel, viewer: Viewer, settled: Waiter
) -> None:
    viewer.set_layers([])
    settled(panel.empty.isVisible)
    assert not panel.list.isVisible()
    assert not panel.opacity.isVisible()
