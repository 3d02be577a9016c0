"""A 2 GB file opens at once and costs no memory; only what is asked for is read."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import tifffile

from cellseg_app.io.open import open_volume

PLANE = (np.arange(2048 * 2048, dtype="u4") % 1000).astype("u2").reshape(2048, 2048)


def _sparse(path: Path, n: int = 256) -> None:
    tifffile.memmap(path, shape=(n, 2048, 2048), dtype="u2", imagej=True, metadata={"axes": "ZYX"})


def _compressed(path: Path) -> None:
    with tifffile.TiffWriter(path) as tif:
        for _ in range(256):
            tif.write(PLANE, photometric="minisblack", metadata=None, compression="zstd")


@pytest.mark.skipif(sys.platform == "win32", reason="files are not sparse there")
@pytest.mark.parametrize("make", [_sparse, _compressed])
def test_a_2_gb_file_opens_at_once(tmp_path: Path, make: object) -> None:
    path = tmp_path / "a.tif"
    assert callable(make)
    make(path)
    process = psutil.Process()
    before = process.memory_info().rss

    start = time.perf_counter()
    volume = open_volume(path)
    seconds = time.perf_counter() - start
    corner = volume.data[100:102, 1000:1100, 2000:]

    assert volume.data.shape == (256, 2048, 2048)
    assert seconds < 1
    assert process.memory_info().rss - before < 60e6
    expected = PLANE[1000:1100, 2000:] if make is _compressed else np.zeros((100, 48), "u2")
    np.testing.assert_array_equal(corner, np.stack([expected, expected]))


@pytest.mark.skipif(sys.platform == "win32", reason="files are not sparse there")
def test_an_imagej_stack_beyond_4_gib_with_a_single_page_header(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    n = 600
    description = f"ImageJ=1.53t\nimages={n}\nslices={n}\nunit=um\nspacing=2.0\n"
    tifffile.imwrite(
        path,
        PLANE,
        photometric="minisblack",
        metadata=None,
        description=description,
        resolution=(1, 1),
    )
    with tifffile.TiffFile(path) as tif:
        offset = tif.pages.first.dataoffsets[0]
    with path.open("r+b") as file:
        file.truncate(offset + n * PLANE.nbytes)
        file.seek(offset + (n - 1) * PLANE.nbytes)
        file.write(PLANE.tobytes())

    volume = open_volume(path)

    assert volume.data.shape == (n, 2048, 2048)
    assert volume.spacing_um_zyx == (2.0, 1.0, 1.0)
    np.testing.assert_array_equal(volume.data[n - 1 : n, :, :], PLANE[None])
    assert volume.data[300:301, :64, :64].max() == 0
