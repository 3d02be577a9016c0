"""The same cells with the same ids, whatever the blocks and however many threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from cellseg_app.analysis.instances import INSTANCE_METHODS, segment_instances
from cellseg_app.core.settings import InstanceSettings
from tests.synthetic_cells import foreground_map, peaked_map, touching_ellipsoids

SHAPE = (44, 60, 72)
BLOCKS = [(44, 30, 36), (13, 17, 19), (44, 60, 9), (7, 60, 72)]
OPTIONS = InstanceSettings(seed_threshold=0.8, min_size_voxels=5, spot_sigma=2)


@pytest.fixture(scope="module")
def maps() -> dict[str, npt.NDArray[np.float16]]:
    """Crowded cells, one long object through three blocks, and empty blocks, in two kinds."""
    labels = touching_ellipsoids(SHAPE, 90, radius=(4, 8), closeness=0.7)
    labels[:, :, 50:] = 0
    labels[20:24, 5:9, :] = labels.max() + 1
    return {"foreground": foreground_map(labels), "peaked": peaked_map(labels)}


def labelled(
    probability: npt.NDArray[Any], method: str, block: tuple[int, int, int], workers: int = 1
) -> npt.NDArray[np.uint32]:
    labels = np.empty(probability.shape, np.uint32)
    segment_instances(
        probability,
        labels,
        method=method,
        threshold=None if method == "voronoi-otsu" else 0.5,
        options=OPTIONS,
        block_zyx=block,
        spacing_um_zyx=(1.5, 1.0, 1.0),
        workers=workers,
    )
    return labels


@pytest.mark.parametrize("kind", ["foreground", "peaked"])
@pytest.mark.parametrize("method", INSTANCE_METHODS)
def test_blocks_do_not_change_a_single_label(
    maps: dict[str, npt.NDArray[np.float16]], method: str, kind: str
) -> None:
    whole = labelled(maps[kind], method, SHAPE)
    assert whole.max() > 3
    for block in BLOCKS:
        assert np.array_equal(labelled(maps[kind], method, block, workers=2), whole), block


def test_random_foreground_is_connected_across_edges_and_corners_of_blocks() -> None:
    probability = (np.random.default_rng(3).random((23, 21, 22)) < 0.07).astype(np.float32)
    whole = labelled(probability, "connected-components", probability.shape)
    parts, _ = ndimage.label(probability, np.ones((3, 3, 3)))
    large = np.bincount(parts.ravel())[1:] >= 5
    assert whole.max() == large.sum() > 30
    for block in [(1, 1, 1), (2, 3, 4), (8, 8, 8)]:
        assert np.array_equal(labelled(probability, "connected-components", block), whole)


def test_plateaus_of_equal_voxels_are_divided_alike() -> None:
    """Saturated maps have no unique uphill path; ties must still break the same way."""
    probability = np.zeros((30, 30, 60), np.float16)
    probability[5:25, 5:25, 5:30] = 1
    probability[8:22, 8:22, 30:34] = 0.7
    probability[5:25, 5:25, 34:58] = 1
    for method in INSTANCE_METHODS:
        whole = labelled(probability, method, probability.shape)
        for block in [(30, 30, 16), (11, 13, 7)]:
            assert np.array_equal(labelled(probability, method, block), whole), method


def test_far_reaching_growth_takes_several_rounds_and_ends_the_same() -> None:
    """A seed at one end of a bent tube has to reach the other end, through blocks and back."""
    probability = np.zeros((5, 60, 60), np.float32)
    for row in range(2, 58, 8):
        probability[2, row : row + 2, 2:58] = 0.8
        side = slice(2, 4) if (row // 8) % 2 else slice(56, 58)
        probability[2, row : row + 10, side] = 0.8
    probability[2, 2, 2] = 1.0
    whole = labelled(probability, "voronoi-otsu", probability.shape)
    for block in [(5, 20, 20), (5, 60, 16)]:
        assert np.array_equal(labelled(probability, "voronoi-otsu", block), whole)


def test_seventy_thousand_cells_keep_their_ids() -> None:
    probability = np.zeros((84, 84, 84), np.float32)
    probability[::2, ::2, ::2] = 0.9
    options = InstanceSettings(min_size_voxels=1)
    for method in ("connected-components", "cell-peaks"):
        labels = np.empty(probability.shape, np.uint32)
        result = segment_instances(
            probability, labels, method=method, options=options, block_zyx=(32, 50, 84)
        )
        assert result.n_cells == 42**3 > 70_000
        assert np.array_equal(labels[::2, ::2, ::2].ravel(), np.arange(1, 42**3 + 1))


def test_labels_can_be_written_to_a_memory_map(tmp_path: Any) -> None:
    probability = np.zeros((20, 20, 20), np.float16)
    probability[2:8, 2:8, 2:18] = 0.9
    labels = np.memmap(tmp_path / "labels", np.uint32, "w+", shape=probability.shape)
    segment_instances(probability, labels, block_zyx=(8, 8, 8))
    assert np.array_equal(np.asarray(labels) > 0, probability > 0.5)
