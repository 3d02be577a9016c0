"""Runs of volumes that are worked on in blocks, as the small ones here are made to be."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest

from cellseg_app.analysis import instances, numbering
from cellseg_app.analysis.blockwise import all_cores
from cellseg_app.analysis.instances import cell_peaks
from cellseg_app.analysis.instances.job import InstanceJob
from cellseg_app.analysis.instances.landscape import Landscape
from cellseg_app.core.blocks import Region, block_regions, whole
from cellseg_app.core.errors import Cancelled, SettingsError
from cellseg_app.core.progress import CancelToken, Progress
from cellseg_app.core.settings import (
    InferenceSettings,
    InstanceSettings,
    OutputSettings,
    RunSettings,
)
from cellseg_app.inference.emptiness import EmptyWindows
from cellseg_app.inference.weights import load_network
from cellseg_app.io import ome_zarr_layout
from cellseg_app.io.chunked import CHUNK_ZYX
from cellseg_app.io.ome_zarr_write import new_ome_zarr
from cellseg_app.io.open import open_volume
from cellseg_app.io.run_record import read_record
from cellseg_app.io.tiff_write import write_volume_tiff
from cellseg_app.pipeline import cell_places, network_stage, preparing
from cellseg_app.pipeline.preparing import RunRequest
from cellseg_app.pipeline.reporting import Reporting
from cellseg_app.pipeline.run_volume import run_volume
from cellseg_app.pipeline.workspace import FOLDER_NAME
from tests.blur_network import write_blur_network
from tests.synthetic_cells import touching_ellipsoids

SHAPE = (150, 140, 270)
METHODS = ("cell-peaks", "watershed", "connected-components", "voronoi-otsu")
Result = tuple[np.ndarray, str]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A volume on disk, of which one side was never imaged, and the weights beside it."""
    folder = tmp_path_factory.mktemp("scene")
    truth = touching_ellipsoids(SHAPE, 400, closeness=0.9, seed=0)
    noise = np.random.default_rng(0).normal(0, 30, SHAPE)
    image = np.clip(200 + 1000 * (truth > 0) + noise, 1, None).astype(np.uint16)
    image[:, :, 180:] = 0
    write_volume_tiff(folder / "v.tif", image, spacing_um_zyx=(1, 1, 1))
    write_blur_network(folder, "blur")
    return folder


def run(
    scene: Path,
    out: Path,
    *,
    method: str = "cell-peaks",
    form: Literal["tif", "zarr"] = "tif",
    report: Reporting | None = None,
) -> Result:
    """Labels and table of a run."""
    settings = RunSettings(
        inference=InferenceSettings(precision="float32"),
        instances=InstanceSettings(method=method),
        output=OutputSettings(format=form),
    )
    request = RunRequest(scene / "v.tif", out, settings, datetime.now().astimezone())
    result = run_volume(request, load_network(scene / "blur.pt"), report or Reporting())
    assert result.files.labels is not None
    assert result.files.table is not None
    labels = np.asarray(open_volume(result.files.labels).data[whole(SHAPE)])
    return labels, result.files.table.read_text(encoding="utf-8")


@pytest.fixture
def in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Volumes of this size count as large: two blocks for the network, eighteen for the cells."""
    monkeypatch.setattr(network_stage, "MOST_FLAT_VOXELS", 0)
    monkeypatch.setattr(network_stage, "LAYER_BYTES", 4 * 24 * 140 * 140)
    monkeypatch.setattr(cell_places, "MOST_FLAT_VOXELS", 0)
    monkeypatch.setattr(instances, "DEFAULT_BLOCK_ZYX", CHUNK_ZYX)


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images of this size are written in several blocks."""
    monkeypatch.setattr(ome_zarr_layout, "_BLOCK_ZYX", (32, 64, 64))
    monkeypatch.setattr(ome_zarr_layout, "_CHUNK_VOXELS", 2**17)


