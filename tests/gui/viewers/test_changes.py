"""Labels that change in places: what is made from what was there is what all of them give."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from pytestqt.qtbot import QtBot

from cellseg_app.analysis.edited_labels import EditedLabels
from cellseg_app.analysis.edits import LabelEdits
from cellseg_app.analysis.remeasure import find_boxes
from cellseg_app.core.blocks import whole
from cellseg_app.core.edits import DeleteCells, MergeCells
from cellseg_app.io.open import open_volume
from cellseg_app.paths import resource_path
from cellseg_app.state.display import Change, Layer
from cellseg_app.viewers.colors import LabelColors
from cellseg_app.viewers.overview import Overview, build_overview, choose_step
from cellseg_app.viewers.survey import UNLIMITED_SIZE, Survey
from cellseg_app.viewers.viewer import Viewer
from cellseg_app.viewers.volume3d.prepare import changed_blocks, make_texture
from tests.gui.viewers.conftest import Waiter
from tests.gui.viewers.test_volume3d import colors_of

SPACING = (2.0, 1.0, 1.0)


class Corrected:
    """The sample's cells, edited step by step."""

    def __init__(self, *, coarser: float | None) -> None:
        volume = open_volume(resource_path("sample/nuclei_labels.tif"))
        stored: npt.NDArray[np.uint32] = volume.data[whole(volume.shape_zyx)].astype(np.uint32)
        self.stored, self._coarser = stored, coarser
        self.edits = LabelEdits(stored, find_boxes(stored), SPACING)
        self.layer = self._layer(EditedLabels(stored, ()), None)

    def steps(self) -> Iterator[Layer]:
        """The layer after each edit."""
        ids = [label for label in np.unique(self.stored).tolist() if label]
        yield self._do(DeleteCells(labels=(ids[3],)))
        yield self._do(MergeCells(labels=(ids[5], ids[6])))
        yield self._do(self.edits.split(ids[8]))
        yield self._do(self.edits.split(ids[5], 3))
        yield self._undo()
        yield self._do(DeleteCells(labels=tuple(ids[20::4])))
        for _ in range(3):
            yield self._undo()

    def _do(self, edit: object) -> Layer:
        self.edits.apply(edit)  # type: ignore[arg-type]
        return self._follow()

    def _undo(self) -> Layer:
        self.edits.undo()
        return self._follow()

    def _follow(self) -> Layer:
        before, after = self.layer.data, self.edits.labels
        assert isinstance(before, EditedLabels)
        self.layer = self._layer(after, Change(before, after.changed_since(before.rewrites)))
        return self.layer

    def _layer(self, data: EditedLabels, change: Change | None) -> Layer:
        levels = []
        if self._coarser is not None:
            n, f = int(self._coarser), self._coarser
            half = EditedLabels(self.stored[::n, ::n, ::n], data.rewrites, (f, f, f))
            levels = [Layer("labels", "", "labels", half, tuple(f * s for s in SPACING))]  # type: ignore[arg-type]
        return Layer("labels", "", "labels", data, SPACING, coarser=tuple(levels), change=change)


def from_all(layer: Layer, n_bytes: int) -> Overview:
    """The overview of labels of which nothing is known."""
    step = choose_step(
        layer.shape_zyx, 4, scale_zyx=SPACING, n_bytes=n_bytes, max_size=UNLIMITED_SIZE
    )
    made = build_overview(layer, 0, step_zyx=step, stale=lambda: False)
    assert made is not None
    return made


@pytest.fixture
def survey(qtbot: QtBot) -> Iterator[Survey]:
    survey = Survey()
    yield survey
    survey.close()


@pytest.mark.parametrize("coarser", [None, 2.0])
@pytest.mark.parametrize("n_bytes", [10**9, 400_000, 20_000])
def test_an_overview_that_is_changed_is_that_of_all_labels(
    survey: Survey, qtbot: QtBot, n_bytes: int, coarser: float | None
) -> None:
    survey.n_bytes = n_bytes
    corrected = Corrected(coarser=coarser)

    def look_at(layer: Layer) -> Overview:
        with qtbot.waitSignal(survey.overview_ready, timeout=20_000) as found:
            survey.start([layer], 0)
        assert found.args is not None
        overview: Overview = found.args[0]
        expected = from_all(layer, n_bytes)
        np.testing.assert_array_equal(overview.data, expected.data)
        assert overview.step_zyx == expected.step_zyx
        return overview

    before = look_at(corrected.layer)
    texture = make_texture(before, LabelColors()).data
    n_sent = []
    for layer in corrected.steps():
        overview = look_at(layer)
        assert overview.change is not None
        assert overview.change.before is before.layer.data
        blocks = list(changed_blocks(overview, overview.change, LabelColors(), 500))
        for first, block in blocks:
            texture[tuple(slice(f, f + n) for f, n in zip(first, block.shape, strict=True))] = block
        np.testing.assert_array_equal(texture, make_texture(overview, LabelColors()).data)
        n_sent.append(sum(block.size for _, block in blocks))
        before = overview
    assert n_sent[0] < texture.size / 20


def test_edits_in_haste_are_all_seen(survey: Survey, qtbot: QtBot) -> None:
    corrected = Corrected(coarser=None)
    found: list[Overview] = []
    survey.overview_ready.connect(found.append)
    survey.start([corrected.layer], 0)
    for layer in corrected.steps():
        survey.start([layer], 0)
    qtbot.waitUntil(lambda: bool(found) and found[-1].layer is corrected.layer, timeout=20_000)
    np.testing.assert_array_equal(found[-1].data, from_all(corrected.layer, survey.n_bytes).data)


def test_labels_that_follow_others_than_those_seen_are_read_whole(
    survey: Survey, qtbot: QtBot
) -> None:
    corrected = Corrected(coarser=None)
    steps = corrected.steps()
    next(steps)
    # Never shown: the change says nothing about what is.
    other = next(steps)
    with qtbot.waitSignal(survey.overview_ready, timeout=20_000):
        survey.start([Corrected(coarser=None).layer], 0)
    with qtbot.waitSignal(survey.overview_ready, timeout=20_000) as found:
        survey.start([other], 0)
    assert found.args is not None
    overview: Overview = found.args[0]
    assert overview.change is None
    np.testing.assert_array_equal(overview.data, from_all(other, survey.n_bytes).data)


@pytest.mark.gl
def test_corrected_cells_are_drawn_as_labels_that_are_new(
    empty_viewer: Viewer, settled: Waiter
) -> None:
    space = empty_viewer.ortho.space
    settled(lambda: space.scene is not None)
    assert space.scene is not None
    corrected = Corrected(coarser=None)

    def picture(layer: Layer) -> npt.NDArray[np.uint8]:
        assert space._feeder is not None
        shown: list[str] = []
        space._feeder.shown.connect(shown.append)
        empty_viewer.set_layers([layer])
        settled(lambda: shown)
        return colors_of(space.picture())

    layers = [corrected.layer, *corrected.steps()]
    changed = [picture(layer) for layer in layers]
    new = [picture(Layer("labels", "", "labels", layer.data, SPACING)) for layer in layers]
    np.testing.assert_array_equal(changed, new)
    assert len({one.tobytes() for one in changed}) > 2
    assert space._feeder is not None
