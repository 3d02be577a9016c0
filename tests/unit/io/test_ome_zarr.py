"""OME-Zarr in and out: versions 0.4 and 0.5, levels, labels inside their image."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from cellseg_app.core.errors import Cancelled, InputError, OutputError
from cellseg_app.core.settings import DataSettings
from cellseg_app.io import ome_zarr_layout, ome_zarr_write
from cellseg_app.io.ome_zarr_write import new_ome_zarr
from cellseg_app.io.open import describe, open_volume
from cellseg_app.io.zarr_arrays import HAS_ZARR_3

SPACING = (2.0, 0.8, 0.7)
AXES = [
    {"name": "t", "type": "time", "unit": "second"},
    {"name": "c", "type": "channel"},
    {"name": "z", "type": "space", "unit": "micrometer"},
    {"name": "y", "type": "space", "unit": "nanometer"},
    {"name": "x", "type": "space", "unit": "millimeter"},
]
SCALES = [[1, 1, 2, 500, 0.0005], [1, 1, 2, 1000, 0.001]]


def _multiscales(**extra: Any) -> dict[str, Any]:
    datasets = [
        {"path": f"s{i}", "coordinateTransformations": [{"type": "scale", "scale": scale}]}
        for i, scale in enumerate(SCALES)
    ]
    return {"multiscales": [{"axes": AXES, "datasets": datasets, **extra}]}


def _array(folder: Path, values: np.ndarray, zarr_format: int) -> None:
    options: dict[str, Any] = {"zarr_format": zarr_format} if HAS_ZARR_3 else {}
    array = zarr.open_array(
        str(folder), mode="w", shape=values.shape, chunks=(1, 1, 2, 8, 8), dtype="u2", **options
    )
    array[...] = values


def _version_04(folder: Path, values: np.ndarray) -> None:
    _array(folder / "s0", values, 2)
    _array(folder / "s1", values[..., ::2, ::2], 2)
    (folder / ".zgroup").write_text('{"zarr_format": 2}')
    (folder / ".zattrs").write_text(json.dumps(_multiscales(version="0.4")))


def _version_05(folder: Path, values: np.ndarray) -> None:
    if not HAS_ZARR_3:
        pytest.skip("this zarr writes no format 3")
    _array(folder / "s0", values, 3)
    _array(folder / "s1", values[..., ::2, ::2], 3)
    attributes = {"ome": {"version": "0.5", **_multiscales()}}
    group = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    (folder / "zarr.json").write_text(json.dumps(group))


@pytest.mark.parametrize(("make", "version"), [(_version_04, "0.4"), (_version_05, "0.5")])
def test_both_versions_with_channels_time_points_and_levels(
    tmp_path: Path, make: Any, version: str
) -> None:
    values = np.arange(2 * 3 * 5 * 20 * 16).reshape(2, 3, 5, 20, 16).astype("u2")
    folder = tmp_path / "a.ome.zarr"
    folder.mkdir()
    make(folder, values)

    info = describe(folder)
    volume = open_volume(folder, DataSettings(channel=2, timepoint=1))
    coarse = open_volume(folder, DataSettings(level=1))

    assert (info.kind, info.n_channels, info.n_timepoints) == (f"OME-Zarr {version}", 3, 2)
    assert (info.levels, info.axes, info.dtype) == (2, "TCZYX", "uint16")
    assert volume.name == "a"
    assert volume.spacing_um_zyx == pytest.approx((2, 0.5, 0.5))
    assert coarse.spacing_um_zyx == pytest.approx((2, 1, 1))
    np.testing.assert_array_equal(volume.data[:, :, :], values[1, 2])
    np.testing.assert_array_equal(volume.data[1:3, 5:7, ::3], values[1, 2, 1:3, 5:7, ::3])
    np.testing.assert_array_equal(coarse.data[:, :, :], values[0, 0, :, ::2, ::2])
    with pytest.raises(InputError, match="no resolution level 2"):
        open_volume(folder, DataSettings(level=2))


def test_version_05_on_every_python(data_dir: Path) -> None:
    volume = open_volume(data_dir / "io" / "version_05.zarr", DataSettings(channel=1))

    values = (np.arange(2 * 3 * 8 * 6) % 251).reshape(2, 3, 8, 6)
    np.testing.assert_array_equal(volume.data[:, :, :], values[1])
    np.testing.assert_array_equal(volume.data[1:, 2:5, ::2], values[1, 1:, 2:5, ::2])
    assert volume.data.dtype == np.uint16
    assert volume.spacing_um_zyx == (2, 0.5, 0.5)


def test_the_scale_of_the_whole_image_multiplies_that_of_the_level(tmp_path: Path) -> None:
    _version_04(tmp_path, np.zeros((1, 1, 2, 8, 8), "u2"))
    whole = [{"type": "scale", "scale": [1, 1, 1.5, 2, 2]}]
    (tmp_path / ".zattrs").write_text(
        json.dumps(_multiscales(version="0.4", coordinateTransformations=whole))
    )
    assert open_volume(tmp_path).spacing_um_zyx == pytest.approx((3, 1, 1))


def test_a_scale_without_unit_is_no_size(tmp_path: Path) -> None:
    _version_04(tmp_path, np.zeros((1, 1, 2, 8, 8), "u2"))
    text = (tmp_path / ".zattrs").read_text()
    (tmp_path / ".zattrs").write_text(text.replace(', "unit": "micrometer"', ""))

    volume = open_volume(tmp_path)

    assert volume.spacing_um_zyx is None
    assert any("no length unit: Z 2" in note for note in volume.notes)


@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (lambda d: (d / ".zattrs").write_text("{"), "damaged"),
        (lambda d: (d / ".zattrs").write_text("[]"), "damaged"),
        (lambda d: (d / ".zattrs").write_text('{"multiscales": [{}]}'), "not as specified"),
        (lambda d: (d / ".zattrs").write_text('{"plate": {}}'), "plate"),
        (lambda d: (d / ".zattrs").write_text("{}"), "no OME-Zarr image"),
        (lambda d: (d / "s0" / ".zarray").unlink(), "missing|damaged"),
        (
            lambda d: (d / ".zattrs").write_text(
                (d / ".zattrs").read_text().replace('"s0"', '"../../etc"')
            ),
            "outside",
        ),
    ],
)
def test_damaged_folders_are_refused(tmp_path: Path, break_it: Any, reason: str) -> None:
    folder = tmp_path / "kaputt.zarr"
    folder.mkdir()
    _version_04(folder, np.zeros((1, 1, 2, 8, 8), "u2"))
    break_it(folder)

    with pytest.raises(InputError, match=reason) as caught:
        open_volume(folder)

    assert "kaputt.zarr" in str(caught.value)
    assert caught.value.remedy


def test_a_damaged_chunk_is_refused_when_read(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 60_000, (1, 1, 4, 8, 8)).astype("u2")
    _version_04(tmp_path, values)
    chunk = next(p for p in (tmp_path / "s0").rglob("*") if p.name.endswith("1.0.0"))
    chunk.write_bytes(b"damage")
    data = open_volume(tmp_path).data

    np.testing.assert_array_equal(data[:2, :, :], values[0, 0, :2])
    with pytest.raises(InputError):
        data[2:, :, :]


@settings(max_examples=15, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    kind=st.sampled_from(["image", "labels"]),
)
def test_round_trip_down_to_one_voxel(shape: Any, kind: Any) -> None:
    values = (np.arange(np.prod(shape)).reshape(shape) * 1009).astype("u4")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.zarr"
        with new_ome_zarr(path, shape, dtype="u4", spacing_um_zyx=SPACING, kind=kind) as writer:
            writer.fill(values)
        volume = open_volume(path, allow_2d=True)

        np.testing.assert_array_equal(volume.data[:, :, :], values)
        assert volume.spacing_um_zyx == SPACING


def test_coarser_levels_are_means_of_images(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((8, 10, 12)).astype("f4")
    with new_ome_zarr(
        tmp_path / "a.zarr", values.shape, dtype="f4", spacing_um_zyx=(1, 1, 1)
    ) as writer:
        writer.fill(values)

    coarse = open_volume(tmp_path / "a.zarr", DataSettings(level=1))

    mean = values.reshape(4, 2, 5, 2, 6, 2).mean(axis=(1, 3, 5), dtype="f8")
    np.testing.assert_allclose(coarse.data[:, :, :], mean, rtol=1e-6)
    assert coarse.spacing_um_zyx == (2, 2, 2)


def test_coarser_levels_of_labels_hold_no_new_labels(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 70_001, (8, 10, 12)).astype("u4")
    with new_ome_zarr(
        tmp_path / "a.zarr", labels.shape, dtype="u4", spacing_um_zyx=(4, 1, 1), kind="labels"
    ) as writer:
        writer.fill(labels)

    coarse = open_volume(tmp_path / "a.zarr", DataSettings(level=1))

    assert coarse.spacing_um_zyx == (4, 2, 2)
    np.testing.assert_array_equal(coarse.data[:, :, :], labels[:, ::2, ::2])


def test_labels_join_their_image(tmp_path: Path) -> None:
    image = tmp_path / "a.zarr"
    labels = np.arange(1, 70_001, dtype="u4").reshape(7, 100, 100)
    with new_ome_zarr(
        image, labels.shape, dtype="f4", spacing_um_zyx=SPACING, kind="probability"
    ) as writer:
        writer.fill(np.zeros(labels.shape, "f4"))
    for name in ("cells", "again"):
        with new_ome_zarr(
            image,
            labels.shape,
            dtype="u4",
            spacing_um_zyx=SPACING,
            kind="labels",
            labels_name=name,
        ) as writer:
            writer.fill(labels)

    found = open_volume(image / "labels" / "cells")
    group = zarr.open_group(str(image / "labels"), mode="r").attrs
    names = group["ome"]["labels"] if HAS_ZARR_3 else group["labels"]

    np.testing.assert_array_equal(found.data[:, :, :], labels)
    assert names == ["cells", "again"]
    assert describe(image).shape == labels.shape


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks, and coarser levels, for images of a few thousand voxels."""
    monkeypatch.setattr(ome_zarr_layout, "_SMALLEST_TOP", 8)
    monkeypatch.setattr(ome_zarr_layout, "_CHUNK_VOXELS", 2**10)
    monkeypatch.setattr(ome_zarr_layout, "_MOST_PLANES", 4)
    monkeypatch.setattr(ome_zarr_layout, "_BLOCK_ZYX", (8, 64, 64))
    monkeypatch.setattr(ome_zarr_write, "_COARSENED_ZYX", (3, 20, 20))


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("version", ["0.4", "auto"])
@pytest.mark.parametrize("sharded_from", [2, 2**40])
def test_blocks_written_in_any_order_and_again_give_the_same_image(
    tmp_path: Path, version: Any, sharded_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ome_zarr_layout, "_SHARDED_FROM_VOXELS", sharded_from)
    monkeypatch.setattr(ome_zarr_layout, "_SHARDED_CHUNK_EDGE", 32)
    values = np.random.default_rng(0).random((2, 17, 140, 90)).astype("f4")
    values[:, :, 64:] = 0
    options: dict[str, Any] = {"dtype": "f4", "spacing_um_zyx": SPACING, "version": version}
    with new_ome_zarr(tmp_path / "in_turn.zarr", values.shape, **options) as image:
        image.fill(values)
    with new_ome_zarr(tmp_path / "again.zarr", values.shape, **options) as image:
        for number, level in enumerate(image.levels):
            blocks = level.blocks()
            assert len(blocks) == len(set(map(str, blocks))) > (4 if number == 0 else 1)
            for block in [*reversed(blocks), *blocks[1::3]]:
                image.begin()
                image.write(number, block, values)

    def files(name: str) -> dict[str, bytes]:
        root = tmp_path / name
        found = {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*") if f.is_file()}
        return {path: content for path, content in found.items() if path.count("/") > 0}

    assert files("again.zarr") == files("in_turn.zarr")
    for channel in (0, 1):
        volume = open_volume(tmp_path / "again.zarr", DataSettings(channel=channel))
        np.testing.assert_array_equal(volume.data[:, :, :], values[channel])
    coarse = open_volume(tmp_path / "again.zarr", DataSettings(level=1)).data
    mean = values[0, :, :, :].reshape(17, 70, 2, 45, 2).mean(axis=(2, 4), dtype="f8")
    np.testing.assert_allclose(coarse[:, :, :], mean, rtol=1e-5)
    assert describe(tmp_path / "again.zarr").levels == 6


def test_an_end_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    def start_and_cancel() -> None:
        with new_ome_zarr(tmp_path / "a.zarr", (4, 5, 6), dtype="u2", spacing_um_zyx=None):
            raise Cancelled

    with pytest.raises(Cancelled):
        start_and_cancel()
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.zarr").mkdir()
    with (
        pytest.raises(OutputError, match="exists"),
        new_ome_zarr(tmp_path / "a.zarr", (4, 5, 6), dtype="u2", spacing_um_zyx=None),
    ):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]
