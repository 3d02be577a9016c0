"""TIFF results: every value and the voxel size come back, and nothing half-written is left."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from cellseg_app.core.errors import Cancelled, OutputError
from cellseg_app.core.settings import DataSettings
from cellseg_app.io import tiff_write
from cellseg_app.io.open import describe, open_volume
from cellseg_app.io.tiff_write import TiffSlabWriter, write_volume_tiff

SPACING = (2.0, 0.8286, 0.1268)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 6)] * 3),
    dtype=st.sampled_from(["uint8", "uint16", "int16", "uint32", "int32", "float32"]),
    kind=st.sampled_from(["image", "labels"]),
    spacing=st.tuples(*[st.floats(1e-3, 1e3)] * 3),
)
def test_round_trip_down_to_one_voxel(
    shape: tuple[int, int, int], dtype: str, kind: Any, spacing: tuple[float, float, float]
) -> None:
    if kind == "labels":
        dtype = "uint32"
    values = (np.arange(np.prod(shape)).reshape(shape) * 7 + 3).astype(dtype)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tif"
        write_volume_tiff(path, values, spacing_um_zyx=spacing, kind=kind)
        volume = open_volume(path, allow_2d=True)

        assert volume.data.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(volume.data[:, :, :], values)
        assert volume.spacing_um_zyx == pytest.approx(spacing, rel=1e-6)


def test_what_imagej_reads_of_it(tmp_path: Path) -> None:
    values = np.arange(3 * 4 * 5, dtype="u4").reshape(3, 4, 5) + 70_000
    write_volume_tiff(tmp_path / "a.tif", values, spacing_um_zyx=SPACING, kind="labels")

    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert tif.is_imagej
        assert tif.imagej_metadata is not None
        assert tif.imagej_metadata["slices"] == 3
        assert tif.imagej_metadata["spacing"] == 2.0
        assert tif.imagej_metadata["unit"] == "um"
        assert tif.series[0].axes == "ZYX"
        x, units = tif.pages.first.tags["XResolution"].value
        assert units / x == pytest.approx(0.1268)


def test_70_000_label_ids_survive(tmp_path: Path) -> None:
    labels = np.arange(1, 70_001, dtype="u4").reshape(7, 100, 100)
    write_volume_tiff(tmp_path / "a.tif", labels, spacing_um_zyx=None, kind="labels")

    found = open_volume(tmp_path / "a.tif").data[:, :, :]

    np.testing.assert_array_equal(found, labels)


def test_classes_become_channels(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((2, 5, 6, 7)).astype("f4")
    with TiffSlabWriter(
        tmp_path / "a.tif", values.shape, dtype="f4", spacing_um_zyx=SPACING, kind="probability"
    ) as writer:
        writer.write(values[:, :2])
        writer.write(values[:, 2:])

    for channel in (0, 1):
        volume = open_volume(tmp_path / "a.tif", DataSettings(channel=channel))
        np.testing.assert_array_equal(volume.data[:, :, :], values[channel])


def test_one_plane_of_several_classes(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((2, 1, 6, 7)).astype("f4")
    write_volume_tiff(tmp_path / "a.tif", values, spacing_um_zyx=SPACING, kind="probability")

    assert describe(tmp_path / "a.tif", allow_2d=True).n_channels == 2
    for channel in (0, 1):
        volume = open_volume(tmp_path / "a.tif", DataSettings(channel=channel), allow_2d=True)
        np.testing.assert_array_equal(volume.data[:, :, :], values[channel])


def test_fiji_shows_labels_from_0_to_the_highest(tmp_path: Path) -> None:
    labels = np.zeros((5, 6, 7), "u4")
    labels[1], labels[4] = 70_000, 3
    write_volume_tiff(tmp_path / "a.tif", labels, spacing_um_zyx=SPACING, kind="labels")

    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert tif.imagej_metadata is not None
        assert (tif.imagej_metadata["min"], tif.imagej_metadata["max"]) == (0, 70_000)


def test_half_precision_is_widened_for_fiji(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((3, 6, 7)).astype("f2")
    write_volume_tiff(tmp_path / "a.tif", values, spacing_um_zyx=None, kind="probability")

    found = open_volume(tmp_path / "a.tif").data[:, :, :]

    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, values.astype("f4"))


def test_uint16_labels_only_where_they_fit(tmp_path: Path) -> None:
    labels = np.full((2, 3, 4), 65_535, "u4")
    write_volume_tiff(
        tmp_path / "a.tif", labels, spacing_um_zyx=None, kind="labels", dtype="uint16"
    )
    assert open_volume(tmp_path / "a.tif").data.dtype == np.uint16

    labels[1, 2, 3] = 65_536
    with pytest.raises(OutputError, match="65536 does not fit into uint16") as caught:
        write_volume_tiff(
            tmp_path / "b.tif", labels, spacing_um_zyx=None, kind="labels", dtype="uint16"
        )
    assert "b.tif" in str(caught.value)
    assert "uint32" in caught.value.remedy
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]


@pytest.mark.parametrize(
    ("values", "dtype", "kind"),
    [
        (np.full((1, 2, 2), -1, "i4"), "uint32", "labels"),
        (np.full((1, 2, 2), 2**32, "i8"), "uint32", "labels"),
        (np.full((1, 2, 2), 300, "i4"), "uint8", "image"),
        (np.full((1, 2, 2), 0.5, "f4"), "uint8", "image"),
        (np.full((1, 2, 2), 2**24 + 1, "i4"), "float32", "image"),
        (np.full((1, 2, 2), 1e300, "f8"), "float32", "image"),
    ],
)
def test_lossy_casts_are_refused(tmp_path: Path, values: np.ndarray, dtype: str, kind: Any) -> None:
    with pytest.raises(OutputError, match="not fit"):
        write_volume_tiff(tmp_path / "a.tif", values, spacing_um_zyx=None, kind=kind, dtype=dtype)
    assert list(tmp_path.iterdir()) == []


def _start_and_raise(path: Path, error: BaseException) -> None:
    with TiffSlabWriter(path, (4, 5, 6), dtype="u2", spacing_um_zyx=None) as writer:
        writer.write(np.zeros((2, 5, 6), "u2"))
        raise error


@pytest.mark.parametrize("error", [Cancelled(), ValueError("bug"), KeyboardInterrupt()])
def test_an_end_in_the_middle_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.tif"
    with pytest.raises(type(error)):
        _start_and_raise(path, error)
    assert list(tmp_path.iterdir()) == []


def test_an_end_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(b"old")
    with pytest.raises(Cancelled):
        _start_and_raise(path, Cancelled())
    assert path.read_bytes() == b"old"


def test_missing_planes_are_no_result(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="3 of 4 planes"),
        TiffSlabWriter(tmp_path / "a.tif", (4, 5, 6), dtype="u2", spacing_um_zyx=None) as writer,
    ):
        writer.write(np.zeros((3, 5, 6), "u2"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "a.tif").mkdir()
    with pytest.raises(OutputError, match="in the way"):
        write_volume_tiff(tmp_path / "a.tif", np.zeros((2, 3, 4), "u2"), spacing_um_zyx=None)


def test_bigtiff_from_4_gib_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff_write, "BIGTIFF_FROM_BYTES", 1000)
    values = np.arange(4 * 20 * 30, dtype="f4").reshape(4, 20, 30)
    write_volume_tiff(tmp_path / "a.tif", values, spacing_um_zyx=SPACING)

    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert tif.is_bigtiff
    volume = open_volume(tmp_path / "a.tif")
    np.testing.assert_array_equal(volume.data[:, :, :], values)
    assert volume.spacing_um_zyx == pytest.approx(SPACING)
