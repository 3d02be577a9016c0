"""Cells that a mask cuts, and the empty surroundings of a volume."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from cellseg_app.analysis.blockwise import BlockPlan
from cellseg_app.analysis.mask_edge import cut_by_mask
from cellseg_app.analysis.surroundings import occupied


@pytest.mark.parametrize("block", [(64, 64, 64), (5, 7, 3), (1, 1, 1)])
def test_cells_with_a_voxel_outside_beside_them_are_cut(block: tuple[int, int, int]) -> None:
    labels = np.zeros((12, 13, 14), np.uint32)
    labels[2:6, 2:6, 2:6] = 1  # cut by the mask's edge at x = 6
    labels[2:6, 8:12, 0:4] = 2  # inside, at the border of the volume
    mask = np.zeros(labels.shape, bool)
    mask[:, :, :6] = True
    labels[9:11, 2:4, 2:5] = 3  # one voxel away from the edge
    assert cut_by_mask(labels, mask, BlockPlan(block)).tolist() == [1]


def test_tissue_is_kept_and_its_surroundings_are_left_out() -> None:
    rng = np.random.default_rng(0)
    shape = (60, 120, 140)
    grid = np.indices(shape)
    centre = np.array([30, 60, 60]).reshape(3, 1, 1, 1)
    tissue = (((grid - centre) / np.array([22, 40, 40]).reshape(3, 1, 1, 1)) ** 2).sum(0) < 1
    cells = ndimage.gaussian_filter((rng.random(shape) < 0.002).astype(float), 2) * 3e4
    image = rng.poisson(100 + tissue * (150 + cells)).astype(np.uint16)
    coarse = occupied(image)
    assert coarse is not None
    found = ndimage.zoom(coarse.astype(float), np.array(shape) / coarse.shape, order=0) > 0
    assert found[tissue].all()
    assert found.mean() < 2.5 * tissue.mean()


def test_a_volume_full_of_cells_is_not_cut() -> None:
    rng = np.random.default_rng(0)
    cells = ndimage.gaussian_filter((rng.random((60, 90, 90)) < 0.002).astype(float), 2.5)
    image = rng.poisson(100 + 4e4 * cells).astype(np.uint16)
    coarse = occupied(image)
    assert coarse is None or coarse.mean() > 0.99


def test_noise_and_flat_volumes_have_no_surroundings() -> None:
    noise = np.random.default_rng(0).poisson(100, (40, 50, 60)).astype(np.uint16)
    coarse = occupied(noise)
    assert coarse is None or coarse.mean() > 0.99
    assert occupied(np.full((20, 20, 20), 7, np.uint8)) is None


def test_black_padding_is_left_out() -> None:
    image = np.zeros((40, 80, 80), np.uint16)
    image[:, :, 30:] = np.random.default_rng(0).poisson(400, (40, 80, 50))
    coarse = occupied(image)
    assert coarse is not None
    assert coarse[:, :, 30:].all()
    assert not coarse[:, :, :25].any()
