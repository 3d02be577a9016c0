"""Runs of volumes in S3, asked of a real server of that protocol on loopback."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("moto")
pytest.importorskip("s3fs")

from cellseg_app.core.blocks import whole
from cellseg_app.core.errors import Cancelled
from cellseg_app.core.progress import CancelToken, Progress
from cellseg_app.core.settings import DataSettings, InferenceSettings, OmeVersion, RunSettings
from cellseg_app.core.sources import as_source
from cellseg_app.inference.weights import load_network
from cellseg_app.io import remote_identity, zarr_arrays
from cellseg_app.io.ome_zarr_write import new_ome_zarr
from cellseg_app.io.open import open_volume, read_stored
from cellseg_app.io.zarr_arrays import HAS_ZARR_3
from cellseg_app.pipeline.preparing import RunRequest
from cellseg_app.pipeline.reporting import Reporting
from cellseg_app.pipeline.run_volume import run_volume
from tests.e2e.conftest import Command, Outcome
from tests.s3_server import S3Server, s3_server
from tests.simulated_volume import crowded_volume

EDGE = 48
FORMATS: list[object] = [
    "0.4",
    pytest.param("0.5", marks=pytest.mark.skipif(not HAS_ZARR_3, reason="zarr 2")),
]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    # What a server that is gone costs is asked elsewhere.
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with s3_server(monkeypatch) as running:
        yield running


@pytest.fixture(scope="module")
def simulated() -> np.ndarray:
    return crowded_volume(EDGE)[0]


def in_bucket(
    server: S3Server,
    folder: Path,
    image: np.ndarray,
    version: OmeVersion = "0.4",
    *,
    public: bool = False,
) -> str:
    """Write an image with a pyramid into a folder, and the same into S3; returns its address."""
    with new_ome_zarr(
        folder / "brain.zarr", image.shape, dtype="u2", spacing_um_zyx=(1, 1, 1), version=version
    ) as out:
        out.fill(image)
    server.put(folder, "lab", public=public)
    return "s3://lab/brain.zarr"


def result(outcome: Outcome) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Labels, map and table of a run that went well."""
    assert outcome.code == 0, outcome.errors
    files = json.loads(outcome.record.read_text(encoding="utf-8"))["files"]
    folder = outcome.record.parent
    images = [open_volume(folder / files[kind]).data for kind in ("labels", "probability")]
    labels, probability = (np.asarray(image[whole(image.shape)]) for image in images)
    return labels, probability, pd.read_csv(folder / files["table"])


@pytest.mark.parametrize("version", FORMATS)
@pytest.mark.parametrize("level", [0, 1])
def test_a_volume_in_s3_gives_the_cells_of_the_same_volume_on_disk(
    cellseg: Command,
    server: S3Server,
    simulated: np.ndarray,
    tmp_path: Path,
    version: OmeVersion,
    level: int,
) -> None:
    address = in_bucket(server, tmp_path / "disk", simulated, version)
    server.asked.clear()
    assert cellseg("info", address).of("result")[0]["file"] == address
    assert all(Path(path).name[0] in ".z" for path in server.asked), "no voxels"
    assert len(server.asked) <= 10
    volume = open_volume(address, DataSettings(level=level))
    server.asked.clear()
    assert volume.data[:1, :1, :1].size == len(server.asked) == 1, "a request for a chunk"
    common = ("--model", "SegResNet", "--diameter", "none", "--level", level, "-o")
    server.asked.clear()
    remote = cellseg("run", address, *common, tmp_path / "remote")
    chunks = {path for path in server.asked if Path(path).name.isdecimal()}
    assert chunks
    assert all(path.startswith(f"/lab/brain.zarr/{level}/") for path in chunks)
    expected = result(cellseg("run", tmp_path / "disk" / "brain.zarr", *common, tmp_path / "local"))
    labels, probability, table = result(remote)
    np.testing.assert_array_equal(labels, expected[0])
    np.testing.assert_array_equal(probability, expected[1])
    pd.testing.assert_frame_equal(table, expected[2])
    assert len(table) > (15 if level == 0 else 3)
    record = json.loads(remote.record.read_text(encoding="utf-8"))
    assert record["input"]["path"] == address


def test_an_account_is_needed_only_where_it_is_asked_for(
    cellseg: Command, server: S3Server, simulated: np.ndarray, tmp_path: Path
) -> None:
    address = in_bucket(server, tmp_path / "disk", simulated, public=True)
    server.log_in(None, None)
    assert cellseg("info", address).code == 0
    server.log_in("anybody", "anything")
    account = server.ask_for_account()
    assert cellseg("info", address).code == 2
    server.log_in(*account)
    assert cellseg("info", address).code == 0


def test_python_3_10_asks_the_same_server_for_format_3(server: S3Server, tmp_path: Path) -> None:
    tensorstore = pytest.importorskip("tensorstore", reason="only Python 3.10 needs it")
    values = np.arange(60, dtype="u2").reshape(3, 4, 5)
    place = {"driver": "file", "path": str(tmp_path / "disk" / "brain.zarr" / "0")}
    spec = {"driver": "zarr3", "kvstore": place, "create": True, "dtype": "uint16"}
    tensorstore.open(spec, shape=values.shape).result().write(values).result()
    server.put(tmp_path / "disk", "lab")
    there = zarr_arrays._place_for_tensorstore("s3://lab/brain.zarr/0")
    array = zarr_arrays._TensorstoreArray(there)
    np.testing.assert_array_equal(array[whole(values.shape)], values)


