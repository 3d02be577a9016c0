"""What cannot be a volume is refused in a sentence that names file, reason and remedy."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from cellseg_app.core.errors import InputError
from cellseg_app.core.settings import DataSettings
from cellseg_app.io.open import check_values, describe, open_volume


def _save(path: Path, values: np.ndarray, **options: object) -> None:
    tifffile.imwrite(path, values, **{"photometric": "minisblack", **options})


def _flat(path: Path) -> None:
    _save(path, np.zeros((8, 9), "u2"))


def _photo(path: Path) -> None:
    _save(path, np.zeros((8, 9, 3), "u1"), photometric="rgb")


def _photo_with_alpha(path: Path) -> None:
    _save(path, np.zeros((8, 9, 4), "u1"), photometric="rgb", extrasamples=["unassalpha"])


def _colour_stack(path: Path) -> None:
    _save(path, np.zeros((5, 8, 9, 3), "u1"), photometric="rgb")


def _complex(path: Path) -> None:
    _save(path, np.zeros((3, 8, 9), "c8"))


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _text(path: Path) -> None:
    path.write_text("not an image")


def _png(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))


def _header_only(path: Path) -> None:
    path.write_bytes(b"II*\x00\x08\x00\x00\x00")


def _several_axes(path: Path) -> None:
    _save(path, np.zeros((3, 4, 8, 9), "u2"), metadata={"axes": "TCYX"})


def _missing(path: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_flat, "2D image"),
        (_photo, "colour"),
        (_photo_with_alpha, "colour"),
        (_colour_stack, "colour"),
        (_complex, "complex"),
        (_empty, "empty"),
        (_text, "not a TIFF"),
        (_png, "not a TIFF"),
        (_header_only, "cut short|no image|damaged"),
        (_several_axes, "None of its axes is Z"),
        (_missing, "no such file"),
    ],
)
def test_refusals_name_file_reason_and_remedy(
    tmp_path: Path, make: Callable[[Path], None], reason: str
) -> None:
    path = tmp_path / "bild µ.tif"
    make(path)

    with pytest.raises(InputError, match=reason) as caught:
        open_volume(path)

    assert "bild µ.tif" in str(caught.value)
    assert caught.value.remedy


def test_what_a_run_refuses_is_described_with_the_reason(tmp_path: Path) -> None:
    _flat(tmp_path / "a.tif")

    info = describe(tmp_path / "a.tif")

    assert info.shape == (8, 9)
    assert info.shape_zyx is None
    assert "2D" in info.problem


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (DataSettings(channel=2), "no channel 2; the file has 2"),
        (DataSettings(timepoint=1), "no time point 1; the file has 1"),
        (DataSettings(level=1), "no resolution level 1"),
    ],
)
def test_what_the_file_does_not_have(tmp_path: Path, settings: DataSettings, reason: str) -> None:
    _save(tmp_path / "a.tif", np.zeros((3, 2, 8, 9), "u2"), metadata={"axes": "ZCYX"})

    with pytest.raises(InputError, match=reason):
        open_volume(tmp_path / "a.tif", settings)


@pytest.mark.parametrize("flavour", ["imagej", "ome", "plain", "zlib", "tiled", "big-endian"])
@pytest.mark.parametrize("kept", [0.02, 0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_short_is_refused_wherever_the_cut_is(
    tmp_path: Path, flavour: str, kept: float
) -> None:
    options: dict[str, object] = {
        "imagej": {"imagej": True, "metadata": {"axes": "ZYX"}},
        "ome": {"ome": True, "metadata": {"axes": "ZYX"}, "compression": "zlib"},
        "plain": {},
        "zlib": {"compression": "zlib"},
        "tiled": {"tile": (16, 16)},
        "big-endian": {"byteorder": ">"},
    }[flavour]
    path = tmp_path / "a.tif"
    values = np.random.default_rng(0).integers(0, 60000, (9, 40, 50)).astype("u2")
    _save(path, values, **options)
    size = path.stat().st_size
    os.truncate(path, min(int(size * kept), size - 1))

    with pytest.raises(InputError, match=r"a\.tif") as caught:
        open_volume(path)

    assert caught.value.remedy


def test_a_plane_of_a_set_of_files_that_is_missing(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as tif:
        tif.write(np.zeros((4, 8, 9), "u2"), metadata={"axes": "ZYX"})
    content = (tmp_path / "a.ome.tif").read_bytes()
    (tmp_path / "a.ome.tif").write_bytes(content.replace(b'SizeZ="4"', b'SizeZ="6"'))

    with pytest.raises(InputError, match=r"missing|cut short"):
        open_volume(tmp_path / "a.ome.tif")


def test_only_nan_is_refused_and_some_nan_is_replaced_and_counted(tmp_path: Path) -> None:
    values = np.arange(5 * 8 * 9, dtype="f4").reshape(5, 8, 9) + 3
    values[2, 3, 4], values[0, 0, 0], values[1, 1, 1] = np.nan, np.inf, -np.inf
    _save(tmp_path / "some.tif", values)
    _save(tmp_path / "all.tif", np.full((5, 8, 9), np.nan, "f4"))

    volume = open_volume(tmp_path / "some.tif")
    checked = check_values(volume)

    smallest = values[np.isfinite(values)].min()
    expected = np.where(np.isfinite(values), values, smallest)
    np.testing.assert_array_equal(volume.data[:, :, :], expected)
    np.testing.assert_array_equal(volume.data[2:3, 3:4, 4:5], [[[smallest]]])
    assert any(note.startswith("3 of 360 voxels are NaN") for note in checked.notes)
    with pytest.raises(InputError, match="no finite voxel"):
        check_values(open_volume(tmp_path / "all.tif"))
    with pytest.raises(InputError, match="no finite voxel"):
        open_volume(tmp_path / "all.tif").data[0:1, :, :]


def test_clean_volumes_pass_the_check_unchanged(tmp_path: Path) -> None:
    _save(tmp_path / "i.tif", np.ones((5, 8, 9), "u2"))
    _save(tmp_path / "f.tif", np.ones((5, 8, 9), "f4"))

    for name in ("i.tif", "f.tif"):
        volume = open_volume(tmp_path / name)
        assert check_values(volume) == volume


@pytest.mark.skipif(
    sys.platform == "win32" or getattr(os, "geteuid", lambda: 1)() == 0,
    reason="permissions do not bind this user",
)
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    _save(tmp_path / "a.tif", np.ones((5, 8, 9), "u2"))
    (tmp_path / "a.tif").chmod(0)

    with pytest.raises(InputError, match="may not be read"):
        open_volume(tmp_path / "a.tif")
