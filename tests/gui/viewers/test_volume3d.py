"""The volume in 3D: properties of the picture, not its pixels, which differ between cards."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from vispy.gloo.glir import GlirProgram

from cellseg_app.state.display import Layer, ViewState
from cellseg_app.viewers.overview import Overview
from cellseg_app.viewers.viewer import Viewer
from cellseg_app.viewers.volume3d.capability import OpenGLReport
from cellseg_app.viewers.volume3d.pane import SpacePane
from cellseg_app.viewers.volume3d.prepare import cells_mesh, make_texture
from tests.gui.viewers.conftest import SHAPE, SPACING, Waiter


def test_without_opengl_a_sentence_says_so_and_slices_work(qtbot: QtBot) -> None:
    pane = SpacePane(ViewState(), report=OpenGLReport(problem="No 3D view: no driver."))
    qtbot.addWidget(pane)
    pane.resize(300, 200)
    with qtbot.waitExposed(pane):
        pane.show()
    texts = [label.text() for label in pane.findChildren(type(pane.controls.badge))]
    assert "No 3D view: no driver." in texts
    assert not pane.controls.method.isVisible()
    assert pane.picture() is None
    pane.set_layers([])
    pane.fit()
    pane.shutdown()


def test_the_surface_of_a_cell_lies_where_the_cell_is(layers: list[Layer]) -> None:
    mesh = cells_mesh(Overview(layers[2], 0, np.asarray(layers[2].data), (1, 1, 1)), (303,))
    assert mesh is not None
    # Z 8-12, Y 25-35, X 35-50 at 2, 1 and 0.5 µm.
    np.testing.assert_allclose(mesh.vertices_um_xyz.min(axis=0), (17.5, 25, 16), atol=0.8)
    np.testing.assert_allclose(mesh.vertices_um_xyz.max(axis=0), (25, 35, 24), atol=0.8)
    assert cells_mesh(Overview(layers[2], 0, np.asarray(layers[2].data), (1, 1, 1)), (9,)) is None


def test_the_surfaces_of_several_cells_are_one(layers: list[Layer]) -> None:
    overview = Overview(layers[2], 0, np.asarray(layers[2].data), (1, 1, 1))
    alone = [cells_mesh(overview, (label,)) for label in (11, 303)]
    both = cells_mesh(overview, (303, 9, 11))
    assert both is not None
    assert alone[0] is not None
    assert alone[1] is not None
    parts = [mesh.vertices_um_xyz[mesh.faces] for mesh in alone if mesh is not None]
    np.testing.assert_array_equal(both.vertices_um_xyz[both.faces], np.concatenate(parts))


def test_a_texture_lies_where_the_layer_is(layers: list[Layer]) -> None:
    from cellseg_app.viewers.colors import LabelColors

    overview = Overview(layers[1], 0, np.asarray(layers[1].data)[::2, ::2, ::2], (2, 2, 2))
    texture = make_texture(overview, LabelColors())
    assert texture.data.dtype == np.uint8
    assert texture.data.max() == 191
    assert texture.voxel_um_zyx == (4.0, 2.0, 1.0)
    assert texture.first_um_zyx == (2.0, 1.0, 0.5)
    assert texture.clims((0.0, 1.0)) == (0.0, 255.0)


# ---- Drawn ----


@pytest.fixture
def drawn(viewer: Viewer, settled: Waiter) -> Viewer:
    """A viewer whose 3D pane has image and labels."""
    space = viewer.ortho.space
    settled(lambda: space.scene is not None)
    assert space.scene is not None
    settled(lambda: {"image", "labels"} <= space.scene.ready)
    return viewer


def colors_of(image: QImage | None) -> npt.NDArray[np.uint8]:
    assert image is not None
    image = image.convertToFormat(QImage.Format.Format_RGBA8888)
    pixels = np.frombuffer(image.constBits(), np.uint8)
    return pixels.reshape(image.height(), image.width(), 4)[..., :3].copy()


def n_colored(viewer: Viewer) -> int:
    """Pixels of a label colour: neither grey nor background."""
    pixels = colors_of(viewer.ortho.space.picture()).astype(int)
    return int((pixels.max(axis=2) - pixels.min(axis=2) > 60).sum())


@pytest.mark.gl
def test_the_first_volume_waits_for_no_shader_of_frame_and_crosshair(
    layers: list[Layer], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked: list[GlirProgram] = []
    link = GlirProgram.link_program

    def noted(program: GlirProgram) -> None:
        linked.append(program)
        link(program)

    monkeypatch.setattr(GlirProgram, "link_program", noted)
    pane = SpacePane(ViewState())
    qtbot.addWidget(pane)
    pane.resize(300, 200)
    with qtbot.waitExposed(pane):
        pane.show()
    # Before the window system has drawn it once, there is nothing to take a picture with.
    qtbot.waitUntil(lambda: pane.scene is not None and bool(linked), timeout=20_000)
    nothing = colors_of(pane.picture())
    assert len(np.unique(nothing.reshape(-1, 3), axis=0)) == 1
    n_linked = len(linked)
    pane.set_layers(layers)
    assert (colors_of(pane.picture()) != nothing).any()
    assert len(linked) == n_linked
    pane.shutdown()


@pytest.mark.gl
def test_the_window_works_while_the_scene_is_made(qtbot: QtBot) -> None:
    pane = SpacePane(ViewState())
    qtbot.addWidget(pane)
    pane.resize(300, 200)
    with qtbot.waitExposed(pane):
        pane.show()
    qtbot.waitUntil(lambda: pane._making is not None, timeout=20_000)
    turns: list[bool] = []
    timer = QTimer(pane, interval=1)
    timer.timeout.connect(lambda: turns.append(pane.scene is None))
    timer.start()
    qtbot.waitUntil(lambda: pane.scene is not None and not turns[-1], timeout=20_000)
    assert sum(turns) >= 3
    pane.shutdown()


@pytest.mark.gl
def test_closed_while_the_scene_is_made_nothing_is_left(qtbot: QtBot) -> None:
    pane = SpacePane(ViewState())
    qtbot.addWidget(pane)
    pane.show()
    qtbot.waitUntil(lambda: pane._making is not None, timeout=20_000)
    assert pane.scene is None
    pane.shutdown()
    pane.close()
    qtbot.wait(100)
    assert pane.scene is None


@pytest.mark.gl
def test_turning_begins_without_another_drawing_of_everything(
    drawn: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = drawn.ortho.space.scene
    assert scene is not None
    colors_of(drawn.ortho.space.picture())
    linked: list[GlirProgram] = []
    monkeypatch.setattr(GlirProgram, "link_program", linked.append)
    QTest.mousePress(scene.widget, Qt.MouseButton.LeftButton, pos=QPoint(100, 100))
    QTest.mouseRelease(scene.widget, Qt.MouseButton.LeftButton, pos=QPoint(100, 100))
    assert not linked


@pytest.mark.gl
def test_labels_are_drawn_in_their_colors(drawn: Viewer) -> None:
    drawn.state.set_look("image", visible=False)
    assert n_colored(drawn) > 500
    drawn.state.set_look("labels", visible=False)
    # What is left are frame and crosshair.
    assert n_colored(drawn) < 500


@pytest.mark.gl
@pytest.mark.parametrize("method", ["mip", "translucent", "iso"])
def test_every_method_draws_the_image(drawn: Viewer, method: str) -> None:
    drawn.state.set_look("labels", visible=False)
    drawn.state.set_look("image", visible=False)
    drawn.state.set_space(method=method)
    # The controls make room for the level of a surface.
    QApplication.processEvents()
    without = colors_of(drawn.ortho.space.picture())
    drawn.state.set_look("image", visible=True)
    changed = (colors_of(drawn.ortho.space.picture()) != without).any(axis=2)
    assert changed.mean() > 0.02


@pytest.mark.gl
def test_a_plane_cuts_the_volume(drawn: Viewer) -> None:
    drawn.state.set_look("image", visible=False)
    whole = n_colored(drawn)
    # The cells lie in Z 4-12 of 20.
    drawn.state.set_space(clip_axis=0, clip_fraction=0.9)
    assert n_colored(drawn) < 0.2 * whole
    drawn.state.set_space(clip_flipped=True)
    assert n_colored(drawn) > 0.8 * whole


@pytest.mark.gl
@pytest.mark.parametrize("camera", ["turntable", "orbit"])
def test_dragging_turns_the_volume(drawn: Viewer, camera: str, qtbot: QtBot) -> None:
    drawn.state.set_space(camera=camera)
    before = colors_of(drawn.ortho.space.picture())
    assert drawn.ortho.space.scene is not None
    canvas = drawn.ortho.space.scene.widget
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=QPoint(100, 100))
    for n in range(1, 5):
        QTest.mouseMove(canvas, QPoint(100 + 20 * n, 100))
        qtbot.wait(20)
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=QPoint(180, 100))
    after = colors_of(drawn.ortho.space.picture())
    assert (before != after).any(axis=2).mean() > 0.02


@pytest.mark.gl
@pytest.mark.parametrize("camera", ["turntable", "orbit"])
def test_left_and_top_of_the_slices_are_left_and_top_in_3d(drawn: Viewer, camera: str) -> None:
    drawn.state.set_space(camera=camera)
    scene = drawn.ortho.space.scene
    assert scene is not None

    def seen(*point_um_xyz: float) -> npt.NDArray[np.float64]:
        at = np.asarray(scene.view.scene.transform.map(point_um_xyz), float)
        return np.asarray(at[:3] / at[3])

    first = seen(0, 0, 0)
    assert seen(30, 0, 0)[0] > first[0]
    assert seen(0, 40, 0)[1] > first[1]
    # What lies deeper in the stack lies farther away.
    assert seen(0, 0, 40)[2] > first[2]


@pytest.mark.gl
def test_turning_freely_begins_as_it_was_seen(drawn: Viewer) -> None:
    scene = drawn.ortho.space.scene
    assert scene is not None
    scene.view.camera.azimuth, scene.view.camera.elevation = 20.0, -40.0
    corners = np.array([[x, y, z] for x in (0, 30) for y in (0, 40) for z in (0, 40)])
    before = scene.view.scene.transform.map(corners)
    drawn.state.set_space(camera="orbit")
    after = scene.view.scene.transform.map(corners)
    np.testing.assert_allclose(after[:, :2] / after[:, 3:], before[:, :2] / before[:, 3:], atol=0.5)


@pytest.mark.gl
def test_without_a_card_it_is_drawn_coarsely_only_while_it_turns(
    drawn: Viewer, qtbot: QtBot, settled: Waiter
) -> None:
    if not drawn.ortho.space.report.is_software:
        pytest.skip("a graphics card draws here, quickly enough in full quality")
    scene = drawn.ortho.space.scene
    assert scene is not None
    node = scene._shown["image"].node
    fine = node.relative_step_size
    canvas = scene.widget
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=QPoint(100, 100))
    for n in range(1, 4):
        QTest.mouseMove(canvas, QPoint(100 + 20 * n, 100))
        qtbot.wait(20)
    assert node.relative_step_size > 2 * fine
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=QPoint(160, 100))
    settled(lambda: node.relative_step_size == fine)


@pytest.mark.gl
def test_the_chosen_cell_is_drawn_white(drawn: Viewer, settled: Waiter) -> None:
    drawn.state.set_look("image", visible=False)

    def white() -> int:
        return int((colors_of(drawn.ortho.space.picture()).min(axis=2) > 150).sum())

    before = white()
    drawn.highlight((303,))
    settled(lambda: white() > before + 50)
    drawn.highlight(())
    settled(lambda: white() <= before)


@pytest.mark.gl
def test_other_cells_are_darker_while_one_is_chosen(drawn: Viewer, settled: Waiter) -> None:
    drawn.state.set_look("image", visible=False)
    before = n_colored(drawn)
    drawn.highlight([303])
    settled(lambda: n_colored(drawn) < 0.5 * before)
    drawn.highlight([])
    settled(lambda: n_colored(drawn) == before)


@pytest.mark.gl
def test_a_volume_too_large_for_the_card_is_shown_coarser_and_says_so(
    empty_viewer: Viewer, settled: Waiter, qtbot: QtBot
) -> None:
    empty_viewer.survey.n_bytes = 100_000
    image = np.zeros((64, 128, 128), np.uint16)
    image[20:40, 30:90, 30:90] = 500
    empty_viewer.set_layers([Layer("image", "Image", "image", image, (1.0, 1.0, 1.0))])
    badge = empty_viewer.ortho.space.controls.badge
    settled(lambda: badge.text() == "shown at 1/4")
    assert badge.isVisible()


@pytest.mark.gl
def test_the_picture_of_the_window_has_3d_in_it(drawn: Viewer) -> None:
    drawn.state.set_look("image", visible=False)
    space = drawn.ortho.space
    picture = drawn.screenshot()
    corner = space.mapTo(drawn.ortho, QPoint(0, 0)) * drawn.devicePixelRatio()
    quarter = picture.copy(corner.x(), corner.y(), space.width(), space.height())
    pixels = colors_of(quarter).astype(int)
    assert (pixels.max(axis=2) - pixels.min(axis=2) > 60).sum() > 300


@pytest.mark.gl
def test_drawn_in_bands_the_picture_becomes_whole(drawn: Viewer, settled: Waiter) -> None:
    drawn.state.set_look("image", visible=False)
    scene = drawn.ortho.space.scene
    assert scene is not None
    assert scene.canvas.patient
    widget = scene.widget

    def colorful(image: QImage) -> np.ndarray:
        pixels = colors_of(image).astype(int)
        return np.asarray((pixels.max(axis=2) - pixels.min(axis=2) > 60).sum(axis=1))

    def is_whole() -> bool:
        on_screen, at_once = (
            colorful(widget.grabFramebuffer()),
            colorful(drawn.ortho.space.picture()),
        )
        return bool(at_once.sum() > 300 and np.abs(on_screen - at_once).max() <= 3)

    settled(is_whole)


@pytest.mark.gl
def test_a_new_result_replaces_the_old_one(
    drawn: Viewer, layers: list[Layer], settled: Waiter
) -> None:
    drawn.state.set_look("image", visible=False)
    assert n_colored(drawn) > 500
    empty = Layer("labels", "Cells", "labels", np.zeros(SHAPE, np.uint32), SPACING)
    drawn.set_layers([layers[0], empty])
    settled(lambda: n_colored(drawn) < 500)


@pytest.mark.gl
def test_what_the_card_refuses_is_told_once(
    drawn: Viewer,
    layers: list[Layer],
    settled: Waiter,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = drawn.ortho.space.scene
    assert scene is not None

    def refuse(*_: object) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patched, qtbot.capture_exceptions() as told:
        patched.setattr(scene, "begin", refuse)
        drawn.set_layers([*layers[:2], replace(layers[2], title="Others")])
        settled(lambda: told)
        qtbot.wait(100)
    assert len(told) == 1
    drawn.set_layers(layers)
    settled(lambda: scene._shown["labels"].layer is layers[2])
