from __future__ import annotations

import numpy as np

from cellseg_app.inference.normalize import intensity_scale, sample_voxels


class _Counting:
    """A volume that knows how many voxels were read from it."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.shape, self.dtype, self.ndim, self.read = shape, np.dtype(np.uint16), 3, 0

    def __getitem__(self, key: tuple[slice, ...]) -> np.ndarray:
        part = tuple(len(range(*s.indices(size))) for s, size in zip(key, self.shape, strict=True))
        self.read += int(np.prod(part))
        return np.ones(part, np.uint16)


def test_small_volume_is_sampled_whole_planes() -> None:
    volume = np.arange(20 * 8 * 9).reshape(20, 8, 9)
    np.testing.assert_array_equal(np.sort(sample_voxels(volume)), volume.ravel())


def test_sample_of_a_huge_volume_is_bounded() -> None:
    huge = _Counting((4000, 20_000, 20_000))
    assert sample_voxels(huge).size == huge.read <= 40_000_000


def test_brighter_volume_with_offset_looks_the_same_to_the_network() -> None:
    volume = np.random.default_rng(0).gamma(2.0, 50.0, (16, 32, 32))
    brighter = volume * 10 + 1000
    seen = [
        intensity_scale(sample_voxels(v), 0.01, 0.998, rescale=True).apply(v)
        for v in (volume, brighter)
    ]
    np.testing.assert_allclose(seen[0], seen[1], atol=1e-3)


def test_clipping_keeps_counts() -> None:
    volume = np.arange(1000, dtype=np.uint16).reshape(10, 10, 10)
    clipped = intensity_scale(sample_voxels(volume), 0.01, 0.99, rescale=False).apply(volume)
    assert clipped.min() >= 9
    assert clipped.max() <= 990
    np.testing.assert_array_equal(clipped[5], volume[5])


def test_constant_volume_gives_no_nan() -> None:
    flat = np.full((4, 5, 6), 7, np.uint8)
    assert np.isfinite(
        intensity_scale(sample_voxels(flat), 0.01, 0.99, rescale=True).apply(flat)
    ).all()
