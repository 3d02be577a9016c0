"""What is written holds by the specification, as a public validator reads it; any codec is read."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from cellseg_app.core.settings import DataSettings, OmeVersion
from cellseg_app.io import ome_zarr_layout
from cellseg_app.io.ome_zarr_write import new_ome_zarr
from cellseg_app.io.open import describe, open_volume
from cellseg_app.io.zarr_arrays import HAS_ZARR_3
from cellseg_app.pipeline.image_files import open_probability

SPACING = (2.0, 0.5, 0.25)
SHAPE = (12, 70, 90)

needs_zarr_3 = pytest.mark.skipif(not HAS_ZARR_3, reason="this zarr knows no format 3")
VERSIONS = [pytest.param("0.4"), pytest.param("0.5", marks=needs_zarr_3)]


@pytest.fixture
def small_pyramid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Coarser levels and shards for images of a few thousand voxels too."""
    monkeypatch.setattr(ome_zarr_layout, "_SMALLEST_TOP", 16)
    monkeypatch.setattr(ome_zarr_layout, "_SHARDED_FROM_VOXELS", 30_000)
    monkeypatch.setattr(ome_zarr_layout, "_BLOCK_ZYX", (8, 64, 64))
    monkeypatch.setattr(ome_zarr_layout, "_SHARDED_CHUNK_EDGE", 32)


def _write(path: Path, values: np.ndarray, kind: Any, version: OmeVersion, **options: Any) -> None:
    options = {"dtype": values.dtype, "spacing_um_zyx": SPACING, **options}
    with new_ome_zarr(path, values.shape, kind=kind, version=version, **options) as writer:
        writer.fill(values)


def _written(tmp_path: Path, version: OmeVersion, n_classes: int = 0) -> Path:
    """A probability map with labels inside, as a run writes it."""
    path = tmp_path / "map.zarr"
    shape = (n_classes, *SHAPE) if n_classes else SHAPE
    _write(path, np.random.default_rng(0).random(shape).astype("f2"), "probability", version)
    labels = np.random.default_rng(1).integers(0, 9, SHAPE).astype("u4")
    _write(path, labels, "labels", version, labels_name="cells")
    return path


def _ome(path: Path) -> dict[str, Any]:
    if (path / ".zattrs").exists():
        found: dict[str, Any] = json.loads((path / ".zattrs").read_text())
        return found
    metadata = json.loads((path / "zarr.json").read_text())
    assert metadata["node_type"] == "group"
    found = metadata["attributes"]["ome"]
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("n_classes", [0, 2])
@pytest.mark.usefixtures("small_pyramid")
def test_a_public_validator_accepts_images_and_labels(
    tmp_path: Path, version: OmeVersion, n_classes: int
) -> None:
    yaozarrs = pytest.importorskip("yaozarrs")
    path = _written(tmp_path, version, n_classes)
    for part in ("", "labels/cells"):
        valid = yaozarrs.validate_zarr_store(str(path / part))
        assert valid.ome_version() == version
        assert len(_ome(path / part)["multiscales"][0]["datasets"]) > 2
    assert _ome(path / "labels")["labels"] == ["cells"]
    if version == "0.5":
        yaozarrs.validate_zarr_store(str(path / "labels"))
    assert _ome(path / "labels" / "cells")["image-label"]["source"] == {"image": "../../"}
    # It does look: a level that is not there, or a label that is no integer, is told.
    shutil.rmtree(path / "1")
    with pytest.raises(ValueError, match=r"1"):
        yaozarrs.validate_zarr_store(str(path))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["labels", "probability"])
def test_a_public_validator_accepts_what_stands_alone(
    tmp_path: Path, version: OmeVersion, kind: str
) -> None:
    yaozarrs = pytest.importorskip("yaozarrs")
    dtype = "u8" if kind == "labels" else "u1"
    _write(tmp_path / "a.zarr", np.ones(SHAPE, "u4"), kind, version, dtype=dtype)
    yaozarrs.validate_zarr_store(str(tmp_path / "a.zarr"))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.usefixtures("small_pyramid")
