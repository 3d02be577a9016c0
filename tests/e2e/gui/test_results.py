"""Results in the window: told apart anew without the network, opened, paged, gone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PySide6.QtWidgets import QToolButton

from cellseg_app.core.blocks import whole
from cellseg_app.io.run_record import read_record
from cellseg_app.state.slicing import PLANES, level_for
from tests.e2e.conftest import SHAPE
from tests.e2e.gui.conftest import Driver

THRESHOLD = ("run", "threshold", "threshold")


def test_class_slider_segments_the_class_on_request(
    driver: Driver, volume_file: Path, two_class_network: Path
) -> None:
    window = driver.window
    driver.set("run", "network", "weights", value=str(two_class_network))
    driver.open_and_show(volume_file)
    driver.run_and_show()
    assert window.viewer.state.class_index == 1, "starts at the class that holds the cells"
    window.viewer.class_slider._slider.setValue(0)
    assert window.viewer.state.class_index == 0
    driver.press("segment_class")
    driver.wait_for_tuning()
    assert window.tuning.live is not None
    assert window.tuning.live.class_index == 0
    assert not window.actions_by_key["segment_class"].isEnabled()


def test_apply_to_all_tells_cells_apart_anew_without_the_network(
    driver: Driver, volume_file: Path, twin_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = driver.window
    driver.open(volume_file, twin_file)
    driver.run_and_show()
    before = [item.record for item in window.desk.session.items]

    def no_network(*_: object) -> None:
        raise AssertionError("a network ran")

    monkeypatch.setattr("torch.nn.Module.__call__", no_network)
    driver.set(*THRESHOLD, value=0.95)
    driver.wait_for_tuning()
    driver.press("apply_all")
    driver.until(lambda: not window.runs.is_running)
    after = [item.record for item in window.desk.session.items]
    assert not set(before) & set(after)
    for path in after:
        assert path is not None
        assert read_record(path).settings.threshold.threshold == 0.95


def test_cells_of_large_maps_are_followed_live_from_a_file(
    driver: Driver, volume_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    window = driver.window
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    driver.open_and_show(volume_file)
    driver.run_and_show()
    monkeypatch.setattr("cellseg_app.workers.live.MOST_IN_MEMORY_VOXELS", 1000)
    driver.set(*THRESHOLD, value=0.9)
    driver.wait_for_tuning()
    live = window.tuning.live
    assert live is not None
    assert not isinstance(live.labels, np.ndarray)
    stored = live.labels[tuple(slice(0, n) for n in live.labels.shape)]
    assert len(np.unique(stored)) - 1 == live.n_cells > 0
    assert list(tmp_path.glob("cellseg-live-*"))
    driver.press("apply_here")
    driver.until(lambda: not window.runs.is_running)
    record = window.desk.session.items[0].record
    assert record is not None
    assert read_record(record).n_cells == live.n_cells


def test_results_as_ome_zarr_are_paged_level_by_level(driver: Driver, volume_file: Path) -> None:
    window = driver.window
    driver.open_and_show(volume_file)
    driver.set("run", "output", "format", value="zarr")
    driver.run_and_show()
    layers = {layer.key: layer for layer in window.viewer.layers}
    for key in ("labels", "probability"):
        layer = layers[key]
        coarse = layer.coarser[0]
        assert coarse.kind == layer.kind
        assert coarse.scale_zyx == pytest.approx((2.0, 2.0, 2.0))
    # 10 µm to a pixel: the finest level is not looked at.
    axes = PLANES["xy"]
    assert level_for(layers["labels"], axes, 10.0) is layers["labels"].coarser[-1]
    labels = layers["labels"].data[whole(SHAPE)]
    coarse = layers["labels"].coarser[0].data
    np.testing.assert_array_equal(
        coarse[tuple(slice(0, n) for n in coarse.shape)], labels[:, ::2, ::2]
    )


def test_a_dropped_record_shows_the_result_without_running(
    driver: Driver, volume_file: Path
) -> None:
    window = driver.window
    driver.open_and_show(volume_file)
    driver.run_and_show()
    done = window.desk.session.items[0]
    assert done.record is not None
    window.volumes.remove([volume_file])
    driver.until(lambda: window.scene.result is None)
    window.open_paths([done.record])
    driver.until(lambda: window.scene.result is not None)
    (shown,) = window.desk.session.items
    assert (shown.state, shown.n_cells, shown.path) == ("done", done.n_cells, volume_file)


def test_a_result_that_is_gone_is_told_and_the_next_is_shown(
    driver: Driver, volume_file: Path, tmp_path: Path
) -> None:
    window = driver.window
    driver.open_and_show(volume_file)
    driver.run_and_show()
    record = window.desk.session.items[0].record
    assert record is not None
    for _ in range(2):
        window.results.show_record(tmp_path / "gone.json")
        driver.until(lambda: not window.desk.lanes.files.busy)
    assert "gone.json" in window.desk.messages.texts()[-1]
    (message,) = window.desk.messages.messages()
    message.findChildren(QToolButton)[-1].click()
    assert not window.desk.messages.texts()
    window.scene.result = None
    window.results.show_record(record)
    driver.until(lambda: window.scene.result is not None)
