"""`cellseg run`: every route to a volume, every kind of result."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from cellseg_app.analysis.accuracy import compare_labels
from cellseg_app.core.blocks import whole
from cellseg_app.io.ome_zarr_write import new_ome_zarr
from cellseg_app.io.open import open_volume
from cellseg_app.io.tiff_write import write_volume_tiff
from tests.e2e.conftest import SHAPE, SPACING_UM, Cells, Command, record_of, tiff_labels


def test_run_finds_the_cells_and_writes_everything(
    cellseg: Command, volume_file: Path, network: Path, cells: Cells, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    outcome = cellseg("run", volume_file, "-o", out, "--weights", network)
    assert outcome.code == 0
    record = outcome.record
    stem = record.stem
    assert stem.startswith("cells_custom_")
    assert stem.endswith("_pred1")
    written = {path.name for path in out.iterdir()}
    log = next(name for name in written if name.endswith(".log"))
    assert written == {
        f"{stem}.tif",
        f"Instance_seg_{stem}.tif",
        f"{stem}.csv",
        f"{stem}.json",
        "objects_all.csv",
        "summary.csv",
        log,
    }
    scores = compare_labels(tiff_labels(record), cells.labels)
    assert scores.matches[0].f1 == 1.0
    assert scores.dice > 0.9
    table = pd.read_csv(out / f"{stem}.csv")
    assert len(table) == cells.count == outcome.of("result")[0]["n_cells"]


def test_measurements_are_in_the_units_of_the_voxel_size(
    cellseg: Command, volume_file: Path, network: Path, cells: Cells, tmp_path: Path
) -> None:
    record = cellseg("run", volume_file, "-o", tmp_path / "out", "--weights", network).record
    table = pd.read_csv(record.with_suffix(".csv"))
    np.testing.assert_allclose(table["volume_um3"], table["n_voxels"] * 2.0)
    labels = tiff_labels(record)
    for row in table.sample(5, random_state=0).itertuples():
        z, y, x = np.nonzero(labels == row.label)
        assert row.n_voxels == z.size
        np.testing.assert_allclose(
            [row.centroid_z_um, row.centroid_y_um, row.centroid_x_um],
            np.array([z.mean(), y.mean(), x.mean()]) * SPACING_UM,
            rtol=1e-5,
        )
        assert row.intensity_mean == pytest.approx(cells.image[z, y, x].mean(), rel=1e-4)


def test_every_route_to_a_volume_gives_the_same_labels(
    cellseg: Command, volume_file: Path, network: Path, cells: Cells, tmp_path: Path
) -> None:
    slices = tmp_path / "slices"
    slices.mkdir()
    for z, plane in enumerate(cells.image):
        tifffile.imwrite(slices / f"plane{z}.tif", plane)
    compressed = tmp_path / "compressed.tif"
    tifffile.imwrite(compressed, cells.image, compression="zlib", tile=(16, 16))
    zarr = tmp_path / "cells.zarr"
    with new_ome_zarr(zarr, cells.image.shape, dtype=np.uint16, spacing_um_zyx=SPACING_UM) as out:
        out.fill(cells.image)
    labels = [
        tiff_labels(cellseg("run", source, "-o", tmp_path / "out", "--weights", network).record)
        for source in (volume_file, slices, compressed, zarr)
    ]
    np.testing.assert_array_equal(labels[0], labels[1])
    np.testing.assert_array_equal(labels[0], labels[2])
    np.testing.assert_array_equal(labels[0], labels[3])


def test_results_as_ome_zarr_hold_the_same_cells(
    cellseg: Command, volume_file: Path, network: Path, tmp_path: Path
) -> None:
    tif = cellseg("run", volume_file, "-o", tmp_path / "a", "--weights", network).record
    zarr = cellseg(
        "run", volume_file, "-o", tmp_path / "b", "--weights", network, "--format", "zarr"
    ).record
    path = zarr.parent / record_of(zarr)["files"]["labels"]
    volume = open_volume(path)
    assert volume.spacing_um_zyx == SPACING_UM
    np.testing.assert_array_equal(volume.data[whole(SHAPE)], tiff_labels(tif))
    again = cellseg("resegment", zarr).record
    np.testing.assert_array_equal(
        open_volume(again.parent / record_of(again)["files"]["labels"]).data[whole(SHAPE)],
        tiff_labels(tif),
    )


@pytest.mark.parametrize("window", [16, 40, "whole"])
def test_window_size_does_not_change_the_cells(
    cellseg: Command, volume_file: Path, network: Path, cells: Cells, tmp_path: Path, window: object
) -> None:
    record = cellseg(
        "run", volume_file, "-o", tmp_path, "--weights", network, "--window", window
    ).record
    assert compare_labels(tiff_labels(record), cells.labels).matches[0].f1 == 1.0


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 37, 41), (13, 1, 7), (2, 3, 97)])
def test_volumes_of_any_shape_run(
    cellseg: Command, network: Path, tmp_path: Path, shape: tuple[int, int, int]
) -> None:
    image = np.random.default_rng(0).integers(0, 1000, shape).astype(np.uint16)
    path = write_volume_tiff(tmp_path / "odd.tif", image, spacing_um_zyx=SPACING_UM)
    outcome = cellseg("run", path, "-o", tmp_path / "out", "--weights", network)
    if shape[0] == 1:
        assert outcome.code == 2
        assert "2D" in outcome.of("error")[0]["text"] + outcome.errors
    else:
        assert outcome.code == 0
        assert tiff_labels(outcome.record).shape == shape


def test_one_corrupt_file_among_five_costs_only_itself(
    cellseg: Command, network: Path, cells: Cells, tmp_path: Path
) -> None:
    folder = tmp_path / "batch"
    folder.mkdir()
    for name in "abcde":
        write_volume_tiff(folder / f"{name}.tif", cells.image, spacing_um_zyx=SPACING_UM)
    broken = (folder / "c.tif").read_bytes()
    (folder / "c.tif").write_bytes(broken[: len(broken) // 2])
    out = tmp_path / "out"
    outcome = cellseg("run", folder, "-o", out, "--weights", network)
    assert outcome.code == 3
    assert len(outcome.of("result")) == 4
    assert len(list(out.glob("Instance_seg_*.tif"))) == 4
    errors = pd.read_csv(out / "errors.csv")
    assert len(errors) == 1
    assert errors["file"][0].endswith("c.tif")
    assert errors["problem"][0]
    assert errors["remedy"][0]
    summary = pd.read_csv(out / "summary.csv")
    assert list(summary["file"]) == ["a.tif", "b.tif", "d.tif", "e.tif"]
    everything = pd.read_csv(out / "objects_all.csv")
    assert everything.groupby("file").size().to_list() == [cells.count] * 4


def test_files_of_one_name_are_told_apart_by_their_folders(
    cellseg: Command, network: Path, cells: Cells, tmp_path: Path
) -> None:
    for folder in ("left", "right"):
        path = tmp_path / "brain" / folder / "image.tif"
        path.parent.mkdir(parents=True)
        write_volume_tiff(path, cells.image, spacing_um_zyx=SPACING_UM)
    pattern = tmp_path / "brain" / "*" / "image.tif"
    assert cellseg("run", pattern, "-o", tmp_path / "out", "--weights", network).code == 0
    summary = pd.read_csv(tmp_path / "out" / "summary.csv")
    assert list(summary["file"]) == ["left/image.tif", "right/image.tif"]


def test_results_are_never_overwritten(
    cellseg: Command, volume_file: Path, network: Path, tmp_path: Path
) -> None:
    records = {
        cellseg("run", volume_file, "-o", tmp_path / "out", "--weights", network).record
        for _ in range(2)
    }
    assert len(records) == 2
    assert (tmp_path / "out" / "summary_2.csv").is_file()


def test_isotropic_results_are_measured_in_the_same_micrometres(
    cellseg: Command, volume_file: Path, network: Path, cells: Cells, tmp_path: Path
) -> None:
    plain = cellseg("run", volume_file, "-o", tmp_path / "a", "--weights", network).record
    cubes = cellseg(
        "run", volume_file, "-o", tmp_path / "b", "--weights", network, "--isotropic"
    ).record
    labels = tiff_labels(cubes)
    assert labels.shape == (SHAPE[0] * 2, *SHAPE[1:])
    volumes = [pd.read_csv(r.with_suffix(".csv"))["volume_um3"] for r in (plain, cubes)]
    assert len(volumes[1]) == cells.count
    assert volumes[1].median() == pytest.approx(volumes[0].median(), rel=0.1)
    with tifffile.TiffFile(cubes.parent / record_of(cubes)["files"]["labels"]) as tiff:
        assert tiff.imagej_metadata["spacing"] == pytest.approx(1.0)


def test_isotropic_without_voxel_size_is_refused_with_the_remedy(
    cellseg: Command, network: Path, cells: Cells, tmp_path: Path
) -> None:
    path = write_volume_tiff(tmp_path / "plain.tif", cells.image, spacing_um_zyx=None)
    outcome = cellseg("run", path, "-o", tmp_path / "o", "--weights", network, "--isotropic")
    assert outcome.code == 2
    assert "--voxel-size" in outcome.of("error")[0]["text"]
    given = cellseg(
        *("run", path, "-o", tmp_path / "o", "--weights", network, "--isotropic"),
        *("--voxel-size", 2, 1, 1),
    )
    assert given.code == 0


def test_the_class_with_the_cells_is_chosen_whether_bright_or_dark(
    cellseg: Command, two_class_network: Path, cells: Cells, tmp_path: Path
) -> None:
    dark = (4000 - cells.image).astype(np.uint16)
    for name, image, index in (("bright", cells.image, 1), ("dark", dark, 0)):
        path = write_volume_tiff(tmp_path / f"{name}.tif", image, spacing_um_zyx=SPACING_UM)
        record = cellseg("run", path, "-o", tmp_path / "o", "--weights", two_class_network).record
        assert record_of(record)["used"]["foreground_class"] == index
        assert compare_labels(tiff_labels(record), cells.labels).matches[0].f1 > 0.95


def test_all_classes_or_one_can_be_asked_for(
    cellseg: Command, two_class_network: Path, volume_file: Path, tmp_path: Path
) -> None:
    base = ("run", volume_file, "-o", tmp_path, "--weights", two_class_network)
    every = cellseg(*base, "--class", "all").record
    assert (tmp_path / f"Instance_seg_{every.stem}_class0.tif").is_file()
    assert (tmp_path / f"Instance_seg_{every.stem}_class1.tif").is_file()
    assert record_of(cellseg(*base, "--class", 0).record)["used"]["foreground_class"] == 0
    refused = cellseg(*base, "--class", 7)
    assert refused.code == 2
    assert "class 7" in refused.of("error")[0]["text"]


@pytest.mark.parametrize(
    "method", ["voronoi-otsu", "watershed", "connected-components", "cell-peaks"]
)
def test_an_empty_volume_has_no_cells(
    cellseg: Command, network: Path, tmp_path: Path, method: str
) -> None:
    flat = np.full(SHAPE, 100, np.uint16)
    path = write_volume_tiff(tmp_path / "flat.tif", flat, spacing_um_zyx=SPACING_UM)
    outcome = cellseg(
        "run", path, "-o", tmp_path / "o", "--weights", network, "--instances", method
    )
    assert outcome.of("result")[0]["n_cells"] == 0
    assert len(pd.read_csv(outcome.record.with_suffix(".csv"))) == 0


def test_dry_run_tells_and_writes_nothing(
    cellseg: Command, volume_file: Path, network: Path, tmp_path: Path
) -> None:
    outcome = cellseg("run", volume_file, "-o", tmp_path / "o", "--weights", network, "--dry-run")
    estimate = outcome.of("result")[0]["estimate"]
    assert estimate["windows"] > 0
    assert estimate["seconds"] > 0
    assert estimate["disk_bytes"] > np.prod(SHAPE) * 8
    assert not (tmp_path / "o").exists()


def test_progress_counts_windows(
    cellseg: Command, volume_file: Path, network: Path, tmp_path: Path
) -> None:
    outcome = cellseg("run", volume_file, "-o", tmp_path / "o", "--weights", network)
    reports = [e for e in outcome.of("progress") if e["stage"] == "network"]
    assert reports[-1]["done"] == reports[-1]["total"] > 8
    assert reports[-1]["seconds_per_step"] > 0
    assert reports[-1]["remaining_s"] == 0


def test_settings_out_of_bounds_name_the_flag(
    cellseg: Command, volume_file: Path, network: Path, tmp_path: Path
) -> None:
    outcome = cellseg(
        "run", volume_file, "-o", tmp_path / "o", "--weights", network, "--overlap", 0.95
    )
    assert outcome.code == 2
    assert "--overlap" in outcome.errors


def test_a_preset_is_read_and_flags_override_it(
    cellseg: Command, volume_file: Path, network: Path, tmp_path: Path
) -> None:
    preset = tmp_path / "preset.json"
    preset.write_text(
        json.dumps({"threshold": {"threshold": 0.7}, "instances": {"method": "watershed"}}),
        encoding="utf-8",
    )
    record = cellseg(
        *("run", volume_file, "-o", tmp_path / "o", "--weights", network),
        *("--preset", preset, "--threshold", 0.4),
    ).record
    used = record_of(record)["used"]
    assert (used["threshold"], used["instance_method"]) == (0.4, "watershed")
