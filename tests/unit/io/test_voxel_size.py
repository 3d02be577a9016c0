"""The voxel size comes from the file's own words, in µm, and is never made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from cellseg_app.core.settings import DataSettings
from cellseg_app.io.lengths import um_per_unit
from cellseg_app.io.open import describe, open_volume

VALUES = np.zeros((4, 6, 8), "u2")


def _imagej(path: Path, resolution: tuple[float, float], **metadata: Any) -> Path:
    tifffile.imwrite(
        path, VALUES, imagej=True, resolution=resolution, metadata={"axes": "ZYX", **metadata}
    )
    return path


def _ome(path: Path, **metadata: Any) -> Path:
    tifffile.imwrite(path, VALUES, ome=True, metadata={"axes": "ZYX", **metadata})
    return path


@pytest.mark.parametrize(
    ("unit", "um"),
    [
        ("um", 1),
        ("micron", 1),
        ("Microns", 1),
        ("micrometer", 1),
        ("micrometre", 1),
        ("µm", 1),
        ("μm", 1),
        ("\\u00B5m", 1),
        ("\\u00C2\\u00B5m", 1),
        ("Âµm", 1),
        ("nm", 1e-3),
        ("nanometer", 1e-3),
        ("mm", 1e3),
        ("cm", 1e4),
        ("m", 1e6),
        ("inch", 25400),
        ("in", 25400),
        ("Å", 1e-4),
        ("angstrom", 1e-4),
        ("pixel", None),
        ("pixels", None),
        ("reference frame", None),
        ("", None),
        ("sec", None),
    ],
)
def test_units(unit: str, um: float | None) -> None:
    found = um_per_unit(unit)
    assert found == (None if um is None else pytest.approx(um))


@pytest.mark.parametrize("unit", ["um", "micron", "\\u00B5m"])
def test_imagej_sizes(tmp_path: Path, unit: str) -> None:
    path = _imagej(tmp_path / "a.tif", (1 / 0.8, 1 / 0.4), unit=unit, spacing=2.5)
    assert open_volume(path).spacing_um_zyx == pytest.approx((2.5, 0.4, 0.8))


def test_imagej_sizes_in_other_units(tmp_path: Path) -> None:
    path = _imagej(tmp_path / "a.tif", (1 / 250, 1 / 250), unit="nm", spacing=1000)
    assert open_volume(path).spacing_um_zyx == pytest.approx((1.0, 0.25, 0.25))


@pytest.mark.parametrize(
    ("name", "spacing"),
    [
        ("depth_one", (1.0, 0.25, 0.5)),
        ("micro_sign", (2.0, 0.5, 0.5)),
        ("hyperstack", (2.0, 0.5, 0.5)),
        ("no_size", None),
    ],
)
def test_sizes_written_by_imagej_itself(
    data_dir: Path, name: str, spacing: tuple[float, float, float] | None
) -> None:
    found = open_volume(data_dir / "io" / f"imagej_{name}.tif").spacing_um_zyx
    assert found == (spacing if spacing is None else pytest.approx(spacing))


def test_ome_sizes_and_their_units(tmp_path: Path) -> None:
    path = _ome(
        tmp_path / "a.ome.tif",
        PhysicalSizeX=200,
        PhysicalSizeXUnit="nm",
        PhysicalSizeY=0.3,
        PhysicalSizeZ=0.0015,
        PhysicalSizeZUnit="mm",
    )
    assert open_volume(path).spacing_um_zyx == pytest.approx((1.5, 0.3, 0.2))


@pytest.mark.parametrize("unit", ["pixel", "reference frame"])
def test_ome_sizes_that_are_no_lengths(tmp_path: Path, unit: str) -> None:
    sizes: dict[str, object] = {}
    for axis in "XYZ":
        sizes |= {f"PhysicalSize{axis}": 1, f"PhysicalSize{axis}Unit": unit}
    volume = open_volume(_ome(tmp_path / "a.ome.tif", **sizes))

    assert volume.spacing_um_zyx is None
    assert any("no known length" in note for note in volume.notes)


def test_the_size_belongs_to_the_image_that_is_taken(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as tif:
        for shape, size in (((6, 8), 9.0), ((4, 6, 8), 0.5)):
            sizes = {f"PhysicalSize{axis}": size for axis in "XYZ"}
            tif.write(np.zeros(shape, "u2"), metadata={"axes": "ZYX"[-len(shape) :], **sizes})

    assert open_volume(tmp_path / "a.ome.tif").spacing_um_zyx == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("size", [0, -0.5, 1e-7, 5000, float("nan"), float("inf")])
def test_absurd_sizes_are_reported_and_not_used(tmp_path: Path, size: float) -> None:
    path = _ome(tmp_path / "a.ome.tif", PhysicalSizeX=1, PhysicalSizeY=1, PhysicalSizeZ=size)
    volume = open_volume(path)

    assert volume.spacing_um_zyx is None
    assert any("not believable" in note and "along Z" in note for note in volume.notes)


def test_a_size_without_z_is_reported_and_not_filled_in(tmp_path: Path) -> None:
    volume = open_volume(_ome(tmp_path / "a.ome.tif", PhysicalSizeX=0.5, PhysicalSizeY=0.5))

    assert volume.spacing_um_zyx is None
    assert any("not along Z" in note for note in volume.notes)


def test_no_size_is_reported(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", VALUES, photometric="minisblack")
    volume = open_volume(tmp_path / "a.tif")

    assert volume.spacing_um_zyx is None
    assert "The file states no voxel size." in volume.notes


@pytest.mark.parametrize(
    ("unit", "dots"), [("INCH", 72), ("INCH", 96), ("INCH", 300), ("CENTIMETER", 28.3465)]
)
def test_screen_resolutions_are_no_voxel_sizes(tmp_path: Path, unit: str, dots: float) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif",
        VALUES,
        photometric="minisblack",
        resolution=(dots, dots),
        resolutionunit=unit,
    )
    volume = open_volume(tmp_path / "a.tif")

    assert volume.spacing_um_zyx is None
    assert any("dots per inch" in note for note in volume.notes)


def test_plain_resolution_tags_say_nothing_of_z(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif",
        VALUES,
        photometric="minisblack",
        resolution=(20000, 20000),
        resolutionunit="CENTIMETER",
    )
    notes = describe(tmp_path / "a.tif").notes

    assert any("Y 0.5, X 0.5 µm, not along Z" in note for note in notes)


def test_the_users_size_wins_and_is_said(tmp_path: Path) -> None:
    path = _imagej(tmp_path / "a.tif", (1, 1), unit="um", spacing=3)
    given = DataSettings(voxel_size_um_zyx=(2, 0.8, 0.8))

    volume = open_volume(path, given)

    assert volume.spacing_um_zyx == (2, 0.8, 0.8)
    assert any("replaces the file's 3 × 1 × 1 µm" in note for note in volume.notes)


def test_a_damaged_description_costs_only_the_size(tmp_path: Path) -> None:
    path = _ome(tmp_path / "a.ome.tif", PhysicalSizeX=0.5, PhysicalSizeY=0.5, PhysicalSizeZ=2)
    content = path.read_bytes()
    path.write_bytes(content.replace(b'PhysicalSizeX="0.5"', b'PhysicalSizeX="o.5"'))

    volume = open_volume(path)

    assert volume.spacing_um_zyx is None
    assert volume.data.shape == (4, 6, 8)
