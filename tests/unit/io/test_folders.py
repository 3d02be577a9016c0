"""Folders: 2D slices as one volume, folders of volumes, patterns, natural order."""

from __future__ import annotations

import os
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
import zarr

from cellseg_app.core.errors import InputError
from cellseg_app.io.inputs import expand_inputs
from cellseg_app.io.open import describe, open_volume
from cellseg_app.io.slices import natural_key

VALUES = np.random.default_rng(0).integers(0, 60_000, (12, 20, 30)).astype("u2")


def _slices(folder: Path, pattern: str = "slice{}.tif", **options: object) -> Path:
    folder.mkdir(exist_ok=True)
    for z, plane in enumerate(VALUES, start=1):
        path = folder / pattern.format(z)
        if path.suffix == ".png":
            path.write_bytes(imagecodecs.png_encode(plane))
        else:
            tifffile.imwrite(path, plane, photometric="minisblack", **options)
    return folder


def _volume(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    tifffile.imwrite(path, VALUES, photometric="minisblack")
    return path


def _zarr(path: Path) -> Path:
    zarr.open_array(str(path), mode="w", shape=(3, 4, 5), chunks=(3, 4, 5), dtype="u2")[...] = 1
    return path


@pytest.mark.parametrize("pattern", ["slice{}.tif", "{}.TIFF", "a_{}_b.png", "z{:03d}.tif"])
def test_slices_are_one_volume_in_the_order_a_person_counts(tmp_path: Path, pattern: str) -> None:
    folder = _slices(tmp_path / "tissue", pattern)

    volume = open_volume(folder)

    np.testing.assert_array_equal(volume.data[:, :, :], VALUES)
    np.testing.assert_array_equal(volume.data[8:11, 3:9, ::4], VALUES[8:11, 3:9, ::4])
    assert volume.name == "tissue"
    assert describe(folder).kind == "folder of 12 2D slices"
    assert expand_inputs([folder]) == [folder]


@pytest.mark.parametrize("options", [{"compression": "zlib"}, {"tile": (16, 16)}])
def test_compressed_slices(tmp_path: Path, options: dict[str, object]) -> None:
    folder = _slices(tmp_path / "a", "slice{}.tif", **options)
    np.testing.assert_array_equal(open_volume(folder).data[:, :, :], VALUES)


def test_natural_order() -> None:
    names = ["slice10.tif", "Slice2.tif", "slice1.tif", "a.tif", "10.tif", "9.tif", "slice1b2.tif"]
    expected = ["9.tif", "10.tif", "a.tif", "slice1.tif", "slice1b2.tif", "Slice2.tif"]
    assert sorted(names, key=natural_key) == [*expected, "slice10.tif"]


def test_the_plane_distance_of_slices_is_not_made_up(tmp_path: Path) -> None:
    options = {"imagej": True, "resolution": (2, 2), "metadata": {"unit": "um"}}
    folder = tmp_path / "a"
    folder.mkdir()
    for z, plane in enumerate(VALUES):
        tifffile.imwrite(folder / f"{z}.tif", plane, **options)

    volume = open_volume(folder)

    assert volume.spacing_um_zyx is None
    assert any("Y 0.5, X 0.5 µm, not along Z" in note for note in volume.notes)


def test_missing_slices_and_mixed_channels_are_noted(tmp_path: Path) -> None:
    folder = _slices(tmp_path / "a")
    (folder / "slice5.tif").unlink()
    assert any("between number 1 and 12 are missing" in n for n in open_volume(folder).notes)

    mixed = _slices(tmp_path / "b", "z{}_c0.tif")
    _slices(mixed, "z{}_c1.tif")
    assert any("one channel" in note for note in open_volume(mixed).notes)


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (np.zeros((20, 31), "u2"), "20 × 31"),
        (np.zeros((20, 30), "u1"), "uint8"),
        (None, "damaged|cut short|not a TIFF"),
    ],
)
def test_a_slice_that_does_not_fit_is_named(
    tmp_path: Path, odd: np.ndarray | None, reason: str
) -> None:
    folder = _slices(tmp_path / "a")
    if odd is None:
        os.truncate(folder / "slice7.tif", 700)
    else:
        tifffile.imwrite(folder / "slice7.tif", odd, photometric="minisblack")

    with pytest.raises(InputError, match=reason) as caught:
        open_volume(folder)

    assert "slice7.tif" in str(caught.value)


def test_folders_that_are_no_volume(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").write_text("")
    one = _slices(tmp_path / "one")
    for path in sorted(one.iterdir())[1:]:
        path.unlink()
    colour = tmp_path / "colour"
    colour.mkdir()
    for z in range(3):
        tifffile.imwrite(colour / f"{z}.tif", np.zeros((8, 9, 3), "u1"), photometric="rgb")

    for name, reason in (("empty", "no TIFF"), ("text", "no TIFF"), ("one", "two or more")):
        with pytest.raises(InputError, match=reason):
            open_volume(tmp_path / name)
    with pytest.raises(InputError, match="colour"):
        open_volume(colour)
    for name in ("empty", "text"):
        with pytest.raises(InputError, match="no volumes") as caught:
            expand_inputs([tmp_path / name])
        assert name in str(caught.value)


def test_a_folder_of_volumes(tmp_path: Path) -> None:
    for name in ("b10.tif", "b9.tif", ".hidden.tif", "b9_SegResNet_2022_04_06_15_49_42_pred1.tif"):
        _volume(tmp_path / name)
    _zarr(tmp_path / "b11.zarr")
    (tmp_path / "notes.txt").write_text("")

    found = [path.name for path in expand_inputs([tmp_path])]

    assert found == ["b9.tif", "b10.tif", "b11.zarr"]


def test_a_folder_of_folders_with_slices(tmp_path: Path) -> None:
    for name in ("s10", "s9"):
        _slices(tmp_path / name)
    assert [path.name for path in expand_inputs([tmp_path])] == ["s9", "s10"]


def test_a_damaged_file_does_not_hide_the_volumes_beside_it(tmp_path: Path) -> None:
    _volume(tmp_path / "good.tif")
    (tmp_path / "bad.tif").write_bytes(b"II*\x00 nonsense")
    assert [path.name for path in expand_inputs([tmp_path])] == ["bad.tif", "good.tif"]


def test_patterns_and_repeated_names(tmp_path: Path) -> None:
    for name in ("x2/image.tif", "x10/image.tif", "a [1].tif"):
        _volume(tmp_path / name)

    found = expand_inputs([f"{tmp_path}/*/image.tif", tmp_path / "x10" / "image.tif"])
    bracketed = expand_inputs([str(tmp_path / "a [1].tif")])

    assert [path.parent.name for path in found] == ["x2", "x10"]
    assert [path.name for path in bracketed] == ["a [1].tif"]
    for wrong in ("*.czi", "nothing.tif"):
        with pytest.raises(InputError, match=r"No file matches|no such file") as caught:
            expand_inputs([str(tmp_path / wrong)])
        assert wrong in str(caught.value)