@pytest.fixture(scope="module")
def undisturbed(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """Results of the same volume in one piece, by method."""
    return {
        method: run(scene, tmp_path_factory.mktemp("whole"), method=method) for method in METHODS
    }


def assert_same(found: Result, expected: Result) -> None:
    np.testing.assert_array_equal(found[0], expected[0])
    # TorchScript rewrites a network after its first passes, and that changes last bits.
    tables = [pd.read_csv(StringIO(table)) for table in (found[1], expected[1])]
    pd.testing.assert_frame_equal(*tables, rtol=1e-4)
    assert expected[0].max() > 100


@pytest.mark.parametrize("method", METHODS)
def test_a_run_in_blocks_ends_with_the_same_cells_and_measurements(
    scene: Path, undisturbed: dict[str, Result], in_blocks: None, tmp_path: Path, method: str
) -> None:
    assert_same(run(scene, tmp_path, method=method), undisturbed[method])
    assert not (tmp_path / FOLDER_NAME).exists()


def test_what_was_never_imaged_is_not_looked_at_for_cells(
    scene: Path, in_blocks: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[Region] = []
    original = Landscape.over

    def listed(self: Landscape, job: InstanceJob, reach: Region) -> object:
        looked_at.append(reach)
        return original(self, job, reach)

    monkeypatch.setattr(Landscape, "over", listed)
    run(scene, tmp_path)
    n_blocks = len(block_regions(SHAPE, CHUNK_ZYX))
    assert len(looked_at) == n_blocks * 2 // 3
    assert all(reach[2].start < 256 for reach in looked_at)


@pytest.mark.parametrize(
    "stage", ["network", "Finding peaks", "Numbering cells", "Measuring cells"]
)
def test_a_stopped_run_goes_on_with_what_it_had(
    scene: Path, undisturbed: dict[str, Result], in_blocks: None, tmp_path: Path, stage: str
) -> None:
    cancel = CancelToken()

    def stop(report: Progress) -> None:
        if report.stage == stage and report.done >= 0.6 * report.total:
            cancel.cancel()

    with pytest.raises(Cancelled):
        run(scene, tmp_path, report=Reporting(stop, cancel))
    assert [path.name for path in tmp_path.iterdir()] == [FOLDER_NAME]
    reports: list[Progress] = []
    assert_same(run(scene, tmp_path, report=Reporting(reports.append)), undisturbed["cell-peaks"])
    network = [report for report in reports if report.stage == "network"]
    assert network[0].done > 0 if stage == "network" else network[0].done == network[0].total


@pytest.mark.usefixtures("in_blocks", "small_files")
@pytest.mark.parametrize("stage", ["writing map", "writing labels", "Measuring cells"])
def test_images_that_were_begun_are_finished_and_finished_ones_kept(
    scene: Path, undisturbed: dict[str, Result], tmp_path: Path, stage: str
) -> None:
    cancel = CancelToken()

    def stop(report: Progress) -> None:
        if report.stage == stage and report.done >= 0.6 * report.total:
            cancel.cancel()

    with pytest.raises(Cancelled):
        run(scene, tmp_path / "out", form="zarr", report=Reporting(stop, cancel))
    assert [path.name for path in (tmp_path / "out").iterdir()] == [FOLDER_NAME]
    reports: list[Progress] = []
    report = Reporting(reports.append)
    assert_same(run(scene, tmp_path / "out", form="zarr", report=report), undisturbed["cell-peaks"])
    first = {report.stage: report for report in reversed(reports)}
    if stage.startswith("writing"):
        assert 0.6 <= first[stage].done / first[stage].total < 1
    before = {"writing labels": ["map"], "Measuring cells": ["map", "labels"]}
    assert not any(f"writing {kind}" in first for kind in before.get(stage, []))
    if stage == "writing map":
        run(scene, tmp_path / "alone", form="zarr")
        assert _files(tmp_path / "out") == _files(tmp_path / "alone")


def _files(out: Path) -> dict[str, bytes]:
    """Chunks of the map and of the labels in it, by their names."""
    (image,) = out.glob("*.zarr")
    paths = (path for path in image.rglob("*") if path.is_file())
    return {
        str(path.relative_to(image)): path.read_bytes()
        for path in paths
        if path.name not in (".zattrs", "zarr.json")
    }


def test_labels_become_wider_where_cells_are_too_many(
    scene: Path,
    undisturbed: dict[str, Result],
    in_blocks: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(numbering, "_MOST_IN_32_BITS", 99)
    with pytest.raises(SettingsError, match=r"labels of a TIFF .* Choose the format zarr\."):
        run(scene, tmp_path)
    found = run(scene, tmp_path, form="zarr")
    assert found[0].dtype == np.uint64
    assert_same((found[0].astype(np.uint32), found[1]), undisturbed["cell-peaks"])


def test_blocks_that_are_kept_are_not_looked_at_again(
    scene: Path, in_blocks: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = 0
    original = cell_peaks._label_block

    def counted(*arguments: object) -> object:
        nonlocal looked_at
        looked_at += 1
        if looked_at == limit:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(cell_peaks, "_label_block", counted)
    limit = 13
    with pytest.raises(KeyboardInterrupt):
        run(scene, tmp_path)
    looked_at, limit = 0, 10**6
    run(scene, tmp_path)
    in_flight = all_cores() + 1
    assert 0 < looked_at <= len(block_regions(SHAPE, CHUNK_ZYX)) - 13 + in_flight


def test_a_changed_setting_takes_nothing_from_the_cells_of_another(
    scene: Path, undisturbed: dict[str, Result], in_blocks: None, tmp_path: Path
) -> None:
    cancel = CancelToken()

    def stop(report: Progress) -> None:
        if report.stage == "Finding basins" and report.done >= 3:
            cancel.cancel()

    with pytest.raises(Cancelled):
        run(scene, tmp_path, method="watershed", report=Reporting(stop, cancel))
    assert_same(run(scene, tmp_path), undisturbed["cell-peaks"])


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is how POSIX kills")
def test_a_run_killed_twice_ends_as_if_nothing_had_happened(
    scene: Path, undisturbed: dict[str, Result], tmp_path: Path
) -> None:
    for progress in ("blocks/*.json", "cells-*/found/Finding peaks/*.npz"):
        process = subprocess.Popen([sys.executable, "-c", _RUN, str(scene), str(tmp_path)])
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob(f"{FOLDER_NAME}/*/{progress}")):
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not list(tmp_path.glob("*.csv"))
    subprocess.run([sys.executable, "-c", _RUN, str(scene), str(tmp_path)], check=True)
    labels = next(path for path in tmp_path.glob("Instance_seg*.tif"))
    found = np.asarray(open_volume(labels).data[whole(SHAPE)])
    table = next(path for path in tmp_path.glob("v_*.csv")).read_text(encoding="utf-8")
    assert_same((found, table), undisturbed["cell-peaks"])


_RUN = """
import sys
from pathlib import Path
from cellseg_app.analysis import instances
from cellseg_app.analysis.instances import cell_peaks
from cellseg_app.io.chunked import CHUNK_ZYX
from cellseg_app.pipeline import cell_places, network_stage
from tests.unit.pipeline.test_large_runs import SHAPE, run
network_stage.MOST_FLAT_VOXELS = cell_places.MOST_FLAT_VOXELS = 0
network_stage.LAYER_BYTES = 4 * 24 * 140 * 140
instances.DEFAULT_BLOCK_ZYX = CHUNK_ZYX
run(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_empty_windows_are_told_in_a_coarser_level_and_never_read(
    scene: Path, in_blocks: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "MOST_FLAT_VOXELS", 0)
    shape = (96, 128, 256)
    image = np.random.default_rng(0).normal(200, 10, shape)
    image[:, :, :60] += 1000 * (touching_ellipsoids((96, 128, 60), 60, seed=0) > 0)
    source = tmp_path / "sparse.zarr"
    with new_ome_zarr(source, shape, dtype=np.uint16, spacing_um_zyx=(1, 1, 1)) as out:
        out.fill(image.astype(np.uint16))

    def cells(*, skip_empty: bool) -> tuple[np.ndarray, tuple[str, ...]]:
        settings = RunSettings(inference=InferenceSettings(skip_empty=skip_empty))
        folder = tmp_path / f"out{skip_empty}"
        request = RunRequest(source, folder, settings, datetime.now().astimezone())
        result = run_volume(request, load_network(scene / "blur.pt"), Reporting())
        assert result.files.labels is not None
        labels = np.asarray(open_volume(result.files.labels).data[whole(shape)])
        return labels, read_record(result.files.record).notes

    expected, _ = cells(skip_empty=False)
    monkeypatch.setattr(EmptyWindows, "holds_nothing", None)
    found, notes = cells(skip_empty=True)
    np.testing.assert_array_equal(found, expected)
    assert expected.max() > 30
    (skipped,) = [note for note in notes if "held nothing" in note]
    assert int(skipped.split()[0]) > 100
