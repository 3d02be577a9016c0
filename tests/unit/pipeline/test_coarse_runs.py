"""Runs of volumes whose lattice is coarser than the one their network works on."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from cellseg_app.core.blocks import whole
from cellseg_app.core.progress import CancelToken
from cellseg_app.core.results import RunResult
from cellseg_app.core.settings import CellSizeSettings, InferenceSettings, RunSettings
from cellseg_app.inference.weights import load_network
from cellseg_app.io.open import open_volume
from cellseg_app.io.run_record import read_record
from cellseg_app.io.tiff_write import write_volume_tiff
from cellseg_app.pipeline import cell_places, network_stage
from cellseg_app.pipeline.preparing import RunRequest
from cellseg_app.pipeline.recording import settings_to_repeat
from cellseg_app.pipeline.remote_blocks import Cluster
from cellseg_app.pipeline.reporting import Reporting
from cellseg_app.pipeline.resegment import find_probability, resegment
from cellseg_app.pipeline.run_volume import run_volume
from cellseg_app.workers.jobs import JobContext
from cellseg_app.workers.live import live_cells
from cellseg_app.workers.preview import previewing
from cellseg_app.workers.results import load_result
from cellseg_app.workers.runs import NetworkShelf
from tests.blur_network import write_blur_network
from tests.synthetic_cells import touching_ellipsoids

SHAPE = (70, 44, 136)
SETTINGS = RunSettings(
    inference=InferenceSettings(precision="float32", runtime="torch"),
    size=CellSizeSettings(diameter=6.0, diameter_unit="px"),
)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cells six voxels wide, and a network that learned cells of ten."""
    folder = tmp_path_factory.mktemp("scene")
    truth = touching_ellipsoids(SHAPE, 500, radius=(2, 4), closeness=0.9, seed=0)
    noise = np.random.default_rng(0).normal(0, 30, SHAPE)
    image = np.clip(200 + 1000 * (truth > 0) + noise, 1, None).astype(np.uint16)
    write_volume_tiff(folder / "v.tif", image, spacing_um_zyx=(1, 1, 1))
    write_blur_network(folder, "blur", diameter_voxels=10)
    return folder


def run(
    scene: Path, out: Path, settings: RunSettings = SETTINGS, cluster: Cluster | None = None
) -> RunResult:
    request = RunRequest(scene / "v.tif", out, settings, datetime.now().astimezone())
    return run_volume(request, load_network(scene / "blur.pt"), Reporting(), cluster)


def labels_of(result: RunResult) -> np.ndarray:
    assert result.files.labels is not None
    return np.asarray(open_volume(result.files.labels).data[whole(SHAPE)])


@pytest.fixture(scope="module")
def undisturbed(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return run(scene, tmp_path_factory.mktemp("whole"))


def test_the_record_says_that_voxels_were_divided(undisturbed: RunResult) -> None:
    record = read_record(undisturbed.files.record)
    assert record.used.refine_zyx == (2, 2, 2)
    assert undisturbed.n_cells == labels_of(undisturbed).max() > 200


def test_axes_that_are_fine_enough_are_left_alone(scene: Path, tmp_path: Path) -> None:
    size = CellSizeSettings(diameter=10.0, diameter_unit="px")
    flat = SETTINGS.model_copy(update={"size": size}).with_voxel_size((2.0, 1.0, 1.0))
    assert read_record(run(scene, tmp_path, flat).files.record).used.refine_zyx == (2, 1, 1)
    isotropic = flat.model_copy(update={"size": size.model_copy(update={"isotropic": True})})
    record = read_record(run(scene, tmp_path / "isotropic", isotropic).files.record)
    assert record.used.refine_zyx == (1, 1, 1)


def test_a_run_in_blocks_ends_with_the_same_cells(
    scene: Path, undisturbed: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_stage, "MOST_FLAT_VOXELS", 0)
    monkeypatch.setattr(cell_places, "MOST_FLAT_VOXELS", 0)
    found = run(scene, tmp_path)
    np.testing.assert_array_equal(labels_of(found), labels_of(undisturbed))


def test_the_map_gives_the_same_cells_again(undisturbed: RunResult, tmp_path: Path) -> None:
    stored = find_probability(undisturbed.files.record)
    again = resegment(stored, stored.settings, tmp_path, Reporting())
    np.testing.assert_array_equal(labels_of(again), labels_of(undisturbed))
    fixed = settings_to_repeat(read_record(undisturbed.files.record))
    repeated = resegment(stored, fixed, tmp_path, Reporting())
    np.testing.assert_array_equal(labels_of(repeated), labels_of(undisturbed))


def test_the_window_tells_the_same_cells_apart(scene: Path, undisturbed: RunResult) -> None:
    context = JobContext(0, CancelToken(), lambda _message: None)
    tunable = load_result(undisturbed.files.record).map
    assert tunable is not None
    live = live_cells(tunable, SETTINGS, whole(SHAPE), measure=False, context=context)
    np.testing.assert_array_equal(live.labels[whole(SHAPE)], labels_of(undisturbed))

    shelf = NetworkShelf()
    settings = SETTINGS.model_copy(
        update={"network": SETTINGS.network.model_copy(update={"weights": str(scene / "blur.pt")})}
    )
    preview = previewing(shelf, scene / "v.tif", settings=settings, region=whole(SHAPE))(context)
    assert preview.map.defaults.refine_zyx == (2, 2, 2)
    assert abs(preview.cells.n_cells - undisturbed.n_cells) <= 0.02 * undisturbed.n_cells


def test_workers_of_a_cluster_find_the_same_cells(
    scene: Path, undisturbed: RunResult, tmp_path: Path
) -> None:
    connect = pytest.importorskip("cellseg_app.cluster.connect")
    with connect.cluster_at("local:2", lambda _sentence: None) as cluster:
        found = run(scene, tmp_path, cluster=cluster)
    np.testing.assert_array_equal(labels_of(found), labels_of(undisturbed))
