"""TIFF files of every make open as Z, Y, X volumes, whole and in parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from cellseg_app.core.errors import InputError
from cellseg_app.core.settings import DataSettings
from cellseg_app.io.open import describe, open_volume

SHAPE = (7, 50, 45)


def ramp(dtype: str, shape: tuple[int, ...] = SHAPE) -> npt.NDArray[Any]:
    values = np.arange(np.prod(shape)).reshape(shape) % 251
    return values.astype(dtype)


def whole(path: Path, **settings: Any) -> npt.NDArray[Any]:
    return open_volume(path, DataSettings(**settings)).data[:, :, :]


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "f2", "f4", "f8", "u8"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_every_voxel_type_and_byte_order_reads_equal(
    tmp_path: Path, dtype: str, byteorder: str
) -> None:
    values = ramp(dtype)
    tifffile.imwrite(tmp_path / "a.tif", values, byteorder=byteorder, photometric="minisblack")

    volume = open_volume(tmp_path / "a.tif")

    assert volume.data.dtype == np.dtype(dtype)
    assert volume.data.dtype.isnative
    assert volume.data[:, :, :].dtype.isnative
    np.testing.assert_array_equal(volume.data[:, :, :], values)


@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "zstd", "packbits", "lzma"])
@pytest.mark.parametrize("layout", [{}, {"tile": (16, 32)}, {"rowsperstrip": 7}])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_compressed_tiled_and_stripped_files_read_equal(
    tmp_path: Path, compression: str | None, layout: dict[str, Any], bigtiff: bool
) -> None:
    values = ramp("u2")
    tifffile.imwrite(
        tmp_path / "a.tif",
        values,
        photometric="minisblack",
        compression=compression,
        bigtiff=bigtiff,
        **layout,
    )
    data = open_volume(tmp_path / "a.tif").data

    np.testing.assert_array_equal(data[:, :, :], values)
    np.testing.assert_array_equal(data[2:5, 13:37, 30:45], values[2:5, 13:37, 30:45])
    np.testing.assert_array_equal(data[::3, 1::7, 2:40:5], values[::3, 1::7, 2:40:5])
    assert data[3:3, :, :].shape == (0, 50, 45)


@pytest.mark.parametrize(
    ("dtype", "predictor"), [("u2", 2), ("f4", 3), ("u1", 2)], ids=["u2", "f4", "u1"]
)
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_predictors_are_undone(tmp_path: Path, dtype: str, predictor: int, byteorder: str) -> None:
    values = ramp(dtype)
    tifffile.imwrite(
        tmp_path / "a.tif",
        values,
        photometric="minisblack",
        compression="zlib",
        predictor=predictor,
        byteorder=byteorder,
    )
    np.testing.assert_array_equal(whole(tmp_path / "a.tif"), values)


def test_tiles_that_span_several_planes_read_equal(tmp_path: Path) -> None:
    values = ramp("u2", (20, 50, 45))
    tifffile.imwrite(
        tmp_path / "a.tif",
        values,
        photometric="minisblack",
        volumetric=True,
        tile=(16, 16, 16),
        compression="zlib",
        metadata={"axes": "ZYX"},
    )
    data = open_volume(tmp_path / "a.tif").data

    np.testing.assert_array_equal(data[:, :, :], values)
    np.testing.assert_array_equal(data[14:18, 3:20, 40:45], values[14:18, 3:20, 40:45])


def test_booleans_arrive_as_bytes(tmp_path: Path) -> None:
    values = ramp("u2") > 100
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", compression="zlib")

    data = whole(tmp_path / "a.tif")

    assert data.dtype == np.uint8
    np.testing.assert_array_equal(data, values.astype(np.uint8))


def test_twelve_bit_packed_planes_read_equal(tmp_path: Path) -> None:
    values = ramp("u2", (3, 4, 6))
    packed = b"".join(
        bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in values.reshape(-1, 2).tolist()
    )
    planes = (
        np.frombuffer(packed[i * 36 : (i + 1) * 36], "u1").tobytes() for i in range(len(values))
    )
    with tifffile.TiffWriter(tmp_path / "a.tif", byteorder=">") as tif:
        for plane in planes:
            tif.write(
                iter([plane]),
                shape=(4, 6),
                dtype="u2",
                bitspersample=12,
                photometric="minisblack",
                metadata=None,
                rowsperstrip=4,
            )
    np.testing.assert_array_equal(whole(tmp_path / "a.tif"), values)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_one_channel_and_time_point_of_a_hyperstack_are_picked(
    tmp_path: Path, compression: str | None
) -> None:
    values = ramp("u2", (3, 4, 2, 20, 30))
    tifffile.imwrite(
        tmp_path / "a.tif",
        values,
        imagej=True,
        compression=compression,
        metadata={"axes": "TZCYX"},
    )
    volume = open_volume(tmp_path / "a.tif", DataSettings(channel=1, timepoint=2))

    np.testing.assert_array_equal(volume.data[:, :, :], values[2, :, 1])
    assert "Taken: time point 2 of 3 (counted from 0)." in volume.notes
    assert "Taken: channel 1 of 2 (counted from 0)." in volume.notes


@pytest.mark.parametrize("axes", ["TCZYX", "TZCYX", "CTZYX", "ZCTYX"])
def test_ome_axes_in_any_order(tmp_path: Path, axes: str) -> None:
    sizes = {"T": 2, "C": 3, "Z": 4, "Y": 20, "X": 30}
    values = ramp("u2", tuple(sizes[a] for a in axes))
    tifffile.imwrite(tmp_path / "a.ome.tif", values, ome=True, metadata={"axes": axes})

    data = whole(tmp_path / "a.ome.tif", channel=2, timepoint=1)

    expected = values.take(1, axes.index("T")).take(2, axes.replace("T", "").index("C"))
    np.testing.assert_array_equal(data, expected)
    assert describe(tmp_path / "a.ome.tif").n_channels == 3
    assert describe(tmp_path / "a.ome.tif").n_timepoints == 2


def test_planar_samples_count_as_channels(tmp_path: Path) -> None:
    values = ramp("u2", (4, 2, 20, 30))
    tifffile.imwrite(
        tmp_path / "a.tif",
        values,
        photometric="minisblack",
        planarconfig="separate",
        compression="zlib",
        metadata={"axes": "ZSYX"},
    )
    np.testing.assert_array_equal(whole(tmp_path / "a.tif", channel=1), values[:, 1])


@pytest.mark.parametrize("axis", ["T", "C", "Q", "I"])
def test_a_stack_saved_along_the_wrong_axis_is_taken_as_z_and_noted(
    tmp_path: Path, axis: str
) -> None:
    values = ramp("u2")
    tifffile.imwrite(
        tmp_path / "a.tif", values, photometric="minisblack", metadata={"axes": f"{axis}YX"}
    )
    volume = open_volume(tmp_path / "a.tif")

    np.testing.assert_array_equal(volume.data[:, :, :], values)
    assert any("taken as Z" in note for note in volume.notes)


def test_files_made_by_imagej_itself(data_dir: Path) -> None:
    path = data_dir / "io" / "imagej_hyperstack.tif"
    values = tifffile.imread(path)

    for t, c in ((0, 0), (2, 1)):
        np.testing.assert_array_equal(whole(path, timepoint=t, channel=c), values[t, :, c])


def test_a_preview_before_the_stack_is_passed_over(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        tif.write(ramp("u1", (16, 16)), photometric="minisblack")
        tif.write(ramp("u2"), photometric="minisblack")

    volume = open_volume(tmp_path / "a.tif")

    np.testing.assert_array_equal(volume.data[:, :, :], ramp("u2"))
    assert any("2 images" in note for note in volume.notes)


def test_levels_of_a_pyramid(tmp_path: Path) -> None:
    values = ramp("u2", (4, 64, 64))
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as tif:
        tif.write(
            values,
            subifds=1,
            tile=(16, 16),
            metadata={
                "axes": "ZYX",
                "PhysicalSizeX": 0.5,
                "PhysicalSizeY": 0.5,
                "PhysicalSizeZ": 2.0,
            },
        )
        tif.write(values[:, ::2, ::2], subfiletype=1, tile=(16, 16))

    coarse = open_volume(tmp_path / "a.ome.tif", DataSettings(level=1))

    np.testing.assert_array_equal(coarse.data[:, :, :], values[:, ::2, ::2])
    assert coarse.spacing_um_zyx == (2.0, 1.0, 1.0)
    with pytest.raises(InputError, match="no resolution level 2"):
        open_volume(tmp_path / "a.ome.tif", DataSettings(level=2))


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_only_the_planes_asked_for_are_read(tmp_path: Path, compression: str | None) -> None:
    path = tmp_path / "a.tif"
    values = np.random.default_rng(0).integers(0, 60000, (6, 64, 64)).astype("u2")
    tifffile.imwrite(path, values, photometric="minisblack", compression=compression)
    with tifffile.TiffFile(path) as tif:
        places = [(p.dataoffsets[0], sum(p.databytecounts)) for p in tif.pages]
    content = bytearray(path.read_bytes())
    for number in (0, 1, 2, 4, 5):
        offset, count = places[number]
        content[offset : offset + count] = b"\x00" * count
    path.write_bytes(content)

    data = open_volume(path).data

    np.testing.assert_array_equal(data[3:4, :, :], values[3:4])
    if compression:
        with pytest.raises(InputError, match=r"a\.tif: It is damaged"):
            data[2:4, :, :]


def test_only_the_tiles_asked_for_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    values = np.random.default_rng(0).integers(0, 60000, (2, 64, 64)).astype("u2")
    tifffile.imwrite(path, values, photometric="minisblack", compression="zlib", tile=(32, 32))
    with tifffile.TiffFile(path) as tif:
        offset, count = tif.pages[0].dataoffsets[3], tif.pages[0].databytecounts[3]
    content = bytearray(path.read_bytes())
    content[offset : offset + count] = b"\x00" * count
    path.write_bytes(content)

    data = open_volume(path).data

    np.testing.assert_array_equal(data[:, :32, :], values[:, :32])
    np.testing.assert_array_equal(data[1:, :, :], values[1:])
    with pytest.raises(InputError):
        data[:, 30:40, 30:40]


def test_a_reader_keeps_no_hold_on_the_file(tmp_path: Path) -> None:
    path, other = tmp_path / "a.tif", tmp_path / "b.tif"
    tifffile.imwrite(path, ramp("u2"), photometric="minisblack")
    data = open_volume(path).data
    data[0:1, :, :]

    path.rename(other)

    with pytest.raises(InputError, match="gone"):
        data[0:1, :, :]
