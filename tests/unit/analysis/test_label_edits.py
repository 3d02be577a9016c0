"""Corrections of labels: what is seen, what is measured, what is refused, what undoing gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from cellseg_app.analysis.edited_labels import EditedLabels
from cellseg_app.analysis.edits import LabelEdits, replay
from cellseg_app.analysis.measure import measure_cells
from cellseg_app.analysis.remeasure import (
    EDITED,
    Measured,
    boxes_of_table,
    find_boxes,
    measure_some,
    summary_with,
    with_rows,
)
from cellseg_app.core.blocks import whole
from cellseg_app.core.edits import DeleteCells, Edit, MergeCells, SplitCell
from cellseg_app.core.errors import InputError
from cellseg_app.core.settings import StatisticsSettings
from tests.synthetic_cells import peaked_map, touching_ellipsoids

SPACING = (2.0, 0.8, 0.8)
Labels = npt.NDArray[np.uint32]


@pytest.fixture(scope="module")
def labels() -> Labels:
    """Touching cells, some cut by the border of the volume."""
    return touching_ellipsoids((26, 70, 80), 40, radius=(5.0, 8.0), spacing=SPACING, seed=3)


@pytest.fixture
def edits(labels: Labels) -> LabelEdits:
    return LabelEdits(labels, find_boxes(labels), SPACING)


def all_of(edited: EditedLabels) -> Labels:
    z, y, x = edited.shape
    return np.asarray(edited[whole((z, y, x))])


def correct_much(edits: LabelEdits) -> None:
    """Every kind of edit, and edits of what edits made."""
    edits.apply(DeleteCells(labels=(2, 11)))
    edits.apply(MergeCells(labels=(9, 4, 7)))
    edits.apply(edits.split(5))
    part = edits.next_label - 1
    edits.apply(MergeCells(labels=(part, 6)))
    edits.apply(edits.split(1, 3))
    edits.apply(edits.split(4))
    edits.apply(DeleteCells(labels=(edits.next_label - 1, 5)))


def test_cells_are_deleted_merged_and_split(labels: Labels, edits: LabelEdits) -> None:
    n = edits.n_cells
    edits.apply(DeleteCells(labels=(2, 11)))
    edits.apply(MergeCells(labels=(9, 4)))
    split = edits.split(5)
    edits.apply(split)
    found = all_of(edits.labels)
    expected = labels.copy()
    expected[np.isin(labels, (2, 11))] = 0
    expected[labels == 9] = 4
    same = labels != 5
    np.testing.assert_array_equal(found[same], expected[same])
    assert split.new_labels == (labels.max() + 1,)
    assert set(np.unique(found[~same])) == {5, labels.max() + 1}
    assert [found[seed] for seed in split.seeds_zyx] == [5, labels.max() + 1]
    assert edits.touched == (4, 5, labels.max() + 1)
    assert edits.gone == (2, 9, 11)
    assert edits.n_cells == n - 2 - 1 + 1 == len(np.unique(found)) - 1


def test_any_part_reads_as_in_the_whole_and_nothing_is_changed_underneath(
    labels: Labels, edits: LabelEdits
) -> None:
    before = labels.copy()
    correct_much(edits)
    np.testing.assert_array_equal(labels, before)
    found = all_of(edits.labels)
    rng = np.random.default_rng(0)
    for _ in range(50):
        key = []
        for size in labels.shape:
            start, stop = sorted(rng.integers(0, size + 1, 2))
            key.append(slice(int(start), int(stop), int(rng.integers(1, 4))))
        part = (key[0], key[1], key[2])
        np.testing.assert_array_equal(edits.labels[part], found[part])


def test_a_lower_resolution_shows_the_same_cells(labels: Labels, edits: LabelEdits) -> None:
    correct_much(edits)
    found = all_of(edits.labels)
    coarse = np.ascontiguousarray(labels[1::2, 1::2, 1::2])
    shown = all_of(EditedLabels(coarse, edits.labels.rewrites, (2.0, 2.0, 2.0)))
    np.testing.assert_array_equal(shown, found[1::2, 1::2, 1::2])


def test_undoing_is_as_if_the_last_edit_had_not_been(labels: Labels, edits: LabelEdits) -> None:
    correct_much(edits)
    log, states = edits.edits, []
    while edits.edits:
        states.append((all_of(edits.labels), edits.touched, edits.gone, edits.next_label))
        undone = edits.undo()
        assert undone == log[len(edits.edits)]
    np.testing.assert_array_equal(all_of(edits.labels), labels)
    assert edits.touched == edits.gone == ()
    for n, (seen, touched, gone, following) in zip(range(len(log), 0, -1), states, strict=True):
        again = replay(labels, find_boxes(labels), log[:n], SPACING)
        np.testing.assert_array_equal(all_of(again.labels), seen)
        assert (again.touched, again.gone, again.next_label) == (touched, gone, following)
    with pytest.raises(IndexError):
        edits.undo()


def test_new_cells_never_take_the_id_of_an_old_one(labels: Labels, edits: LabelEdits) -> None:
    last = int(labels.max())
    edits.apply(DeleteCells(labels=(last,)))
    assert edits.split(1).new_labels == (last + 1,)
    edits.apply(edits.split(1))
    edits.apply(DeleteCells(labels=(last + 1,)))
    assert edits.split(1).new_labels == (last + 2,)


def test_ids_beyond_the_type_of_the_labels_are_kept() -> None:
    small = np.zeros((3, 4, 12), np.uint16)
    small[:, :, 2:10] = 65535
    edits = LabelEdits(small, find_boxes(small), None)
    edits.apply(edits.split(65535))
    assert set(np.unique(all_of(edits.labels))) == {0, 65535, 65536}


REFUSED: list[tuple[Callable[[LabelEdits], Edit], str]] = [
    (lambda _: DeleteCells(labels=(1, 5000)), "There is no cell 5000"),
    (lambda _: MergeCells(labels=(1, 3)), "Cell 3 is gone"),
    (lambda _: MergeCells(labels=(1, 9)), "Cell 9 is gone"),
    (lambda e: e.split(3), "Cell 3 is gone"),
    (
        lambda e: e.split(1).model_copy(update={"seeds_zyx": ((0, 0, 0), (25, 69, 79))}),
        "lies outside of cell 1",
    ),
    (lambda e: e.split(1).model_copy(update={"new_labels": (3,)}), "cannot be called 3"),
]


@pytest.mark.parametrize(("make", "sentence"), REFUSED)
def test_what_cannot_be_done_is_refused_and_changes_nothing(
    labels: Labels, edits: LabelEdits, make: Callable[[LabelEdits], Edit], sentence: str
) -> None:
    edits.apply(DeleteCells(labels=(3,)))
    edits.apply(MergeCells(labels=(4, 9)))
    before = all_of(edits.labels)
    with pytest.raises(InputError, match=sentence):
        edits.apply(make(edits))
    np.testing.assert_array_equal(all_of(edits.labels), before)
    assert len(edits.edits) == 2


def test_a_replay_names_the_edit_at_fault(labels: Labels) -> None:
    twice = (DeleteCells(labels=(3,)), DeleteCells(labels=(3,)))
    with pytest.raises(InputError, match="Edit 2: Cell 3 is gone"):
        replay(labels, find_boxes(labels), twice, SPACING)


def test_a_cell_of_one_voxel_is_not_split() -> None:
    dot = np.zeros((3, 3, 3), np.uint32)
    dot[1, 1, 1] = 1
    with pytest.raises(InputError, match="fewer than 2 voxels"):
        LabelEdits(dot, find_boxes(dot), None).split(1)


def as_before(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns=EDITED)


@pytest.mark.parametrize("spacing", [SPACING, None])
@pytest.mark.parametrize("surface", [True, False])
def test_measuring_only_corrected_cells_is_measuring_the_corrected_labels(
    labels: Labels, edits: LabelEdits, spacing: Any, surface: bool
) -> None:
    probability = peaked_map(labels, spacing=SPACING)
    image = (1000 * probability + 100).astype(np.uint16)
    chosen = StatisticsSettings(surface=surface)
    before = measure_cells(
        labels, image, probability, spacing_um_zyx=spacing, settings=chosen, n_voxels=100_000
    )
    boxes = boxes_of_table(before.cells)
    assert boxes is not None
    correct_much(edits)
    on = Measured(image, probability, spacing, chosen)
    found = with_rows(before.cells, measure_some(edits, edits.touched, on), edits.gone)
    truth = measure_cells(
        all_of(edits.labels),
        image,
        probability,
        spacing_um_zyx=spacing,
        settings=chosen,
        n_voxels=100_000,
    )
    pd.testing.assert_frame_equal(as_before(found), truth.cells, rtol=1e-9, atol=1e-9)
    assert set(found.loc[found[EDITED], "label"]) == set(edits.touched)
    untouched = found[~found[EDITED]].reset_index(drop=True)
    same = before.cells[before.cells["label"].isin(untouched["label"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(as_before(untouched), same)
    summary = summary_with(before.summary, found, spacing)
    assert summary == pytest.approx(truth.summary)


def test_measuring_edit_by_edit_gives_the_same_table(labels: Labels, edits: LabelEdits) -> None:
    before = measure_cells(labels, spacing_um_zyx=SPACING).cells
    correct_much(edits)
    on = Measured(spacing_um_zyx=SPACING)
    at_once = with_rows(before, measure_some(edits, edits.touched, on), edits.gone)
    step, table = LabelEdits(labels, find_boxes(labels), SPACING), before
    for edit in edits.edits:
        step.apply(edit)
        named = (edit.label, *edit.new_labels) if isinstance(edit, SplitCell) else edit.labels
        there = [label for label in named if label in step.touched]
        gone = [label for label in named if label not in there]
        table = with_rows(table, measure_some(step, there, on), gone)
    pd.testing.assert_frame_equal(table, at_once)


def test_a_cell_is_cut_only_at_the_border_of_what_was_searched(labels: Labels) -> None:
    box = (slice(0, 26), slice(10, 60), slice(12, 70))
    inside = np.zeros_like(labels)
    inside[box] = labels[box]
    edits = LabelEdits(inside, find_boxes(inside), SPACING)
    ids = [int(label) for label in np.unique(inside)[1:]]
    found = measure_some(edits, ids, Measured(spacing_um_zyx=SPACING, box=box))
    truth = measure_cells(np.ascontiguousarray(inside[box]), spacing_um_zyx=SPACING).cells
    assert found["touches_border"].tolist() == truth["touches_border"].tolist()
    assert 0 < found["touches_border"].sum() < len(found)
