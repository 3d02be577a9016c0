"""Runs shared out over Dask: a cluster started here, and a scheduler with workers that exist."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import psutil
import pytest
import tifffile

pytest.importorskip("distributed")

from cellseg_app.cluster import dask_runner
from cellseg_app.cluster.connect import cluster_at
from cellseg_app.core.blocks import whole
from cellseg_app.core.errors import Cancelled, InputError, UserError
from cellseg_app.core.progress import CancelToken, Progress
from cellseg_app.core.settings import (
    InferenceSettings,
    InstanceSettings,
    OutputSettings,
    RegionSettings,
    RunSettings,
)
from cellseg_app.inference.weights import load_network
from cellseg_app.io import ome_zarr_layout
from cellseg_app.io.ome_zarr_write import OmeZarrImage
from cellseg_app.io.open import open_volume
from cellseg_app.io.tiff_write import write_volume_tiff
from cellseg_app.pipeline import network_stage
from cellseg_app.pipeline.preparing import RunRequest
from cellseg_app.pipeline.remote_blocks import Cluster
from cellseg_app.pipeline.reporting import Reporting
from cellseg_app.pipeline.run_volume import run_volume
from cellseg_app.pipeline.workspace import FOLDER_NAME
from tests.blur_network import write_blur_network
from tests.synthetic_cells import touching_ellipsoids

SHAPE = (140, 150, 140)
METHODS = ("cell-peaks", "voronoi-otsu")
Result = tuple[np.ndarray, str]

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A volume on disk and the weights beside it."""
    folder = tmp_path_factory.mktemp("scene")
    truth = touching_ellipsoids(SHAPE, 250, closeness=0.9, seed=0)
    noise = np.random.default_rng(0).normal(0, 30, SHAPE)
    image = np.clip(200 + 1000 * (truth > 0) + noise, 1, None).astype(np.uint16)
    write_volume_tiff(folder / "v.tif", image, spacing_um_zyx=(1, 1, 1))
    write_blur_network(folder, "blur")
    return folder


def run(
    scene: Path,
    out: Path,
    *,
    method: str = "cell-peaks",
    form: Literal["tif", "zarr"] = "tif",
    region: RegionSettings | None = None,
    cluster: Cluster | None = None,
    report: Reporting | None = None,
) -> Result:
    """Labels and table of a run."""
    settings = RunSettings(
        inference=InferenceSettings(precision="float32"),
        instances=InstanceSettings(method=method),
        output=OutputSettings(format=form),
        region=region or RegionSettings(),
    )
    request = RunRequest(scene / "v.tif", out, settings, datetime.now().astimezone())
    loaded = load_network(scene / "blur.pt")
    result = run_volume(request, loaded, report or Reporting(), cluster)
    assert result.files.labels is not None
    assert result.files.table is not None
    labels = np.asarray(open_volume(result.files.labels).data[whole(SHAPE)])
    return labels, result.files.table.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def alone(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """What one process finds, by method."""
    return {
        method: run(scene, tmp_path_factory.mktemp("alone"), method=method) for method in METHODS
    }


@pytest.fixture(autouse=True)
def _many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_stage, "LAYER_BYTES", 4 * 24 * 128 * 150)
    monkeypatch.setattr(ome_zarr_layout, "_BLOCK_ZYX", (32, 64, 64))


def assert_same(found: Result, expected: Result) -> None:
    np.testing.assert_array_equal(found[0], expected[0])
    # TorchScript rewrites a network after its first passes, and that changes last bits.
    tables = [pd.read_csv(StringIO(table)) for table in (found[1], expected[1])]
    pd.testing.assert_frame_equal(*tables, rtol=1e-4)
    assert expected[0].max() > 100


@contextmanager
def scheduler_with_workers(n: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A real scheduler and worker processes on loopback addresses."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1"]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    processes = [subprocess.Popen([*dask, "--port", str(port), "--no-dashboard"], **quiet)]
    for _ in range(n):
        processes.append(subprocess.Popen([*worker, "--no-nanny", "--no-dashboard"], **quiet))
    try:
        yield address, processes[1:]
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.parametrize("method", METHODS)
def test_workers_of_this_machine_find_the_same_cells(
    scene: Path, alone: dict[str, Result], tmp_path: Path, method: str
) -> None:
    said: list[str] = []
    reports: list[Progress] = []
    with cluster_at("local:2", said.append) as cluster:
        report = Reporting(reports.append)
        assert_same(
            run(scene, tmp_path, method=method, cluster=cluster, report=report), alone[method]
        )
    assert "2 workers" in said[-1]
    network = [report for report in reports if report.stage == "network"]
    assert network[-1].done == network[-1].total > 300


