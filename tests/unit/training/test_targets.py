"""Samples: image and labels end on one lattice, unshifted; the map's half contour is the border."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from cellseg_app.core.errors import InputError
from cellseg_app.inference.resample import resample
from cellseg_app.training.prepare import Lattice, find_pairs, prepare_samples
from cellseg_app.training.samples import list_samples, make_sample, read_sample
from cellseg_app.training.simulator.stream import write_volume
from cellseg_app.training.targets import centre_peaked, resample_labels, typical_diameter


def _ball(
    shape: tuple[int, int, int], centre: tuple[float, ...], step: tuple[float, ...]
) -> object:
    grid = np.ogrid[tuple(slice(0, size) for size in shape)]
    offsets = [(axis - c) * s for axis, c, s in zip(grid, centre, step, strict=True)]
    return np.sqrt(sum(offset**2 for offset in offsets))


@pytest.mark.parametrize("z_step", [1.0, 2.2, 4.0])
def test_resampled_image_and_labels_share_their_centre(z_step: float) -> None:
    shape = (round(60 / z_step), 60, 60)
    centre = (28 / z_step, 25.3, 33.7)
    distance = np.asarray(_ball(shape, centre, (z_step, 1.0, 1.0)))
    labels = (distance < 10).astype(np.uint32)
    image = 100 + 1000 * ndimage.gaussian_filter(np.exp(-((distance / 8) ** 2)), 0.5)
    sample = make_sample(image, labels, step_zyx=(z_step, 1.0, 1.0), object_diameter_voxels=11)
    background = np.median(sample.image.astype(float))
    weights = np.clip(sample.image.astype(float) - background, 0, None) * (sample.labels > 0)
    shift = np.subtract(ndimage.center_of_mass(weights), ndimage.center_of_mass(sample.labels > 0))
    assert np.abs(shift).max() < 0.15
    assert typical_diameter(sample.labels, (1, 1, 1)) == pytest.approx(11, rel=0.06)


def test_labels_there_and_back_keep_their_place_and_size() -> None:
    distance = np.asarray(_ball((24, 60, 60), (11.4, 30.2, 27.9), (2.5, 1.0, 1.0)))
    labels = (distance < 11).astype(np.uint32)
    back = resample_labels(resample_labels(labels, (60, 60, 60)), labels.shape)
    both = np.logical_and(back, labels).sum() / np.logical_or(back, labels).sum()
    assert both > 0.95


@pytest.mark.parametrize("shape", [(24, 60, 60), (37, 41, 83), (60, 45, 45), (120, 120, 120)])
def test_a_round_trip_to_another_lattice_moves_no_centroid(shape: tuple[int, int, int]) -> None:
    """Without aligned voxel centres, every centroid moves by up to half a voxel."""
    rng = np.random.default_rng(0)
    places = np.stack(np.meshgrid(*[[11.0, 30.0, 49.0]] * 3, indexing="ij"), -1).reshape(-1, 3)
    labels = np.zeros((60, 60, 60), np.uint32)
    for number, centre in enumerate(places + rng.uniform(-2, 2, places.shape), start=1):
        labels[np.asarray(_ball(labels.shape, centre, (1.0, 1.0, 1.0))) < 6] = number
    image = ndimage.gaussian_filter((labels > 0).astype(np.float32), 1.5)
    zones = ndimage.grey_dilation(labels, size=5)

    def centroids(of: np.ndarray, within: np.ndarray) -> np.ndarray:
        return np.array(ndimage.center_of_mass(of, within, np.arange(1, len(places) + 1)))

    light = resample(resample(image, shape), labels.shape)
    moved = centroids(light, zones) - centroids(image, zones)
    assert np.abs(moved).max() < 0.05
    back = resample_labels(resample_labels(labels, shape), labels.shape)
    moved = centroids(np.ones_like(back), back) - centroids(np.ones_like(labels), labels)
    # Labels end at whole voxels: one alone may err a little, all of them together must not.
    assert np.abs(moved.mean(axis=0)).max() < 0.05


def test_half_contour_of_the_interpolated_map_is_the_border_of_the_object() -> None:
    distance = np.asarray(_ball((32, 32, 32), (15.6, 15.2, 16.1), (1.0, 1.0, 1.0)))
    labels = (distance < 6).astype(np.uint32)
    fine = resample(centre_peaked(labels), (96, 96, 96)) > 0.5
    assert fine.sum() / 27 == pytest.approx(labels.sum(), rel=0.12)


def test_touching_objects_have_a_valley_between_their_peaks() -> None:
    left = np.asarray(_ball((24, 24, 40), (12, 12, 12), (1.0, 1.0, 1.0)))
    right = np.asarray(_ball((24, 24, 40), (12, 12, 22), (1.0, 1.0, 1.0)))
    labels = np.where(np.minimum(left, right) < 6, np.where(left < right, 1, 2), 0)
    profile = centre_peaked(labels)[12, 12]
    assert profile[12] > 0.95
    assert profile[22] > 0.95
    assert profile[17] < 0.75
    assert profile.min() == 0


def test_empty_labels_give_an_empty_map() -> None:
    assert not centre_peaked(np.zeros((8, 8, 8), np.uint32)).any()


def test_pairs_become_samples_and_mismatches_are_named(tmp_path: Path) -> None:
    distance = np.asarray(_ball((16, 40, 40), (8, 20, 20), (2.0, 1.0, 1.0)))
    labels = (distance < 8).astype(np.uint16)
    image = (100 + 900 * (distance < 8)).astype(np.uint16)
    write_volume(tmp_path / "a_image.tif", image, (2.0, 1.0, 1.0))
    write_volume(tmp_path / "a_labels.tif", labels, (2.0, 1.0, 1.0))
    prepare_samples(find_pairs(tmp_path), tmp_path / "samples", Lattice(11.0))
    sample = read_sample(list_samples([tmp_path / "samples"])[0])
    assert sample.labels.max() == 1
    assert sample.image.shape[0] == pytest.approx(sample.image.shape[1] * 32 / 40, abs=1)
    write_volume(tmp_path / "b_image.tif", image[:8], (2.0, 1.0, 1.0))
    write_volume(tmp_path / "b_labels.tif", labels, (2.0, 1.0, 1.0))
    with pytest.raises(InputError, match="differ in shape"):
        prepare_samples(find_pairs(tmp_path), tmp_path / "samples", Lattice(11.0))


def test_a_folder_without_pairs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no training pairs"):
        find_pairs(tmp_path)
