"""The simulator: reproducible, labelled by what can be seen, image and labels on one lattice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from cellseg_app.core.errors import Cancelled
from cellseg_app.core.progress import CancelToken, Progress
from cellseg_app.training.simulator import (
    SimulationSettings,
    simulate_stream,
    simulate_to_folder,
    simulate_volume,
)
from cellseg_app.training.simulator.optics import Optics, blur, sample_slices, slice_positions
from cellseg_app.training.simulator.rendering import Patch
from cellseg_app.training.simulator.volume import _label_apparent

SMALL = SimulationSettings(extent_voxels_zyx=(40, 44, 48), diameter_voxels=(9, 9))
EMPTY = SimulationSettings(preset="empty", extent_voxels_zyx=(24, 32, 32))


def test_same_seed_same_bytes_and_another_seed_another_volume() -> None:
    first, again = simulate_volume(SMALL, 5, 2), simulate_volume(SMALL, 5, 2)
    assert first.image.tobytes() == again.image.tobytes()
    assert first.labels.tobytes() == again.labels.tobytes()
    assert first.image.tobytes() != simulate_volume(SMALL, 6, 2).image.tobytes()


def test_workers_do_not_change_the_stream() -> None:
    alone = [v.image.tobytes() for v in simulate_stream(SMALL, 3, seed=1)]
    together = [v.image.tobytes() for v in simulate_stream(SMALL, 3, seed=1, workers=2)]
    assert alone == together


@pytest.mark.parametrize("preset", ["tissue", "embryo", "culture", "two_photon"])
def test_every_preset_makes_cells_brighter_than_what_is_around_them(preset: str) -> None:
    settings = SMALL.model_copy(update={"preset": preset, "photons": (500.0, 500.0)})
    contrasts = []
    for index in range(12):
        volume = simulate_volume(settings, 3, index)
        assert volume.image.shape == volume.labels.shape
        inside, near = volume.labels > 0, ndimage.binary_dilation(volume.labels > 0, iterations=3)
        if inside.any() and (near & ~inside).any():
            contrasts.append(volume.image[inside].mean() / volume.image[near & ~inside].mean())
    assert len(contrasts) >= 8
    assert np.median(contrasts) > 1.1


def test_noise_only_volumes_have_no_labels_but_noise() -> None:
    for index in range(5):
        volume = simulate_volume(EMPTY, 1, index)
        assert not volume.labels.any()
        assert volume.image.std() > 0


@pytest.mark.parametrize("level", [0.3, 0.5])
def test_label_is_what_stands_above_a_share_of_the_blurred_peak(level: float) -> None:
    """A ball blurred mostly along z must be labelled taller than wide."""
    extent = (48, 48, 48)
    z, y, x = np.ogrid[:48, :48, :48]
    shape = np.sqrt((z - 24.0) ** 2 + (y - 20.0) ** 2 + (x - 28.0) ** 2) / 6
    patch = Patch(0, (slice(0, 48), slice(0, 48), slice(0, 48)), shape.astype(np.float32), 6.0)
    body = np.clip((1 - patch.shape) * 6 + 0.5, 0, 1)
    optics = Optics(1.0, 5.0, 0.0, 2.0, 0.0)
    settings = SimulationSettings(label_level=level, label_minimum_snr=5.0)
    labels = _label_apparent([patch], [body], [(100.0, 1.0)], optics, settings, extent)
    seen = ndimage.gaussian_filter(body, (5.0, 1.0, 1.0))
    middle = (seen[::2] + seen[1::2]) / 2
    assert np.array_equal(labels > 0, middle > level * middle.max())
    spread = [np.ptp(where) + 1 for where in np.nonzero(labels)]
    assert spread[0] * 2 > spread[1] + 2


@pytest.mark.parametrize("anisotropy", [1.0, 1.7, 2.0, 3.5, 5.0])
def test_image_and_labels_are_not_shifted_against_each_other(anisotropy: float) -> None:
    settings = SimulationSettings(
        preset="embryo",
        extent_voxels_zyx=(60, 60, 60),
        diameter_voxels=(14, 14),
        anisotropy=(anisotropy, anisotropy),
        photons=(2000.0, 2000.0),
    )
    shifts = []
    for index in range(12):
        volume = simulate_volume(settings, 4, index)
        image = volume.image.astype(float) - np.quantile(volume.image, 0.2)
        for label, box in enumerate(ndimage.find_objects(volume.labels.astype(int)), start=1):
            mask = volume.labels[box] == label
            inner = all(
                part.start > 0 and part.stop < size
                for part, size in zip(box, image.shape, strict=True)
            )
            if inner and mask.sum() > 50:
                weighted = ndimage.center_of_mass(image[box] * mask)
                shifts.append(np.subtract(weighted, ndimage.center_of_mass(mask)))
    assert len(shifts) > 15
    assert np.abs(np.median(shifts, axis=0)).max() < 0.12


@pytest.mark.parametrize("anisotropy", [1.0, 1.5, 2.0, 3.3, 5.0])
def test_sliced_light_and_label_of_a_nucleus_share_their_z(anisotropy: float) -> None:
    """Light taken at a slice and a label taken at its edge would differ by half a slice."""
    extent = (64, 40, 40)
    optics = Optics(1.0, 3.0, 0.0, anisotropy, 0.0)
    settings = SimulationSettings(label_level=0.5, label_minimum_snr=0.0)
    positions = slice_positions(extent[0], anisotropy)
    shifts, misplaced = [], []
    for z_centre in np.linspace(28, 28 + anisotropy, 7, endpoint=False):
        z, y, x = np.ogrid[:64, :40, :40]
        shape = np.sqrt((z - z_centre) ** 2 + (y - 20.0) ** 2 + (x - 20.0) ** 2) / 9
        everything = (slice(0, 64), slice(0, 40), slice(0, 40))
        patch = Patch(0, everything, shape.astype(np.float32), 9.0)
        body = np.clip((1 - patch.shape) * 9 + 0.5, 0, 1)
        labels = _label_apparent([patch], [body], [(100.0, 1.0)], optics, settings, extent)
        light = sample_slices(blur(body, optics), positions)
        light_z = ndimage.center_of_mass(light)[0]
        shifts.append(light_z - ndimage.center_of_mass(labels > 0)[0])
        misplaced.append(light_z - ((z_centre + 0.5) / anisotropy - 0.5))
    assert abs(np.mean(shifts)) < 0.05
    assert np.abs(misplaced).max() < 0.05


def test_slices_lie_in_the_middle_of_the_span_they_cover() -> None:
    assert slice_positions(6, 1.0).tolist() == [0, 1, 2, 3, 4, 5]
    assert slice_positions(6, 2.0).tolist() == [0.5, 2.5, 4.5]


def test_folder_holds_pairs_with_voxel_size_and_goes_on_after_cancel(tmp_path: Path) -> None:
    token = CancelToken()

    def stop_after_two(report: Progress) -> None:
        if report.done == 2:
            token.cancel()

    with pytest.raises(Cancelled):
        simulate_to_folder(SMALL, tmp_path, count=4, seed=9, progress=stop_after_two, cancel=token)
    assert len(list(tmp_path.glob("*_image.tif"))) == 2
    paths = simulate_to_folder(SMALL, tmp_path, count=4, seed=9)
    assert len(paths) == 4
    expected = simulate_volume(SMALL, 9, 3)
    with tifffile.TiffFile(paths[3]) as file:
        assert np.array_equal(file.asarray(), expected.image)
        assert file.imagej_metadata is not None
        assert file.imagej_metadata["spacing"] == pytest.approx(expected.spacing_um_zyx[0])
