from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cellseg_app.core.blocks import (
    block_regions,
    grow,
    intersect,
    region_shape,
    relative_to,
    whole,
)

sizes = st.tuples(*[st.integers(1, 20)] * 3)


@given(shape=sizes, block=sizes)
def test_blocks_tile_a_volume_exactly_once(
    shape: tuple[int, int, int], block: tuple[int, int, int]
) -> None:
    covered = np.zeros(shape, int)
    for region in block_regions(shape, block):
        covered[region] += 1
        assert all(n <= m for n, m in zip(region_shape(region), block, strict=True))
    assert (covered == 1).all()


@given(shape=sizes, block=sizes, halo=st.tuples(*[st.integers(0, 5)] * 3))
def test_a_block_is_found_again_inside_its_halo(
    shape: tuple[int, int, int], block: tuple[int, int, int], halo: tuple[int, int, int]
) -> None:
    volume = np.arange(np.prod(shape)).reshape(shape)
    for region in block_regions(shape, block):
        outer = grow(region, halo, shape)
        np.testing.assert_array_equal(volume[outer][relative_to(region, outer)], volume[region])
        assert intersect(outer, whole(shape)) == outer


def test_regions_apart_have_nothing_in_common() -> None:
    left, right = (slice(0, 4), slice(0, 4), slice(0, 4)), (slice(0, 4), slice(0, 4), slice(4, 8))
    assert intersect(left, right) is None