def test_other_programs_find_axes_units_and_places(tmp_path: Path, version: OmeVersion) -> None:
    path = _written(tmp_path, version, n_classes=2)
    attributes = _ome(path)
    multiscale = attributes["multiscales"][0]
    assert attributes.get("version", multiscale.get("version")) == version
    assert multiscale["axes"] == [
        {"name": "c", "type": "channel"},
        *({"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"),
    ]
    for number, dataset in enumerate(multiscale["datasets"]):
        scale, *shift = dataset["coordinateTransformations"]
        array = zarr.open_array(str(path / dataset["path"]), mode="r")
        extent = [n * s for n, s in zip(array.shape[1:], scale["scale"][1:], strict=True)]
        covered = [n * um for n, um in zip(SHAPE, SPACING, strict=True)]
        # A level whose size was rounded up sticks out by less than a voxel.
        for a, b, s in zip(extent, covered, scale["scale"][1:], strict=True):
            assert b <= a < b + s
        if number:
            middle = [(s - um) / 2 for s, um in zip(scale["scale"][1:], SPACING, strict=True)]
            assert shift[0]["translation"][1:] == pytest.approx(middle)
        else:
            assert not shift
    for name in ("map.zarr", "map.zarr/labels/cells"):
        kept = open_volume(tmp_path / name)
        assert kept.spacing_um_zyx == SPACING
        assert kept.shape_zyx == SHAPE


@pytest.mark.parametrize("version", VERSIONS)
def test_chunks_lie_where_the_specification_wants_them(tmp_path: Path, version: OmeVersion) -> None:
    path = _written(tmp_path, version)
    if version == "0.5":
        metadata = json.loads((path / "0" / "zarr.json").read_text())
        assert metadata["dimension_names"] == ["z", "y", "x"]
        assert (path / "0" / "c" / "0" / "0" / "0").is_file()
    else:
        assert json.loads((path / "0" / ".zarray").read_text())["dimension_separator"] == "/"
        assert (path / "0" / "0" / "0" / "0").is_file()


@needs_zarr_3
@pytest.mark.usefixtures("small_pyramid")
def test_large_images_put_many_chunks_into_a_file(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(1, 999, SHAPE).astype("u2")
    _write(tmp_path / "a.zarr", values, "image", "0.5")
    array = zarr.open_array(str(tmp_path / "a.zarr" / "0"), mode="r")
    assert (array.chunks, array.shards) == ((12, 32, 32), (12, 64, 64))
    files = [p for p in (tmp_path / "a.zarr" / "0" / "c").rglob("*") if p.is_file()]
    assert len(files) == math.ceil(70 / 64) * math.ceil(90 / 64)
    np.testing.assert_array_equal(open_volume(tmp_path / "a.zarr").data[:, :, :], values)
    coarse = open_volume(tmp_path / "a.zarr", DataSettings(level=1))
    assert coarse.data[:, :, :].mean() == pytest.approx(values.mean(), rel=0.01)


def test_what_is_empty_takes_no_room(tmp_path: Path) -> None:
    values = np.zeros((40, 600, 600), "u4")
    values[:, :10, :10] = 7
    _write(tmp_path / "a.zarr", values, "labels", "auto")
    files = [p for p in (tmp_path / "a.zarr" / "0").rglob("*") if p.is_file() and p.name[0] != "."]
    n_metadata = 1 if HAS_ZARR_3 else 0
    assert len(files) - n_metadata == 2
    np.testing.assert_array_equal(open_volume(tmp_path / "a.zarr").data[:, :, :], values)


def test_ids_beyond_32_bits_are_kept(tmp_path: Path) -> None:
    values = np.array([[[0, 2**33 + 1, 5]]], "u8")
    _write(tmp_path / "a.zarr", values, "labels", "auto")
    data = open_volume(tmp_path / "a.zarr", allow_2d=True).data
    assert data.dtype == np.uint64
    np.testing.assert_array_equal(data[:, :, :], values)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("n_classes", [0, 2])
def test_maps_of_bytes_come_back_as_probabilities(
    tmp_path: Path, version: OmeVersion, n_classes: int
) -> None:
    shape = (n_classes, *SHAPE) if n_classes else SHAPE
    values = np.random.default_rng(0).random(shape).astype("f2")
    values[..., 0, 0, :2] = 0, 1
    _write(tmp_path / "a.zarr", values, "probability", version, dtype="u1")
    assert describe(tmp_path / "a.zarr").dtype == "uint8"
    found, spacing = open_probability(tmp_path / "a.zarr")
    region = tuple(slice(0, n) for n in found.shape)
    assert found[region].dtype == np.float32
    np.testing.assert_allclose(found[region].reshape(shape), values, atol=0.51 / 255)
    assert found[region][0, 0, 0, :2].tolist() == [0, 1]
    assert spacing == SPACING


def _v2(compressor: Any) -> dict[str, Any]:
    return {"zarr_format": 2, "compressors": compressor}


@needs_zarr_3
@pytest.mark.parametrize(
    "codec",
    ["v2 none", "v2 zlib", "v2 lz4", "v2 blosc", "v2 zstd", "v3 none", "v3 gzip", "v3 zstd",
     "v3 blosc", "v3 sharded", "v3 big-endian"],
)  # fmt: skip
def test_any_codec_is_read(tmp_path: Path, codec: str) -> None:
    import numcodecs

    codecs: dict[str, dict[str, Any]] = {
        "v2 none": _v2(None),
        "v2 zlib": _v2(numcodecs.Zlib(5)),
        "v2 lz4": _v2(numcodecs.LZ4()),
        "v2 blosc": _v2(numcodecs.Blosc("lz4", 5, numcodecs.Blosc.BITSHUFFLE)),
        "v2 zstd": _v2(numcodecs.Zstd()),
        "v3 none": {"compressors": None},
        "v3 gzip": {"compressors": zarr.codecs.GzipCodec()},
        "v3 zstd": {"compressors": zarr.codecs.ZstdCodec()},
        "v3 blosc": {"compressors": zarr.codecs.BloscCodec(cname="lz4hc")},
        "v3 sharded": {"shards": (10, 40, 60), "compressors": zarr.codecs.ZstdCodec()},
        "v3 big-endian": {"serializer": zarr.codecs.BytesCodec(endian="big")},
    }
    values = np.random.default_rng(0).integers(0, 60_000, SHAPE).astype("u2")
    array = zarr.create_array(
        str(tmp_path / "a.zarr" / "0"),
        shape=SHAPE,
        chunks=(5, 20, 30),
        dtype="u2",
        **codecs[codec],
    )
    array[:] = values
    scale = [{"type": "scale", "scale": list(SPACING)}]
    ome = {
        "multiscales": [
            {
                "axes": [{"name": a, "type": "space", "unit": "micrometer"} for a in "zyx"],
                "datasets": [{"path": "0", "coordinateTransformations": scale}],
            }
        ]
    }
    from cellseg_app.io.zarr_arrays import write_group

    write_group(tmp_path / "a.zarr", ome, "0.4" if codec.startswith("v2") else "0.5")
    volume = open_volume(tmp_path / "a.zarr")
    np.testing.assert_array_equal(volume.data[3:9, 10:50, 20:80], values[3:9, 10:50, 20:80])
    assert volume.spacing_um_zyx == SPACING