def nothing(server: S3Server, folder: Path) -> None:
    # The same is put there once more.
    place = {"Bucket": "lab", "Key": "brain.zarr/0/0/0/0"}
    server.client().put_object(**place, Body=server.client().get_object(**place)["Body"].read())


def a_chunk(server: S3Server, folder: Path) -> None:
    server.client().delete_object(Bucket="lab", Key="brain.zarr/0/0/0/0")


def the_voxel_size(server: S3Server, folder: Path) -> None:
    place = {"Bucket": "lab", "Key": "brain.zarr/.zattrs"}
    told = server.client().get_object(**place)["Body"].read().decode()
    other = re.sub(r'(?<="scale": \[)\s*1.0', "2.0", told, count=1)
    assert other != told
    server.client().put_object(**place, Body=other.encode())


def all_voxels(server: S3Server, folder: Path) -> None:
    in_bucket(server, folder, crowded_volume(EDGE, seed=1)[0])


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("change", [nothing, a_chunk, the_voxel_size, all_voxels])
def test_a_run_is_taken_up_only_where_the_volume_is_still_the_same(
    server: S3Server,
    simulated: np.ndarray,
    network: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[S3Server, Path], None],
    listed: bool,
) -> None:
    if not listed:
        monkeypatch.setattr(remote_identity, "_MOST_LISTED", 0)
    source = as_source(in_bucket(server, tmp_path / "disk", simulated))
    said: list[str] = []
    cancel = CancelToken()

    def stop(report: Progress) -> None:
        if report.stage == "network" and report.done > 4:
            cancel.cancel()

    def run(out: str, report: Reporting) -> np.ndarray:
        settings = RunSettings(inference=InferenceSettings(overlap=0, batch=1))
        request = RunRequest(source, tmp_path / out, settings, datetime.now().astimezone())
        found = run_volume(request, load_network(network), report).files.labels
        assert found is not None
        return np.asarray(open_volume(found).data[whole(simulated.shape)])

    with pytest.raises(Cancelled):
        run("out", Reporting(stop, cancel))
    change(server, tmp_path / "other")
    resumed = run("out", Reporting(notify=said.append))
    np.testing.assert_array_equal(resumed, run("anew", Reporting()))
    assert any("taken up" in note for note in said) == (change is nothing)


def test_few_requests_tell_whether_a_volume_is_still_the_same(
    server: S3Server, simulated: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = as_source(in_bucket(server, tmp_path / "disk", simulated))
    image = read_stored(source)
    server.asked.clear()
    first = remote_identity.remote_identity(image)
    assert len(server.asked) <= 3
    monkeypatch.setattr(remote_identity, "_MOST_LISTED", 0)
    monkeypatch.setattr(remote_identity, "_SAMPLES", 1)
    server.asked.clear()
    assert remote_identity.remote_identity(image) != first
    assert len(server.asked) <= 3


def no_bucket(server: S3Server, address: str) -> str:
    return address.replace("//lab/", "//laboratory/")


def no_key(server: S3Server, address: str) -> str:
    return address.replace("brain", "brian")


def no_account(server: S3Server, address: str) -> str:
    server.log_in(None, None)
    return address


def wrong_account(server: S3Server, address: str) -> str:
    server.ask_for_account()
    return address


def wrong_secret(server: S3Server, address: str) -> str:
    key, _ = server.ask_for_account()
    server.log_in(key, "guessed")
    return address


def gone(server: S3Server, address: str) -> str:
    server.stop()
    return address


def gone_in_the_middle(server: S3Server, address: str) -> str:
    def stop_at_a_chunk(path: str) -> None:
        if path.endswith("/0/1/0/0"):
            server.stop()

    server.on_request = stop_at_a_chunk
    return address


@pytest.mark.parametrize(
    ("spoil", "said", "remedy"),
    [
        (no_bucket, "There is no OME-Zarr at this address", "Check the address"),
        (no_key, "There is no OME-Zarr at this address", "AWS_ENDPOINT_URL"),
        (no_account, "It may not be read .*Forbidden", "AWS_ACCESS_KEY_ID"),
        (wrong_account, "It may not be read .*Key", "AWS_ACCESS_KEY_ID"),
        (wrong_secret, "It may not be read .*signature", "AWS_SECRET_ACCESS_KEY"),
        (gone, "It cannot be read .*connect", "Check the address, the connection"),
        (gone_in_the_middle, "It cannot be read", "Check the address, the connection"),
    ],
)
def test_a_volume_that_s3_does_not_give_is_named_and_the_next_one_is_done(
    cellseg: Command,
    server: S3Server,
    simulated: np.ndarray,
    volume_file: Path,
    network: Path,
    tmp_path: Path,
    spoil: Callable[[S3Server, str], str],
    said: str,
    remedy: str,
) -> None:
    address = spoil(server, in_bucket(server, tmp_path / "disk", simulated))
    out = tmp_path / "out"
    outcome = cellseg("run", address, volume_file, "--weights", network, "-o", out)
    assert outcome.code == 3
    (failure,) = outcome.of("error")
    assert (failure["file"], failure["bug"]) == (address, False)
    assert address in failure["text"]
    assert outcome.of("result")[0]["file"] == str(volume_file)
    assert outcome.record.is_file()
    (row,) = pd.read_csv(out / "errors.csv").to_dict("records")
    assert row["file"] == address
    assert re.search(said, row["problem"])
    assert remedy in row["remedy"]
