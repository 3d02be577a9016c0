"""Runs restricted to a box, a mask, or what is not empty."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile

from cellseg_app.core.blocks import whole
from cellseg_app.io.open import open_volume
from cellseg_app.io.tiff_write import write_volume_tiff
from cellseg_app.pipeline import cell_places, network_stage
from tests.e2e.conftest import SHAPE, SPACING_UM, Cells, Command, record_of

BOX = (slice(12, 43), slice(26, 60), slice(0, 57))
BOX_TEXT = "12:43,26:,:57"


def _image(record: Path, kind: str) -> np.ndarray:
    return tifffile.imread(record.parent / record_of(record)["files"][kind])


def _outside(region: tuple[slice, ...], shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    outside = np.ones(shape, bool)
    outside[region] = False
    return outside


@pytest.mark.parametrize("window", [16, "auto"])
def test_a_box_gives_what_the_whole_run_gives_there(
    cellseg: Command, volume_file: Path, network: Path, tmp_path: Path, window: object
) -> None:
    common = (volume_file, "--weights", network, "--window", window)
    everything = cellseg("run", *common, "-o", tmp_path / "a").record
    outcome = cellseg("run", *common, "-o", tmp_path / "b", "--region", BOX_TEXT)
    assert outcome.code == 0
    record = outcome.record

    in_box, in_all = _image(record, "probability"), _image(everything, "probability")
    assert in_box.shape == SHAPE
    np.testing.assert_array_equal(in_box[BOX], in_all[BOX])
    assert not in_box[_outside(BOX)].any()

    labels, all_labels = _image(record, "labels"), _image(everything, "labels")
    assert not labels[_outside(BOX)].any()
    cut = set(np.unique(all_labels[BOX])) & set(np.unique(all_labels[_outside(BOX)]))
    table = pd.read_csv(record.with_suffix(".csv")).set_index("label")
    uncut = 0
    for cell in np.setdiff1d(np.unique(all_labels[BOX]), [0, *cut]):
        own = labels[all_labels == cell]
        assert (own == own[0]).all()
        z, y, x = np.nonzero(all_labels == cell)
        row = table.loc[own[0]]
        expected = np.array([z.mean(), y.mean(), x.mean()])
        np.testing.assert_allclose([row[f"centroid_{axis}_voxel"] for axis in "zyx"], expected)
        np.testing.assert_allclose(
            [row[f"centroid_{axis}_um"] for axis in "zyx"], expected * SPACING_UM
        )
        assert (row["bbox_x_min"], row["bbox_x_max"]) == (x.min(), x.max() + 1)
        uncut += not row["touches_border"]
    assert uncut > 4
    at_face = np.unique(labels[:, BOX[1].start, :])
    assert at_face.any()
    assert table.loc[at_face[at_face > 0], "touches_border"].all()


def test_a_region_of_a_large_volume_is_worked_in_blocks(
    cellseg: Command,
    volume_file: Path,
    network: Path,
    mask_file: tuple[Path, np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    common = ("run", volume_file, "--weights", network, "--window", 16, "--precision", "float32")
    for number, flags in enumerate((("--region", BOX_TEXT), ("--mask", mask_file[0]))):
        flat = cellseg(*common, "-o", tmp_path / f"flat{number}", *flags).record
        with monkeypatch.context() as small:
            for module in (network_stage, cell_places):
                small.setattr(module, "MOST_FLAT_VOXELS", 0)
            small.setattr(network_stage, "LAYER_BYTES", 4 * 16 * 30 * 30)
            blocks = cellseg(*common, "-o", tmp_path / f"blocks{number}", *flags).record
        for kind in ("probability", "labels"):
            np.testing.assert_array_equal(_image(blocks, kind), _image(flat, kind))
        pd.testing.assert_frame_equal(
            pd.read_csv(blocks.with_suffix(".csv")), pd.read_csv(flat.with_suffix(".csv"))
        )


def test_windows_outside_of_the_box_are_not_run(
    cellseg: Command, volume_file: Path, network: Path, tmp_path: Path
) -> None:
    common = ("run", volume_file, "-o", tmp_path, "--weights", network, "--window", 16, "--dry-run")
    everything = cellseg(*common).of("result")[0]["estimate"]["windows"]
    few = cellseg(*common, "--region", "0:8,0:8,0:8").of("result")[0]["estimate"]["windows"]
    assert 1 <= few <= 8
    assert everything > 5 * few


def test_a_region_is_recorded_described_and_repeated(
    cellseg: Command, volume_file: Path, network: Path, tmp_path: Path, capsys: Any
) -> None:
    record = cellseg(
        "run", volume_file, "-o", tmp_path, "--weights", network, "--region", BOX_TEXT
    ).record
    used = record_of(record)["used"]["region"]
    assert used["box_zyx"] == [[12, 43], [26, 60], [0, 57]]
    assert used["n_voxels"] == 31 * 34 * 57
    capsys.readouterr()
    from cellseg_app.cli import main

    assert main(["methods", str(record)]) == 0
    assert "restricted to the voxels Z 12 to 42, Y 26 to 59, X 0 to 56" in capsys.readouterr().out
    labels = _image(record, "labels")
    again = cellseg("run", "--from", record, "-o", tmp_path / "again").record
    np.testing.assert_array_equal(_image(again, "labels"), labels)
    told_anew = cellseg("resegment", record, "-o", tmp_path / "anew").record
    np.testing.assert_array_equal(_image(told_anew, "labels"), labels)
    first, second = (pd.read_csv(path.with_suffix(".csv")) for path in (record, told_anew))
    pd.testing.assert_frame_equal(first, second)
    assert record_of(told_anew)["used"]["region"] == used


def test_density_is_that_of_the_region(
    cellseg: Command, volume_file: Path, network: Path, tmp_path: Path
) -> None:
    record = cellseg(
        "run", volume_file, "-o", tmp_path, "--weights", network, "--region", BOX_TEXT
    ).record
    summary = record_of(record)["summary"]
    assert summary["total_voxels"] == 31 * 34 * 57
    assert summary["density_per_mm3"] == pytest.approx(
        summary["n_objects"] / (31 * 34 * 57 * 2.0 / 1e9)
    )


def test_a_box_holds_on_cubic_voxels_too(
    cellseg: Command, volume_file: Path, network: Path, tmp_path: Path
) -> None:
    common = ("run", volume_file, "--weights", network, "--isotropic")
    everything = cellseg(*common, "-o", tmp_path / "a").record
    record = cellseg(*common, "-o", tmp_path / "b", "--region", BOX_TEXT).record
    cubic = (slice(24, 86), *BOX[1:])
    in_box, in_all = _image(record, "probability"), _image(everything, "probability")
    assert in_box.shape == in_all.shape == (88, 60, 72)
    np.testing.assert_array_equal(in_box[cubic], in_all[cubic])
    assert not in_box[_outside(cubic, in_all.shape)].any()
    again = cellseg("resegment", record, "-o", tmp_path / "c").record
    np.testing.assert_array_equal(_image(again, "labels"), _image(record, "labels"))


@pytest.fixture
def mask_file(tmp_path: Path, cells: Cells) -> tuple[Path, np.ndarray]:
    """A mask at half the resolution, and the same written out: a wedge."""
    coarse = np.zeros((22, 30, 36), np.uint8)
    z, y, x = np.indices(coarse.shape)
    coarse[(y + x < 36) & (z > 4)] = 3
    path = write_volume_tiff(tmp_path / "mask.tif", coarse, spacing_um_zyx=(4.0, 2.0, 2.0))
    return path, np.kron(coarse, np.ones((2, 2, 2), np.uint8)) > 0


def test_a_mask_leaves_zeros_outside_and_marks_cells_that_it_cuts(
    cellseg: Command,
    volume_file: Path,
    network: Path,
    mask_file: tuple[Path, np.ndarray],
    tmp_path: Path,
) -> None:
    path, inside = mask_file
    common = ("run", volume_file, "--weights", network)
    everything = cellseg(*common, "-o", tmp_path / "a").record
    record = cellseg(*common, "-o", tmp_path / "b", "--mask", path).record
    expected = np.where(inside, _image(everything, "probability"), 0)
    np.testing.assert_array_equal(_image(record, "probability"), expected)
    labels = _image(record, "labels")
    assert not labels[~inside].any()
    table = pd.read_csv(record.with_suffix(".csv")).set_index("label")
    uncut = table.index[~table["touches_border"]]
    assert 3 < len(uncut) < len(table) - 3
    all_labels = _image(everything, "labels")
    for cell in table.index:
        of_whole = np.unique(all_labels[labels == cell])
        grew = np.isin(all_labels, of_whole[of_whole > 0]).sum() > (labels == cell).sum()
        assert table.loc[cell, "touches_border"] or not grew
    used = record_of(record)["used"]["region"]
    assert used["n_voxels"] == inside.sum()
    assert Path(used["mask"]) == path

    dropped = cellseg(*common, "-o", tmp_path / "c", "--mask", path, "--remove-border").record
    kept = _image(dropped, "labels")
    assert kept.max() == record_of(dropped)["n_cells"] == len(uncut)
    np.testing.assert_array_equal(kept > 0, np.isin(labels, uncut))
    assert not pd.read_csv(dropped.with_suffix(".csv"))["touches_border"].any()

    again = cellseg("resegment", record, "-o", tmp_path / "d").record
    pd.testing.assert_frame_equal(pd.read_csv(again.with_suffix(".csv")).set_index("label"), table)


def test_another_mask_of_the_same_name_is_another_run(
    cellseg: Command, volume_file: Path, network: Path, tmp_path: Path
) -> None:
    mask = tmp_path / "mask.tif"
    values = np.zeros(SHAPE, np.uint8)
    values[:, :30] = 1
    write_volume_tiff(mask, values, spacing_um_zyx=SPACING_UM)
    common = ("run", volume_file, "--weights", network, "--mask", mask, "-o", tmp_path / "out")
    first = _image(cellseg(*common).record, "labels")
    write_volume_tiff(mask, 1 - values, spacing_um_zyx=SPACING_UM)
    second = _image(cellseg(*common).record, "labels")
    assert first[:, :30].any()
    assert not first[:, 30:].any()
    assert not second[:, :30].any()


def test_empty_surroundings_are_left_out(
    cellseg: Command, network: Path, cells: Cells, tmp_path: Path
) -> None:
    image = np.zeros((44, 160, 200), np.uint16)
    image[:, 50:110, 60:132] = cells.image
    path = write_volume_tiff(tmp_path / "padded.tif", image, spacing_um_zyx=SPACING_UM)
    common = ("run", path, "--weights", network)
    everything = cellseg(*common, "-o", tmp_path / "a").record
    record = cellseg(*common, "-o", tmp_path / "b", "--non-empty").record
    used = record_of(record)["used"]["region"]
    assert used["without_surroundings"]
    assert used["n_voxels"] < 0.4 * image.size
    np.testing.assert_array_equal(_image(record, "labels"), _image(everything, "labels"))


def test_the_box_of_an_ome_zarr_result_lies_where_it_should(
    cellseg: Command, volume_file: Path, network: Path, tmp_path: Path
) -> None:
    common = ("run", volume_file, "--weights", network, "--region", BOX_TEXT)
    tif = cellseg(*common, "-o", tmp_path / "a").record
    zarr = cellseg(*common, "-o", tmp_path / "b", "--format", "zarr").record
    volume = open_volume(zarr.parent / record_of(zarr)["files"]["labels"])
    np.testing.assert_array_equal(volume.data[whole(SHAPE)], _image(tif, "labels"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--region", "50:60,:,:"), "lies outside of the 44 × 60 × 72 voxels"),
        (("--region", "1:2"), "three ranges of voxels"),
        (("--mask", "missing.tif"), "missing.tif"),
    ],
)
def test_regions_that_cannot_be_are_refused(
    cellseg: Command,
    volume_file: Path,
    network: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    said: str,
) -> None:
    outcome = cellseg("run", volume_file, "-o", tmp_path, "--weights", network, *arguments)
    assert outcome.code == 2
    assert said in outcome.errors + "".join(event["text"] for event in outcome.of("error"))


def test_an_empty_mask_is_refused(
    cellseg: Command, volume_file: Path, network: Path, tmp_path: Path
) -> None:
    mask = write_volume_tiff(
        tmp_path / "mask.tif", np.zeros(SHAPE, np.uint8), spacing_um_zyx=SPACING_UM
    )
    outcome = cellseg("run", volume_file, "-o", tmp_path, "--weights", network, "--mask", mask)
    assert outcome.code == 2
    assert "inside the mask" in outcome.of("error")[0]["text"]
