"""Cells told apart anew from the map that a run stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cellseg_app.inference.predictor import WindowPredictor
from cellseg_app.io.run_record import read_record
from cellseg_app.io.tiff_write import write_volume_tiff
from cellseg_app.pipeline.recording import settings_to_repeat
from tests.e2e.conftest import SPACING_UM, Cells, Command, record_of, tiff_labels


def test_resegmenting_runs_no_network(
    cellseg: Command,
    volume_file: Path,
    network: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passes = 0
    original = WindowPredictor.__call__

    def counted(self: WindowPredictor, windows: np.ndarray) -> object:
        nonlocal passes
        passes += 1
        return original(self, windows)

    monkeypatch.setattr(WindowPredictor, "__call__", counted)
    out = tmp_path / "out"
    record = cellseg("run", volume_file, "-o", out, "--weights", network).record
    assert passes > 0
    passes = 0
    same = cellseg("resegment", record).record
    np.testing.assert_array_equal(tiff_labels(same), tiff_labels(record))
    stricter = cellseg("resegment", record, "--threshold", 0.9).record
    assert 0 < (tiff_labels(stricter) > 0).sum() < (tiff_labels(record) > 0).sum()
    bare = cellseg("resegment", out / record_of(record)["files"]["probability"]).record
    np.testing.assert_array_equal(tiff_labels(bare), tiff_labels(record))
    assert passes == 0
    pd.testing.assert_frame_equal(
        pd.read_csv(same.with_suffix(".csv")), pd.read_csv(record.with_suffix(".csv"))
    )


def test_resegmenting_finds_what_a_run_with_that_threshold_finds(
    cellseg: Command, network: Path, cells: Cells, tmp_path: Path
) -> None:
    image = cells.image.copy()
    # Specks among the cells above a low threshold; above a high one, all that is left is small.
    image[10::15, 16::16, 16::16] = 900
    path = write_volume_tiff(tmp_path / "specks.tif", image, spacing_um_zyx=SPACING_UM)
    base = ("-o", tmp_path / "o", "--instances", "cell-peaks")
    low = cellseg("run", path, "--weights", network, "--threshold", 0.1, *base).record
    high = cellseg("run", path, "--weights", network, "--threshold", 0.8, *base).record
    again = cellseg("resegment", low, "--threshold", 0.8).record
    smallest = [record_of(r)["used"]["instance_options"]["min_size_voxels"] for r in (low, high)]
    assert smallest[0] != smallest[1]
    np.testing.assert_array_equal(tiff_labels(again), tiff_labels(high))


def test_specks_are_no_cells_of_a_stated_diameter(
    cellseg: Command, network: Path, cells: Cells, tmp_path: Path
) -> None:
    image = np.zeros_like(cells.image)
    image[10::15, 16::16, 16::16] = 900
    path = write_volume_tiff(tmp_path / "specks.tif", image, spacing_um_zyx=SPACING_UM)
    base = ("run", path, "--weights", network, "--threshold", 0.1, "-o", tmp_path / "o")
    for extra, some in (
        (("--diameter", "none"), True),
        (("--diameter", "12um"), False),
        (("--diameter", "12um", "--min-size", 1), True),
        (("--diameter", "12um", "--min-uncut", 0), True),
    ):
        record = cellseg(*base, "--instances", "cell-peaks", *extra).record
        assert tiff_labels(record).any() == some, extra
        again = settings_to_repeat(read_record(record))
        used = record_of(record)["used"]["instance_options"]
        assert again.instances.min_uncut_voxels == used["min_uncut_voxels"]
    # A ball 12 µm wide has 905 µm³ in voxels of 2.
    without = cellseg(*base, "--instances", "cell-peaks", "--diameter", "12um").record
    assert record_of(without)["used"]["instance_options"]["min_uncut_voxels"] == 28
    assert not tiff_labels(cellseg("resegment", without).record).any()
    assert tiff_labels(cellseg("resegment", without, "--min-size", 1).record).any()


def test_large_parts_are_cleared_before_cells_are_told_apart(
    cellseg: Command, network: Path, cells: Cells, tmp_path: Path
) -> None:
    image = cells.image.copy()
    image[:, 25:40, :] = image.max()
    path = write_volume_tiff(tmp_path / "vessel.tif", image, spacing_um_zyx=SPACING_UM)
    base = ("run", path, "-o", tmp_path / "o", "--weights", network)
    biggest = [
        pd.read_csv(cellseg(*base, *extra).record.with_suffix(".csv"))["n_voxels"].max()
        for extra in ((), ("--remove-large", 2000))
    ]
    assert biggest[0] > 2000 > biggest[1]