def test_workers_write_the_results_as_one_process_does(
    scene: Path, alone: dict[str, Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(scene, tmp_path / "alone", form="zarr")
    # The process that starts the run must not be able to.
    monkeypatch.setattr(OmeZarrImage, "write", None)
    with cluster_at("local:2", lambda _: None) as cluster:
        found = run(scene, tmp_path / "shared", form="zarr", cluster=cluster)
    assert_same(found, alone["cell-peaks"])
    assert _chunks(tmp_path / "shared") == _chunks(tmp_path / "alone")


def _chunks(out: Path) -> dict[str, bytes]:
    """What lies in the map and in the labels inside it, without metadata."""
    (image,) = out.glob("*.zarr")
    paths = [path for path in image.rglob("*") if path.is_file()]
    assert not [path for path in paths if ".partial" in path.name]
    return {
        str(path.relative_to(image)): path.read_bytes()
        for path in paths
        if path.name not in (".zattrs", "zarr.json")
    }


def test_a_compressed_mask_goes_to_the_workers(scene: Path, tmp_path: Path) -> None:
    inside = np.zeros(SHAPE, np.uint8)
    inside[20:130, 10:140, 10:130] = 1
    tifffile.imwrite(tmp_path / "mask.tif", inside, compression="zlib")
    region = RegionSettings(mask=str(tmp_path / "mask.tif"))
    expected = run(scene, tmp_path / "alone", region=region)
    with cluster_at("local:1", lambda _: None) as cluster:
        found = run(scene, tmp_path / "shared", region=region, form="zarr", cluster=cluster)
    assert_same(found, expected)


@pytest.mark.parametrize(("stage", "form"), [("network", "tif"), ("writing map", "zarr")])
def test_a_scheduler_with_two_workers_of_which_one_is_killed_finds_the_same_cells(
    scene: Path, alone: dict[str, Result], tmp_path: Path, stage: str, form: Literal["tif", "zarr"]
) -> None:
    with scheduler_with_workers(2) as (address, workers):
        killed = threading.Event()

        def kill_one(report: Progress) -> None:
            if report.stage == stage and report.done > 0 and not killed.is_set():
                os.kill(workers[0].pid, signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
                killed.set()

        with cluster_at(address, lambda _: None) as cluster:
            cluster.client.wait_for_workers(2)
            found = run(scene, tmp_path, form=form, cluster=cluster, report=Reporting(kill_one))
            assert cluster.n_workers == 1
        assert killed.is_set()
        assert workers[1].poll() is None
    assert_same(found, alone["cell-peaks"])


def test_a_run_does_not_wait_for_ever_where_no_worker_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dask_runner, "_LOOK_S", 0.3)
    monkeypatch.setattr(dask_runner, "ABSENCE_S", 1)
    with (
        scheduler_with_workers(1) as (address, workers),
        cluster_at(address, lambda _: None) as cluster,
    ):
        results = cluster.map(range(9), abs)
        assert next(results) == 0
        workers[0].kill()
        with pytest.raises(UserError, match="No worker has been there"):
            list(cluster.map(range(9), abs))


def test_a_run_stopped_on_a_cluster_goes_on_without_it(
    scene: Path, alone: dict[str, Result], tmp_path: Path
) -> None:
    cancel = CancelToken()

    def stop(report: Progress) -> None:
        if report.stage == "network" and report.done > 0:
            cancel.cancel()

    with cluster_at("local:1", lambda _: None) as cluster, pytest.raises(Cancelled):
        run(scene, tmp_path, cluster=cluster, report=Reporting(stop, cancel))
    assert [path.name for path in tmp_path.iterdir()] == [FOLDER_NAME]
    reports: list[Progress] = []
    assert_same(run(scene, tmp_path, report=Reporting(reports.append)), alone["cell-peaks"])
    assert next(report for report in reports if report.stage == "network").done > 0


def test_long_tasks_go_to_whoever_is_free_however_short_those_before_were() -> None:
    def sleep(seconds: float) -> int:
        time.sleep(seconds)
        return os.getpid()

    with cluster_at("local:2", lambda _: None) as cluster:
        cluster.client.wait_for_workers(2)
        # The scheduler expects of later tasks that they are as short.
        list(cluster.map(range(200), abs))
        first, *others = cluster.map([4.0, 0.6, 0.6, 0.6], sleep)
    assert first not in others


def test_what_a_user_did_wrong_is_said_as_without_a_cluster() -> None:
    def refuse(item: int) -> int:
        if item == 3:
            raise InputError("It is no volume.", "Give another one.", path="a.tif")
        return item

    with cluster_at("local:1", lambda _: None) as cluster:
        assert list(cluster.map([5, 1, 2], refuse)) == [5, 1, 2]
        with pytest.raises(InputError, match=r"a\.tif: It is no volume\. Give another one\."):
            list(cluster.map([1, 2, 3, 4], refuse))


def test_workers_started_for_a_run_end_with_it() -> None:
    with cluster_at("local:1", lambda _: None):
        children = psutil.Process().children(recursive=True)
        # Python's own helper stays for the next time.
        before = [child for child in children if "resource_tracker" not in str(child.cmdline())]
        assert before
    deadline = time.monotonic() + 10
    while any(child.is_running() for child in before) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [child for child in before if child.is_running()]
