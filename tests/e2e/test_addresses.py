"""Runs of volumes that lie on a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from cellseg_app.core.progress import Progress
from cellseg_app.core.settings import RunSettings
from cellseg_app.core.sources import as_source
from cellseg_app.inference.weights import load_network
from cellseg_app.io.ome_zarr_write import new_ome_zarr
from cellseg_app.pipeline.batch import run_batch
from cellseg_app.pipeline.reporting import Reporting
from tests.e2e.conftest import SHAPE, SPACING_UM, Cells, Command
from tests.web_folder import WebFolder, served


@pytest.fixture
def web(tmp_path: Path, cells: Cells) -> Iterator[WebFolder]:
    pytest.importorskip("aiohttp")
    folder = tmp_path / "bucket"
    with new_ome_zarr(
        folder / "cells.zarr", SHAPE, dtype=np.uint16, spacing_um_zyx=SPACING_UM
    ) as out:
        out.fill(cells.image)
    with served(folder) as running:
        yield running


def test_a_volume_at_an_address_gives_the_cells_of_the_file(
    cellseg: Command, volume_file: Path, network: Path, web: WebFolder, tmp_path: Path
) -> None:
    common = ("--weights", network, "-o", tmp_path / "out")
    address = f"{web.address}/cells.zarr"
    assert cellseg("info", address).of("result")[0]["file"] == address
    outcome = cellseg("run", address, *common)
    assert outcome.code == 0
    content = json.loads(outcome.record.read_text(encoding="utf-8"))
    assert content["input"]["path"] == address
    labels = tifffile.imread(outcome.record.parent / content["files"]["labels"])
    of_file = cellseg("run", volume_file, *common).record
    np.testing.assert_array_equal(
        labels, tifffile.imread(next(of_file.parent.glob(f"Instance_seg_{of_file.stem}.tif")))
    )
    again = cellseg("run", "--from", outcome.record, "-o", tmp_path / "again").record
    np.testing.assert_array_equal(
        tifffile.imread(next(again.parent.glob("Instance_seg_*.tif"))), labels
    )
    anew = cellseg("resegment", outcome.record, "-o", tmp_path / "anew").record
    table = (tmp_path / "anew" / f"{anew.stem}.csv").read_text()
    assert table == outcome.record.with_suffix(".csv").read_text()


def test_a_server_that_falls_silent_when_its_volume_is_done_costs_no_other(
    volume_file: Path, network: Path, web: WebFolder, tmp_path: Path
) -> None:
    def fall_silent(report: Progress) -> None:
        if report.stage == "writing table" and not web.failures:
            web.failures = 10**6

    sources = [as_source(f"{web.address}/cells.zarr"), volume_file]
    done = run_batch(
        sources,
        tmp_path / "out",
        RunSettings(),
        load_network(network),
        report=Reporting(fall_silent),
    )
    assert web.failures
    assert len(done.records) == 2


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("map_type", ["auto", "uint8", "float32"])
def test_results_are_written_as_asked_and_told_apart_again(
    cellseg: Command,
    volume_file: Path,
    network: Path,
    tmp_path: Path,
    version: str,
    map_type: str,
) -> None:
    from cellseg_app.io.open import describe
    from cellseg_app.io.zarr_arrays import HAS_ZARR_3

    if version == "0.5" and not HAS_ZARR_3:
        pytest.skip("this zarr knows no format 3")
    record = cellseg(
        "run", volume_file, "-o", tmp_path / "out", "--weights", network,
        "--format", "zarr", "--ome-zarr", version, "--map-type", map_type, "--label-type", "uint64",
    ).record  # fmt: skip
    files = json.loads(record.read_text(encoding="utf-8"))["files"]
    stored = describe(record.parent / files["probability"])
    assert (stored.kind, stored.dtype) == (
        f"OME-Zarr {version}",
        {"auto": "float16"}.get(map_type, map_type),
    )
    labels = describe(record.parent / files["labels"])
    assert (labels.kind, labels.dtype) == (f"OME-Zarr {version}", "uint64")
    anew = cellseg("resegment", record, "-o", tmp_path / "anew", "--format", "tif",
                   "--label-type", "uint32").record  # fmt: skip
    assert anew.with_suffix(".csv").read_text() == record.with_suffix(".csv").read_text()


def test_results_are_not_written_to_addresses(
    cellseg: Command, volume_file: Path, network: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = cellseg("run", volume_file, "--weights", network, "-o", "s3://bucket/out")
    assert outcome.code == 2
    assert "s3://bucket/out: Results are written to folders" in outcome.errors
    assert not (tmp_path / "s3:").exists()
