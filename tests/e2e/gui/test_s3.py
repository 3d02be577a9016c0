"""A volume in S3 in the window, asked of a real server of that protocol on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtWidgets import QInputDialog

pytest.importorskip("moto")
pytest.importorskip("s3fs")

from cellseg_app.core.blocks import whole
from tests.e2e.conftest import Cells
from tests.e2e.gui.conftest import Driver
from tests.e2e.test_s3 import in_bucket
from tests.s3_server import S3Server, s3_server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    with s3_server(monkeypatch) as running:
        yield running


def test_a_volume_in_s3_is_opened_by_its_address_and_run(
    driver: Driver,
    cells: Cells,
    server: S3Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    window = driver.window
    address = in_bucket(server, tmp_path / "disk", cells.image)
    for answer in ("s3://lab/missing.zarr", address):
        monkeypatch.setattr(QInputDialog, "getText", lambda *_, a=answer: (a, True))
        n = len(window.desk.session.items)
        driver.press("open_address")
        driver.until(lambda n=n: len(window.desk.session.items) > n)
    driver.until(lambda: window.desk.session.items[0].state == "refused")
    assert "no OME-Zarr at this address" in window.desk.session.items[0].text
    window.volumes.remove([window.desk.session.items[0].path])
    driver.until(lambda: window.scene.reading is not None)
    layer = window.viewer.layers[0]
    np.testing.assert_array_equal(layer.data[whole(layer.shape_zyx)], cells.image)
    driver.run_and_show()
    result = window.scene.result
    assert result is not None
    assert result.labels is not None
    assert np.max(result.labels[whole(result.labels.shape)]) > 1
