"""Volumes at addresses: read chunk by chunk, refused in plain words."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zarr

from cellseg_app.core.errors import InputError
from cellseg_app.core.settings import DataSettings
from cellseg_app.core.sources import absolute, address_of, as_source, folder_beside, shown
from cellseg_app.io import addresses
from cellseg_app.io.hashing import file_sha256
from cellseg_app.io.inputs import expand_inputs
from cellseg_app.io.naming import volume_name
from cellseg_app.io.ome_zarr_write import new_ome_zarr
from cellseg_app.io.open import describe, open_volume, read_stored
from cellseg_app.io.remote_identity import remote_identity
from cellseg_app.io.zarr_arrays import HAS_ZARR_3
from tests.web_folder import WebFolder, served

SHAPE = (9, 300, 400)
SPACING = (2.0, 0.5, 0.5)


@pytest.mark.parametrize(
    "text", ["https://host/a/b.zarr", "s3://bucket/a.zarr", "memory://a", "gs://b/c"]
)
def test_an_address_stays_one(text: str) -> None:
    source = as_source(text)
    assert address_of(source) == shown(source) == absolute(source) == text
    assert address_of(source / "0") == f"{text}/0"
    assert folder_beside(source) == Path.home()
    assert expand_inputs([text]) == expand_inputs([source]) == [source]
    assert file_sha256(source) == ""


@pytest.mark.parametrize(
    "text", ["/data/a.tif", "C:/data/a.tif", "c:\\data\\a.tif", "a:b.tif", "x"]
)
def test_paths_are_no_addresses(text: str) -> None:
    assert address_of(as_source(text)) is None


def test_file_addresses_are_paths(tmp_path: Path) -> None:
    place = tmp_path / "a b.tif"
    assert as_source(place.as_uri()) == place
    assert volume_name(as_source("https://host/brain.ome.zarr")) == "brain"


@pytest.fixture
def values(tmp_path: Path) -> np.ndarray:
    made = np.random.default_rng(0).integers(0, 999, SHAPE).astype("u2")
    with new_ome_zarr(
        tmp_path / "a.zarr", SHAPE, dtype="u2", spacing_um_zyx=SPACING, version="0.4"
    ) as writer:
        writer.fill(made)
    if HAS_ZARR_3:
        with new_ome_zarr(
            tmp_path / "b.zarr", SHAPE, dtype="u2", spacing_um_zyx=SPACING, version="0.5"
        ) as writer:
            writer.fill(made)
    return made


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebFolder]:
    pytest.importorskip("aiohttp")
    with served(tmp_path) as running:
        yield running


@pytest.mark.parametrize(
    "name",
    ["a.zarr", pytest.param("b.zarr", marks=pytest.mark.skipif(not HAS_ZARR_3, reason="zarr 2"))],
)
def test_a_volume_is_read_over_http(values: np.ndarray, web: WebFolder, name: str) -> None:
    source = as_source(f"{web.address}/{name}")
    info = describe(source)
    assert (info.shape_zyx, info.spacing_um_zyx, info.problem) == (SHAPE, SPACING, "")
    volume = open_volume(source)
    before = len(web.asked)
    np.testing.assert_array_equal(volume.data[2:5, 10:20, 30:40], values[2:5, 10:20, 30:40])
    # One chunk, not the volume.
    assert len(web.asked) - before <= 2
    np.testing.assert_array_equal(volume.data[:, :, :], values)
    coarse = open_volume(source, DataSettings(level=1))
    assert coarse.shape_zyx[1:] == (150, 200)


@pytest.mark.parametrize(
    "name",
    ["a.zarr", pytest.param("b.zarr", marks=pytest.mark.skipif(not HAS_ZARR_3, reason="zarr 2"))],
)
def test_a_web_server_tells_of_a_change(
    values: np.ndarray, web: WebFolder, tmp_path: Path, name: str
) -> None:
    image = read_stored(as_source(f"{web.address}/{name}"))
    before = remote_identity(image)
    assert remote_identity(image) == before
    chunk = next(path for path in (tmp_path / name / "0").rglob("0/0/0") if path.is_file())
    os.utime(chunk, (1e9, 1e9))
    changed = remote_identity(image)
    chunk.unlink()
    assert len({before, changed, remote_identity(image)}) == 3


def test_a_server_that_hiccups_is_not_taken_for_a_change(
    values: np.ndarray, web: WebFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses.time, "sleep", lambda _: None)
    place, names = f"{web.address}/a.zarr/0", ["0/0/0", "9/9/9"]
    there, gone = addresses.told_of(place, names)
    assert there is not None
    assert gone is None
    web.failures = 4
    assert addresses.told_of(place, names) == [there, None]
    web.failures = 99
    with pytest.raises(InputError, match="cannot be read"):
        addresses.told_of(place, names)


@pytest.mark.skipif(not HAS_ZARR_3, reason="zarr 2")
@pytest.mark.parametrize("separator", [".", "/"])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_of_many_chunks_only_some_are_looked_at(
    web: WebFolder, tmp_path: Path, zarr_format: int, separator: str
) -> None:
    name = "default" if zarr_format == 3 else "v2"
    zarr.create_array(
        str(tmp_path / "many.zarr"),
        data=np.ones((9, 5, 6), "u1"),
        chunks=(1, 1, 1),
        zarr_format=zarr_format,
        chunk_key_encoding={"name": name, "separator": separator},
    )
    image = read_stored(as_source(f"{web.address}/many.zarr"))
    web.asked.clear()
    before = remote_identity(image)
    chunks = [path for path in web.asked if not path.endswith(("zarr.json", ".zarray"))]
    assert len(chunks) == len(set(chunks)) == 64
    assert len(web.asked) <= 64 + 2
    assert all((tmp_path / path[1:]).is_file() for path in chunks)
    os.utime(tmp_path / chunks[0][1:], (1e9, 1e9))
    assert remote_identity(image) != before


def test_a_volume_is_read_from_any_file_system_of_fsspec(
    values: np.ndarray, tmp_path: Path
) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.put(str(tmp_path / "a.zarr"), "/bucket/a.zarr", recursive=True)
    try:
        volume = open_volume(as_source("memory://bucket/a.zarr"))
        np.testing.assert_array_equal(volume.data[:, :, :], values)
    finally:
        memory.rm("/bucket", recursive=True)


def test_a_server_that_hiccups_costs_no_run(
    values: np.ndarray, web: WebFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = open_volume(as_source(f"{web.address}/a.zarr"))
    monkeypatch.setattr(addresses.time, "sleep", lambda _: None)
    web.failures = 2
    np.testing.assert_array_equal(volume.data[:1, :9, :9], values[:1, :9, :9])
    web.failures = 99
    with pytest.raises(InputError, match="cannot be read"):
        volume.data[:1, :9, :9]


@pytest.mark.parametrize(
    ("name", "said"),
    [("nothing.zarr", "no OME-Zarr at this address"), ("secret.zarr", "may not be read")],
)
def test_what_is_not_there_is_said(web: WebFolder, name: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        open_volume(as_source(f"{web.address}/{name}"))
    assert f"{web.address}/{name}" in str(caught.value)


def test_a_place_that_does_not_answer_is_said() -> None:
    pytest.importorskip("aiohttp")
    with pytest.raises(InputError, match="Check the address and the connection"):
        open_volume(as_source("http://127.0.0.1:9/a.zarr"))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from fsspec.registry import _registry

    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    # As if nothing of it had been loaded before either.
    monkeypatch.delitem(_registry, "s3", raising=False)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(InputError, match=r"need the package s3fs.*cellseg-app\[remote\]"):
        open_volume(as_source("s3://bucket/a.zarr"))


def test_an_unknown_kind_of_address_is_said() -> None:
    with pytest.raises(InputError, match="quux:// are not known"):
        open_volume(as_source("quux://bucket/a.zarr"))


def test_an_image_cannot_name_arrays_elsewhere(values: np.ndarray, web: WebFolder) -> None:
    source = as_source(f"{web.address}/a.zarr")
    from cellseg_app.io.ome_zarr import _inside

    for name in ("../b.zarr/0", "/etc", "http://127.0.0.1:9/x", "."):
        with pytest.raises(ValueError, match="outside"):
            _inside(source, name)
    assert _inside(source, "0") == source / "0"
