"""Cells told apart on half the voxel size of their map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cellseg_app.analysis.instances import segment_instances
from cellseg_app.analysis.kept import KeptBlocks
from cellseg_app.analysis.refining import RefinedMap, most_common
from cellseg_app.core.settings import InstanceSettings
from cellseg_app.io.chunked import ChunkedArray
from tests.synthetic_cells import peaked_map, touching_ellipsoids

SHAPE = (30, 41, 37)
REFINE = (2, 2, 2)
Zyx = tuple[int, int, int]


class _KnowsItsMost:
    """An array that tells the largest value of a region, as large stored maps do."""

    def __init__(self, values: npt.NDArray[np.float32]) -> None:
        self._values = values
        self.shape, self.dtype, self.ndim = values.shape, values.dtype, values.ndim

    def __getitem__(self, key: tuple[slice, ...], /) -> npt.NDArray[Any]:
        return self._values[key]

    def at_most(self, key: tuple[slice, ...]) -> float:
        return float(self._values[key].max())


@pytest.fixture(scope="module")
def probability() -> npt.NDArray[np.float16]:
    """Small crowded cells."""
    return peaked_map(touching_ellipsoids(SHAPE, 150, radius=(2, 4), closeness=0.8, seed=1))


def labelled(
    probability: Any,
    *,
    refine: Zyx = REFINE,
    options: InstanceSettings | None = None,
    **how: Any,
) -> npt.NDArray[np.uint32]:
    labels = np.full(probability.shape, 7, np.uint32)
    segment_instances(
        probability,
        labels,
        threshold=0.5,
        options=options or InstanceSettings(),
        refine_zyx=refine,
        **how,
    )
    return labels


@pytest.mark.parametrize("refine", [(2, 2, 2), (2, 1, 1), (1, 2, 2)])
def test_a_refined_value_does_not_depend_on_the_region_it_is_read_in(refine: Zyx) -> None:
    values = np.random.default_rng(0).random((9, 11, 10), np.float32)
    refined = RefinedMap(values, refine)
    z, y, x = refined.shape
    everything = refined[slice(0, z), slice(0, y), slice(0, x)]
    for part in (slice(0, 1), slice(3, 8), slice(4, 7), slice(7, 9)):
        region = (part, slice(2, 9), slice(part.start, 10))
        np.testing.assert_array_equal(refined[region], everything[region])


def test_refining_keeps_what_is_straight_and_lifts_summits() -> None:
    ramp = np.arange(12, dtype=np.float32)[None, None] * np.ones((3, 3, 1), np.float32)
    fine = RefinedMap(ramp, (1, 1, 2))[slice(0, 3), slice(0, 3), slice(0, 24)]
    expected = (np.arange(24) - 0.5) / 2
    np.testing.assert_allclose(fine[1, 1, 4:-4], expected[4:-4], rtol=1e-6)
    peak = np.array([[[0, 0.5, 1, 0.5, 0]]], np.float32)
    top = RefinedMap(peak, (1, 1, 2))[slice(0, 1), slice(0, 1), slice(4, 6)]
    assert top.min() > 0.89  # linear interpolation gives 0.875


def test_nothing_refined_exceeds_what_is_said_to_be_the_most() -> None:
    values = np.random.default_rng(1).integers(0, 2, (12, 12, 12)).astype(np.float32)
    refined = RefinedMap(_KnowsItsMost(values), REFINE)
    everything = refined[slice(0, 24), slice(0, 24), slice(0, 24)]
    assert everything.max() > 1.1
    for start in range(0, 20, 3):
        region = (slice(start, start + 4),) * 3
        assert everything[region].max() <= refined.at_most(region)


def test_a_voxel_gets_the_label_that_fills_most_of_it() -> None:
    fine = np.array([[[5, 0], [5, 0]], [[3, 3], [3, 0]]], np.uint32)
    assert most_common(fine, (2, 2, 2)).item() == 3
    fine[1, 1, 0] = 5
    assert most_common(fine, (2, 2, 2)).item() == 5
    fine[0, 0, 0] = 4  # twice 3, twice 5, one 4
    assert most_common(fine, (2, 2, 2)).item() == 3
    assert most_common(np.zeros((2, 4, 6), np.uint32), (2, 2, 2)).shape == (1, 2, 3)


def test_small_cells_that_few_voxels_show_are_parted_only_on_the_refined_lattice() -> None:
    centres = np.array([[6, 6, 6], [6, 6, 8.4]])
    z, y, x = np.indices((13, 13, 15))
    distance = [np.sqrt((z - a) ** 2 + (y - b) ** 2 + (x - c) ** 2) for a, b, c in centres]
    fall = np.clip(1 - np.min(distance, axis=0) / 2 / 2.0, 0, 1)
    options = InstanceSettings(min_size_voxels=4, seed_depth=0.1)
    assert labelled(fall, refine=(1, 1, 1), options=options).max() == 1
    assert labelled(fall, options=options).max() == 2


def test_cells_fill_the_map_above_the_threshold_and_are_numbered_in_raster_order(
    probability: npt.NDArray[np.float16],
) -> None:
    labels = labelled(probability, options=InstanceSettings(min_size_voxels=1))
    above = probability > 0.5
    assert not labels[~above].any()
    assert (labels[above] > 0).mean() > 0.99
    ids, first = np.unique(labels[labels > 0], return_index=True)
    np.testing.assert_array_equal(ids, np.arange(1, len(ids) + 1))
    assert (np.diff(first) > 0).all()
    assert len(ids) > 50


@pytest.mark.parametrize("refine", [(2, 2, 2), (2, 1, 1)])
def test_blocks_and_threads_do_not_change_a_label(
    probability: npt.NDArray[np.float16], refine: Zyx
) -> None:
    whole = labelled(probability, refine=refine, block_zyx=SHAPE)
    assert not np.array_equal(whole, labelled(probability, refine=(1, 1, 1)))
    for block in ((30, 20, 19), (7, 41, 37), (9, 8, 11)):
        found = labelled(probability, refine=refine, block_zyx=block, workers=2)
        np.testing.assert_array_equal(found, whole)
    np.testing.assert_array_equal(labelled(probability, refine=refine), whole)


def test_work_that_was_begun_goes_on_to_the_same_labels(
    probability: npt.NDArray[np.float16], tmp_path: Path
) -> None:
    expected = labelled(probability)
    fine = ChunkedArray.create(tmp_path / "pieces", (60, 82, 74), np.uint32)
    labels = ChunkedArray.create(tmp_path / "labels", SHAPE, np.uint32)
    for _ in range(2):
        segment_instances(
            probability,
            labels,
            threshold=0.5,
            refine_zyx=REFINE,
            kept=KeptBlocks(tmp_path / "found"),
            pieces_out=fine,
        )
        found = labels[slice(0, SHAPE[0]), slice(0, SHAPE[1]), slice(0, SHAPE[2])]
        np.testing.assert_array_equal(found, expected)


def test_sizes_are_stated_in_voxels_of_the_map(probability: npt.NDArray[np.float16]) -> None:
    labels = labelled(probability, options=InstanceSettings(min_size_voxels=60))
    sizes = np.bincount(labels.ravel())[1:]
    all_sizes = np.bincount(labelled(probability).ravel())[1:]
    assert 0.4 < len(sizes) / np.count_nonzero(all_sizes >= 60) < 1.3
    assert sizes.min() > 40


def test_methods_that_know_no_finer_lattice_work_on_the_map(
    probability: npt.NDArray[np.float16],
) -> None:
    coarse, refined = (
        labelled(probability, refine=r, method="watershed") for r in ((1, 1, 1), REFINE)
    )
    np.testing.assert_array_equal(coarse, refined)
