from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellseg_app.core.blocks import whole
from cellseg_app.core.errors import InputError
from cellseg_app.core.volume import Volume
from cellseg_app.io.masks import MaskArray, measure_mask, open_mask
from cellseg_app.io.tiff_write import write_volume_tiff

sizes = st.tuples(*[st.integers(1, 12)] * 3)


@given(own=sizes, shape=sizes, seed=st.integers(0, 99), data=st.data())
def test_extent_and_count_are_those_of_the_mask_written_out(
    own: tuple[int, int, int], shape: tuple[int, int, int], seed: int, data: st.DataObject
) -> None:
    source = np.random.default_rng(seed).random(own) < 0.2
    mask = MaskArray(source, shape)
    starts = [data.draw(st.integers(0, n - 1)) for n in shape]
    z, y, x = (slice(a, n) for a, n in zip(starts, shape, strict=True))
    full = np.zeros(shape, bool)
    full[z, y, x] = mask[whole(shape)][z, y, x]
    extent = measure_mask(mask, (z, y, x))
    if extent is None:
        assert not full.any()
        return
    assert extent.n_voxels == full.sum()
    if not full.any():
        return
    expected = [slice(w.min(), w.max() + 1) for w in np.nonzero(full)]
    assert list(extent.box) == expected
    for index in np.argwhere(full):
        a, b, c = (slice(i, i + 1) for i in index)
        assert extent.touches((a, b, c), shape)


def test_a_mask_of_the_same_lattice_reads_as_it_is() -> None:
    values = np.random.default_rng(0).integers(0, 2, (5, 6, 7))
    mask = MaskArray(values, (5, 6, 7))
    key = (slice(1, 4), slice(0, 6, 2), slice(3, 7))
    np.testing.assert_array_equal(mask[key], values[key] > 0)


def _volume(shape: tuple[int, int, int], spacing: tuple[float, float, float] | None) -> Volume:
    return Volume(np.zeros(shape, np.uint8), spacing, "v")


def test_a_coarser_mask_of_the_same_extent_is_taken(tmp_path: Path) -> None:
    values = np.zeros((5, 10, 10), np.uint8)
    values[2:, 5:] = 1
    path = write_volume_tiff(tmp_path / "m.tif", values, spacing_um_zyx=(4, 4, 4))
    mask = open_mask(path, _volume((20, 40, 40), (1, 1, 1)))
    expected = np.zeros((20, 40, 40), bool)
    expected[8:, 20:] = True
    np.testing.assert_array_equal(mask[whole((20, 40, 40))], expected)


def test_one_plane_holds_for_all_planes(tmp_path: Path) -> None:
    values = np.zeros((1, 10, 10), np.uint8)
    values[0, :3] = 255
    path = write_volume_tiff(tmp_path / "m.tif", values, spacing_um_zyx=(2, 1, 1))
    mask = open_mask(path, _volume((7, 10, 10), (2, 1, 1)))
    assert mask[whole((7, 10, 10))].sum() == 7 * 3 * 10


def test_a_mask_of_another_extent_is_refused(tmp_path: Path) -> None:
    path = write_volume_tiff(
        tmp_path / "m.tif", np.ones((5, 10, 10), np.uint8), spacing_um_zyx=(4, 4, 4)
    )
    with pytest.raises(InputError, match=r"m\.tif.*20 µm long along Z, the volume 40 µm"):
        open_mask(path, _volume((40, 40, 40), (1, 1, 1)))
