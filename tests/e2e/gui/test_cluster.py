"""The window shares its runs out over a real Dask scheduler with a worker on loopback."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("distributed")

from distributed import Client

from cellseg_app.core.blocks import whole
from cellseg_app.core.extras import how_to_install
from cellseg_app.core.settings import RunSettings
from cellseg_app.state.settings import read_settings
from cellseg_app.ui.forms.applicability import Circumstances, reasons
from tests.e2e.gui.conftest import Driver
from tests.unit.cluster.test_cluster import scheduler_with_workers

FIELD = ("cluster", "scheduler")


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Address of a scheduler with one worker."""
    with scheduler_with_workers(1) as (address, _):
        yield address


def labels_of(driver: Driver) -> np.ndarray:
    result = driver.window.scene.result
    assert result is not None
    assert result.labels is not None
    return np.asarray(result.labels[whole(result.labels.shape)])


def n_tasks(address: str) -> int:
    with Client(address, timeout=20) as client:
        done = client.run(lambda dask_worker: dask_worker.state.executed_count)
    return sum(done.values())


def test_a_run_on_a_cluster_finds_the_same_cells_and_says_who_works(
    driver: Driver,
    volume_file: Path,
    scheduler: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    window = driver.window
    caplog.set_level(logging.INFO, "cellseg_app")
    driver.open_and_show(volume_file)
    driver.run_and_show()
    alone = labels_of(driver)
    window.scene.clear()
    before = n_tasks(scheduler)
    driver.set(*FIELD, value=scheduler)
    driver.set("output_folder", value=str(tmp_path / "on the cluster"))
    driver.press("start")
    driver.until(lambda: not window.progress.cluster.isHidden())
    assert "1 Dask worker" in window.progress.cluster.text()
    driver.until(lambda: not window.runs.is_running)
    assert window.progress.cluster.isHidden()
    driver.until(lambda: window.desk.session.items[0].record is not None)
    window.results.show_record(window.desk.session.items[0].record)
    driver.until(lambda: window.scene.result is not None)
    np.testing.assert_array_equal(labels_of(driver), alone)
    assert alone.max() > 1
    assert n_tasks(scheduler) > before, "the worker did it"
    assert "Dask workers: 1" in window.log.contents()
    window.close()
    assert read_settings(tmp_path / "window.json").form.cluster.scheduler == scheduler


def test_a_run_on_a_cluster_is_cancelled(driver: Driver, volume_file: Path, scheduler: str) -> None:
    window = driver.window
    driver.set(*FIELD, value=scheduler)
    driver.set("run", "inference", "window", value=16)
    driver.set("run", "inference", "flip_averaging", value=True)
    driver.open_and_show(volume_file)
    driver.press("start")
    driver.until(lambda: not window.progress.cluster.isHidden())
    driver.press("cancel")
    driver.until(lambda: not window.runs.is_running)
    assert window.desk.session.items[0].state == "cancelled"


def test_a_scheduler_that_does_not_answer_is_named_and_can_be_cancelled(
    driver: Driver, volume_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = driver.window
    monkeypatch.setattr("cellseg_app.cluster.connect._TRY_S", 1)
    driver.set(*FIELD, value="tcp://127.0.0.1:9")
    driver.open_and_show(volume_file)
    begin = time.monotonic()
    driver.press("start")
    driver.bot.wait(300)
    driver.press("cancel")
    driver.until(lambda: not window.runs.is_running)
    assert time.monotonic() - begin < 15, "long before it gives up"
    monkeypatch.setattr("cellseg_app.cluster.connect._CONNECT_S", 1)
    driver.run()
    # It is told in a turn of the event loop of its own.
    driver.until(lambda: bool(window.desk.messages.texts()))
    assert "No Dask scheduler answers at tcp://127.0.0.1:9" in window.desk.messages.texts()[-1]
    driver.set(*FIELD, value="")
    driver.run_and_show()


def test_an_address_that_is_none_is_refused_in_the_form(driver: Driver) -> None:
    driver.set(*FIELD, value="host:8786")
    row = driver.window.form._rows[FIELD]
    assert not row.message.isHidden()
    assert "tcp://host:8786" in row.message.text()
    assert driver.window.desk.session.form.cluster.scheduler == ""


def test_without_dask_the_field_says_how_it_is_had() -> None:
    now = Circumstances(RunSettings(), has_dask=False)
    assert how_to_install("cluster") in reasons(now)[FIELD]
    assert FIELD not in reasons(Circumstances(RunSettings()))
