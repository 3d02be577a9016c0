"""OME-TIFF files out: what other programs read in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from cellseg_app.core.errors import Cancelled
from cellseg_app.io.ome_tiff_write import write_ome_tiff
from cellseg_app.io.open import open_volume

SPACING = (2.0, 0.5, 0.25)


def nothing() -> None:
    return


@pytest.mark.parametrize("kind", ["image", "labels"])
def test_values_axes_and_voxel_size_come_back(tmp_path: Path, kind: Any) -> None:
    values = np.random.default_rng(0).integers(0, 70_000, (5, 12, 14)).astype(np.uint32)
    path = tmp_path / "a.ome.tif"
    write_ome_tiff(
        path, values, kind=kind, dtype=np.uint32, spacing_um_zyx=SPACING, on_plane=nothing
    )
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_ome
        assert tiff.series[0].axes == "ZYX"
        np.testing.assert_array_equal(tiff.asarray(), values)
        pixels = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]["Pixels"]
    sizes = [pixels[f"PhysicalSize{axis}"] for axis in "ZYX"]
    assert sizes == pytest.approx(SPACING)
    assert {pixels[f"PhysicalSize{axis}Unit"] for axis in "ZYX"} == {"µm"}
    volume = open_volume(path)
    assert volume.spacing_um_zyx == pytest.approx(SPACING)
    np.testing.assert_array_equal(volume.data[tuple(slice(0, n) for n in values.shape)], values)


def test_classes_are_channels(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((2, 3, 8, 9)).astype(np.float16)
    path = tmp_path / "a.ome.tif"
    write_ome_tiff(
        path, values, kind="probability", dtype=np.float32, spacing_um_zyx=None, on_plane=nothing
    )
    with tifffile.TiffFile(path) as tiff:
        assert tiff.series[0].axes == "CZYX"
        np.testing.assert_array_equal(tiff.asarray(), values.astype(np.float32))


def test_a_cancelled_file_does_not_appear(tmp_path: Path) -> None:
    values: npt.NDArray[np.uint16] = np.ones((5, 6, 7), np.uint16)
    n_planes = 0

    def stop() -> None:
        nonlocal n_planes
        n_planes += 1
        if n_planes == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        write_ome_tiff(
            tmp_path / "a.ome.tif",
            values,
            kind="image",
            dtype=np.uint16,
            spacing_um_zyx=None,
            on_plane=stop,
        )
    assert not list(tmp_path.iterdir())
