"""The instance methods find the reference's objects and refuse what they cannot work on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage
from skimage.measure import label
from skimage.morphology import remove_small_objects
from skimage.segmentation import watershed

from cellseg_app.analysis.accuracy import adjusted_rand_index
from cellseg_app.analysis.instances import INSTANCE_METHODS, InstanceResult, segment_instances
from cellseg_app.core.errors import Cancelled, InputError, SettingsError
from cellseg_app.core.progress import CancelToken, Progress
from cellseg_app.core.settings import InstanceSettings

Reference = dict[str, npt.NDArray[Any]]


@pytest.fixture(scope="module")
def reference() -> Reference:
    path = Path(__file__).parents[2] / "data" / "reference" / "postprocess.npz"
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def segmented(
    probability: npt.NDArray[Any], method: str, **arguments: Any
) -> tuple[npt.NDArray[np.uint32], InstanceResult]:
    labels = np.full(probability.shape, 77, np.uint32)
    return labels, segment_instances(probability, labels, method=method, **arguments)


@pytest.mark.parametrize(
    ("method", "options", "expected"),
    [
        ("watershed", InstanceSettings(), "watershed"),
        ("voronoi-otsu", InstanceSettings(), "voronoi_otsu"),
        (
            "voronoi-otsu",
            InstanceSettings(spot_sigma=2, outline_sigma=1, min_size_voxels=10),
            "voronoi_otsu_2_1",
        ),
    ],
)
def test_objects_of_the_reference_are_found(
    reference: Reference, method: str, options: InstanceSettings, expected: str
) -> None:
    truth = reference[expected]
    labels, result = segmented(reference["probability"], method, options=options)
    n_true = len(np.unique(truth)) - 1
    assert abs(result.n_cells - n_true) <= 0.02 * n_true
    assert adjusted_rand_index(labels, truth, foreground_only=True) > 0.999


def test_the_watershed_agrees_with_flooding_voxel_by_voxel() -> None:
    noise = np.random.default_rng(5).normal(size=(40, 50, 60))
    field = ndimage.gaussian_filter(noise, 3)
    field = ((field - field.min()) / np.ptp(field)).astype(np.float32)
    options = InstanceSettings(seed_threshold=0.7, min_seed_voxels=5, min_size_voxels=0)
    labels, result = segmented(field, "watershed", threshold=0.4, options=options)
    seeds = remove_small_objects(label(field > 0.7), max_size=4)
    truth = watershed(-field.astype(np.float64), seeds, mask=field > 0.4)
    assert result.n_cells == len(np.unique(truth)) - 1 > 10
    assert adjusted_rand_index(labels, truth, foreground_only=True) > 0.9999


def test_connected_components_label_what_lies_above_the_threshold() -> None:
    probability = np.zeros((4, 5, 6), np.float32)
    probability[0, 0, 0:3] = 0.6
    probability[1, 1, 3:5] = 0.7
    probability[3, 4, 0:4] = 0.55
    options = InstanceSettings(min_size_voxels=2)
    labels, result = segmented(probability, "connected-components", threshold=0.5, options=options)
    assert result.n_cells == 2, "voxels that share a corner are one cell"
    assert labels[0, 0, 0] == labels[1, 1, 4] == 1
    assert labels[3, 4, 0] == 2
    assert np.array_equal(labels > 0, probability > 0.5)


def test_a_saddle_parts_two_cells_only_if_it_is_deep_enough() -> None:
    z, y, x = np.indices((21, 21, 35))
    away = [np.sqrt((z - 10) ** 2 + (y - 10) ** 2 + (x - at) ** 2) for at in (10, 24)]
    # Summits of 1 and, midway, a pass three tenths as high above the threshold.
    probability = np.clip(1 - np.minimum(*away) / 20, 0, 1)
    for depth, n_cells in ((0.6, 2), (0.8, 1)):
        options = InstanceSettings(seed_depth=depth)
        _, result = segmented(probability, "cell-peaks", threshold=0.5, options=options)
        assert result.n_cells == n_cells, depth


def test_specks_are_dropped_by_the_size_of_the_typical_cell() -> None:
    z, y, x = np.indices((30, 30, 60))
    ball = np.sqrt((z - 15) ** 2 + (y - 15) ** 2 + (x - 15) ** 2)
    probability = np.clip(1 - ball / 20, 0, 1)
    probability[3:6, 3:6, 50:53] = 0.9
    labels, result = segmented(probability, "cell-peaks", threshold=0.5)
    assert result.n_cells == 1
    assert not labels[:, :, 45:].any()
    kept, _ = segmented(
        probability, "cell-peaks", threshold=0.5, options=InstanceSettings(min_size_voxels=1)
    )
    assert kept.max() == 2


def test_half_as_much_is_a_cell_where_the_border_cuts_it() -> None:
    probability = np.zeros((20, 30, 40))
    probability[8:12, 8:12, 8:12] = 0.9
    probability[8:12, 20:24, :4] = 0.9
    for smallest, n in ((64, 2), (65, 1), (128, 1), (130, 0)):
        options = InstanceSettings(min_size_voxels=1, min_uncut_voxels=smallest)
        labels, result = segmented(probability, "cell-peaks", threshold=0.5, options=options)
        assert result.n_cells == n
        assert bool(labels[10, 22, 2]) == (n > 0)


def test_cells_cut_by_the_border_can_be_dropped(reference: Reference) -> None:
    probability = reference["probability"][20:60, 20:70, 20:70]
    for method in INSTANCE_METHODS:
        options = InstanceSettings(remove_border=True)
        labels, result = segmented(probability, method, options=options)
        everything, all_cells = segmented(probability, method)
        assert 0 < result.n_cells < all_cells.n_cells
        inner = everything.copy()
        for axis in range(3):
            for plane in (0, -1):
                touching = np.unique(np.take(everything, plane, axis=axis))
                inner[np.isin(everything, touching)] = 0
        assert np.array_equal(inner > 0, labels > 0)


@pytest.mark.parametrize("method", INSTANCE_METHODS)
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 40, 40), (40, 1, 7), (3, 2, 1)])
def test_thin_and_empty_volumes_work(method: str, shape: tuple[int, int, int]) -> None:
    empty, nothing = segmented(np.zeros(shape, np.float16), method, threshold=0.5)
    assert nothing.n_cells == 0
    assert not empty.any()
    options = InstanceSettings(min_size_voxels=0, min_seed_voxels=0)
    full, one = segmented(np.ones(shape, np.float32), method, threshold=0.5, options=options)
    assert one.n_cells == 1
    assert (full == 1).all()


@pytest.mark.parametrize("method", INSTANCE_METHODS)
def test_ids_follow_the_raster_order_of_first_voxels(reference: Reference, method: str) -> None:
    labels, result = segmented(reference["probability"], method)
    found, first = np.unique(labels, return_index=True)
    assert np.array_equal(found, np.arange(result.n_cells + 1))
    assert (np.diff(first[1:]) > 0).all()


@pytest.mark.parametrize("method", INSTANCE_METHODS)
def test_a_probability_that_is_not_a_number_is_refused(method: str) -> None:
    probability = np.zeros((6, 6, 6), np.float16)
    probability[2, 3, 4] = np.nan
    with pytest.raises(InputError, match="not a number"):
        segmented(probability, method)


def test_arrays_that_cannot_hold_the_labels_are_refused() -> None:
    probability = np.zeros((4, 4, 4), np.float32)
    with pytest.raises(SettingsError, match="32-bit"):
        segment_instances(probability, np.zeros((4, 4, 4), np.uint16))
    with pytest.raises(SettingsError, match="shape"):
        segment_instances(probability, np.zeros((4, 4, 5), np.uint32))
    with pytest.raises(InputError, match="Z, Y, X"):
        segment_instances(probability[0], np.zeros((4, 4), np.uint32))
    with pytest.raises(SettingsError, match="cell-peaks"):
        segment_instances(probability, np.zeros((4, 4, 4), np.uint32), method="magic")


@pytest.mark.parametrize("method", INSTANCE_METHODS)
def test_cancelling_stops_within_a_block(reference: Reference, method: str) -> None:
    token, seen = CancelToken(), []

    def sink(progress: Progress) -> None:
        seen.append(progress)
        if progress.done == 2:
            token.cancel()

    with pytest.raises(Cancelled):
        segmented(
            reference["probability"],
            method,
            block_zyx=(24, 96, 96),
            progress=sink,
            cancel=token,
        )
    assert seen[-1].done == 2
    assert seen[-1].total == 4


@pytest.mark.parametrize("method", INSTANCE_METHODS)
def test_the_record_names_every_option_and_no_other(method: str) -> None:
    spec = INSTANCE_METHODS[method]
    _, result = segmented(np.zeros((4, 4, 4), np.float32), method)
    assert set(spec.options) <= set(result.settings)
    assert set(spec.options) <= set(InstanceSettings.model_fields)
    assert set(spec.defaults) - {"threshold"} <= set(spec.options)
    for name, default in spec.defaults.items():
        if name != "threshold" and default is not None:
            assert result.settings[name] == default
