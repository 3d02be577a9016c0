"""Large parts go before cells are told apart; small and cut cells after."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from cellseg_app.analysis.cleanup import filter_labels, without_large_parts

ALL = (slice(None), slice(None), slice(None))


@pytest.fixture
def scene() -> npt.NDArray[np.float16]:
    """A cell, and a vessel through all blocks that touches it by a corner below the threshold."""
    probability = np.full((20, 24, 40), 0.1, np.float16)
    probability[3:8, 3:8, 3:8] = 0.9
    probability[12:14, 12:14, :] = 0.8
    probability[12:20, 20:24, 30:34] = 0.95
    return probability


@pytest.mark.parametrize("block", [(20, 24, 40), (7, 10, 11), (20, 24, 5)])
def test_only_parts_above_the_limit_are_cleared(
    scene: npt.NDArray[np.float16], block: tuple[int, int, int]
) -> None:
    cleared = without_large_parts(scene, 0.5, 128, block_zyx=block, workers=2)
    expected = scene.copy()
    expected[12:14, 12:14, :] = 0
    assert cleared.dtype == scene.dtype
    assert np.array_equal(cleared[ALL], expected)
    part = (slice(10, 15), slice(11, 22), slice(8, 33))
    assert np.array_equal(cleared[part], expected[part])
    assert scene[12, 12, 0] == np.float16(0.8), "the stored map stays as it is"


def test_a_part_as_large_as_the_limit_stays(scene: npt.NDArray[np.float16]) -> None:
    assert without_large_parts(scene, 0.5, 160) is scene


def test_labels_are_filtered_and_renumbered() -> None:
    labels = np.zeros((6, 8, 20), np.uint32)
    labels[2:4, 2:4, 2:4] = 900_000
    labels[2:4, 2:4, 8:18] = 5
    labels[0, 0, 0:9] = 7
    labels[3, 6, 10] = 8
    for block in [(6, 8, 20), (2, 3, 5)]:
        kept = labels.copy()
        n = filter_labels(kept, min_size_voxels=2, remove_border=True, block_zyx=block)
        assert n == 2
        assert np.array_equal(np.unique(kept), [0, 1, 2])
        assert (kept[labels == 900_000] == 1).all()
        assert (kept[labels == 5] == 2).all()
