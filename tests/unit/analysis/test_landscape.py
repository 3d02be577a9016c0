"""Heights inside cells: right, and found without stopping the rest of the program."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from scipy import ndimage

from cellseg_app.analysis.instances import segment_instances
from cellseg_app.analysis.instances.landscape import DEEPEST_VOXELS, distance_to_background
from cellseg_app.core.volume import SpacingZYX
from tests.synthetic_cells import peaked_map, touching_ellipsoids

_SPACINGS: list[SpacingZYX] = [(1.0, 1.0, 1.0), (2.5, 0.5, 0.6)]


def _blobs(shape: tuple[int, int, int], threshold: float, seed: int = 3) -> np.ndarray:
    noise = np.random.default_rng(seed).random(shape)
    return np.asarray(ndimage.gaussian_filter(noise, 2) > threshold)


@pytest.mark.parametrize("spacing", _SPACINGS)
@pytest.mark.parametrize("threshold", [0.53, 0.5])
@pytest.mark.parametrize("considerate", [False, True])
def test_distances_are_those_of_the_whole_volume(
    spacing: SpacingZYX, threshold: float, considerate: bool
) -> None:
    mask = _blobs((24, 40, 48), threshold)
    finest = min(spacing)
    expected = ndimage.distance_transform_edt(mask, sampling=[s / finest for s in spacing])
    found = distance_to_background(mask, spacing, considerate=considerate)
    assert np.allclose(found, np.minimum(expected, DEEPEST_VOXELS), rtol=1e-6)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.3333, 1.0, 1.0), (2.5, 0.5, 0.6)])
def test_the_window_finds_the_same_as_the_command_line(spacing: SpacingZYX) -> None:
    mask = _blobs((24, 40, 48), 0.5)
    quick, considerate = (
        distance_to_background(mask, spacing, considerate=choice) for choice in (False, True)
    )
    assert np.array_equal(quick, considerate)


def test_a_part_without_background_in_sight_is_deep() -> None:
    mask = np.zeros((6, 8, 8), np.bool_)
    mask[:, :, 5:] = True
    beside = distance_to_background(mask, (1.0, 1.0, 1.0), considerate=True)
    assert beside[3, 4].tolist() == [0, 0, 0, 0, 0, 1, 2, 3]
    everywhere = distance_to_background(
        np.ones((4, 5, 6), np.bool_), (1.0, 1.0, 1.0), considerate=True
    )
    assert (everywhere == DEEPEST_VOXELS).all()


def test_other_threads_go_on_while_distances_are_computed() -> None:
    mask = _blobs((64, 160, 160), 0.5)
    turns: list[float] = []
    is_done = threading.Event()

    def turn() -> None:
        while not is_done.is_set():
            time.sleep(0.001)
            turns.append(time.perf_counter())

    window = threading.Thread(target=turn)
    window.start()
    start = time.perf_counter()
    distance_to_background(mask, (1.0, 1.0, 1.0), considerate=True)
    took = time.perf_counter() - start
    is_done.set()
    window.join()
    longest = max(np.diff([start, *turns]))
    assert longest < max(0.05, took / 3), f"stood still for {longest:.3f} of {took:.3f} s"


@pytest.mark.parametrize("rises", [True, False])
@pytest.mark.parametrize("spacing", _SPACINGS)
def test_empty_space_around_cells_changes_nothing(spacing: SpacingZYX, rises: bool) -> None:
    truth = touching_ellipsoids((40, 48, 56), 12, closeness=0.85)
    part = peaked_map(truth) if rises else (truth > 0).astype(np.float16)
    wide = np.zeros((70, 90, 100), np.float16)
    wide[10:50, 30:78, 4:60] = np.pad(part[2:-2, 2:-2, 2:-2], 2)
    alone = wide[10:50, 30:78, 4:60].copy()
    labels = [np.zeros(shape.shape, np.uint32) for shape in (wide, alone)]
    for found, probability in zip(labels, (wide, alone), strict=True):
        segment_instances(probability, found, threshold=0.5, spacing_um_zyx=spacing)
    assert labels[1].max() > 3
    assert np.array_equal(labels[0][10:50, 30:78, 4:60], labels[1])
