"""`cellseg correct`: from a run's record and a list of edits to a corrected result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cellseg_app.analysis.measure import measure_cells, moved
from cellseg_app.analysis.remeasure import EDITED
from cellseg_app.core.blocks import CroppedArray, region_origin, whole
from cellseg_app.core.results import CellTable
from cellseg_app.core.volume import LazyArray
from cellseg_app.inference.resample import ResampledArray
from cellseg_app.io.methods_text import methods_paragraph
from cellseg_app.io.naming import is_result_name
from cellseg_app.io.open import open_volume
from cellseg_app.io.run_record import RunRecord, read_record
from cellseg_app.io.table import read_table
from cellseg_app.pipeline.correctable import open_correctable
from cellseg_app.pipeline.image_files import OneClass, open_probability
from cellseg_app.pipeline.reporting import Reporting
from tests.e2e.conftest import Command, Outcome


def labels_of(record: Path) -> np.ndarray:
    volume = open_volume(record.parent / (read_record(record).files.labels or ""))
    return np.asarray(volume.data[whole(volume.shape_zyx)])


def write_edits(path: Path, edits: list[Any]) -> Path:
    path.write_text(json.dumps(edits))
    return path


def some_edits(record: Path) -> list[dict[str, Any]]:
    """Two cells deleted, two merged, one split."""
    split = open_correctable(record, Reporting()).begin().split(7)
    return [
        {"kind": "delete", "labels": [2, 5]},
        {"kind": "merge", "labels": [9, 8]},
        split.model_dump(mode="json"),
    ]


def measured_whole(record: RunRecord, folder: Path, labels: Any, image: LazyArray) -> CellTable:
    """All cells measured as a run measures them."""
    classes, spacing = open_probability(folder / (record.files.probability or ""))
    shape = (labels.shape[0], labels.shape[1], labels.shape[2])
    on_lattice = image if tuple(image.shape) == shape else ResampledArray(image, shape)
    region = record.used.region
    box = whole(shape)
    if region is not None:
        z, y, x = (slice(*ends) for ends in region.box_zyx)
        box = (z, y, x)
    found = measure_cells(
        np.ascontiguousarray(labels[box]),
        CroppedArray(on_lattice, box),
        CroppedArray(OneClass(classes, 0), box),
        spacing_um_zyx=spacing,
    )
    cells = moved(found.cells, region_origin(box), spacing)
    return CellTable(lambda: iter([cells]), found.summary)


@pytest.fixture
def ran(cellseg: Command, volume_file: Path, network: Path, tmp_path: Path) -> Outcome:
    return cellseg("run", volume_file, "-o", tmp_path / "out", "--weights", network)


@pytest.mark.parametrize(
    "flags", [(), ("--format", "zarr"), ("--isotropic",), ("--region", "0:43,10:,:60")]
)
def test_the_corrected_result_is_measured_as_if_it_had_been_found_so(
    cellseg: Command, volume_file: Path, network: Path, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    out = tmp_path / "out"
    record = cellseg("run", volume_file, "-o", out, "--weights", network, *flags).record
    before, n_before = labels_of(record), read_record(record).n_cells
    files = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    edits = write_edits(tmp_path / "edits.json", some_edits(record))
    outcome = cellseg("correct", record, "--edits", edits)
    assert outcome.code == 0, outcome.errors
    corrected = read_record(outcome.record)
    assert outcome.record.stem == f"{record.stem}_corrected"
    assert corrected.n_cells == n_before - 2 - 1 + 1 == outcome.of("result")[0]["n_cells"]
    assert {name: (out / name).stat().st_mtime_ns for name in files} == files
    assert not list(out.glob(".cellseg-*"))
    found, after = read_table(out / (corrected.files.table or "")), labels_of(outcome.record)
    assert len(found) == corrected.n_cells == len(np.unique(after)) - 1
    assert not np.isin((2, 5, 9), after).any()
    np.testing.assert_array_equal(after == 8, np.isin(before, (8, 9)))
    assert set(found.loc[found[EDITED], "label"]) == {7, 8, before.max() + 1}
    truth = measured_whole(corrected, out, after, open_volume(volume_file).data)
    pd.testing.assert_frame_equal(found.drop(columns=EDITED), truth.cells, rtol=1e-6)
    for name in ("n_objects", "labelled_voxels", "labelled_volume_um3", "density_per_mm3"):
        assert corrected.summary[name] == pytest.approx(truth.summary[name])


def test_replaying_the_log_gives_the_same_labels_and_corrections_can_be_corrected(
    cellseg: Command, ran: Outcome, tmp_path: Path
) -> None:
    edits = write_edits(tmp_path / "edits.json", some_edits(ran.record))
    first = cellseg("correct", ran.record, "--edits", edits).record
    again = cellseg("correct", ran.record, "--edits", first).record
    assert again.stem.endswith("_corrected2")
    np.testing.assert_array_equal(labels_of(again), labels_of(first))
    assert read_record(again).corrections == read_record(first).corrections
    other = cellseg("correct", again, "--edits", first)
    assert other.code == 2
    assert "began from other labels" in other.errors
    further = write_edits(tmp_path / "further.json", [{"kind": "delete", "labels": [1]}])
    third = cellseg("correct", first, "--edits", further).record
    record = read_record(third)
    assert third.stem.endswith("_corrected3")
    assert record.corrections is not None
    assert record.corrections.earlier == read_record(first).corrections
    assert record.corrections.of_record == first.name
    table = read_table(third.with_suffix(".csv"))
    assert 7 in set(table.loc[table[EDITED], "label"]), "what was corrected before is still told"
    said = methods_paragraph(record)
    assert f"{record.corrections.n_cells_found} cells were found." in said
    assert (
        "6 cells were corrected by hand: 3 deleted, 2 merged into 1, 1 split into 2, which left "
        f"{record.n_cells} cells."
    ) in said


def test_corrected_results_are_used_like_others(
    cellseg: Command, ran: Outcome, volume_file: Path, tmp_path: Path
) -> None:
    edits = write_edits(tmp_path / "edits.json", some_edits(ran.record))
    record = cellseg("correct", ran.record, "--edits", edits).record
    points = cellseg("points", record, "-o", tmp_path / "points.csv")
    assert points.of("result")[0]["n_points"] == read_record(record).n_cells
    assert cellseg("resegment", record, "--threshold", "0.9", "-o", tmp_path / "re").code == 0
    labels = record.parent / (read_record(record).files.labels or "")
    assert is_result_name(labels), "a folder's own results are no input"


def test_deleting_needs_neither_image_nor_map_and_says_what_merging_lacks(
    cellseg: Command, ran: Outcome, volume_file: Path, tmp_path: Path
) -> None:
    volume_file.unlink()
    (ran.record.parent / (read_record(ran.record).files.probability or "")).unlink()
    edits = write_edits(tmp_path / "edits.json", some_edits(ran.record))
    outcome = cellseg("correct", ran.record, "--edits", edits)
    assert outcome.code == 0
    said = " ".join(event["text"] for event in outcome.of("note"))
    assert "intensities are not measured" in said
    assert "mean_probability and uncertainty of corrected cells stay empty" in said
    table = read_table(outcome.record.with_suffix(".csv"))
    lacking = table[["intensity_mean", "mean_probability", "uncertainty"]].isna().all(axis=1)
    assert lacking.tolist() == table[EDITED].tolist()
    assert table["volume_um3"].notna().all()


@pytest.mark.parametrize(
    ("edits", "sentence"),
    [
        ([{"kind": "delete", "labels": [4000]}], "Edit 1: There is no cell 4000"),
        ([{"kind": "delete", "labels": [4]}] * 2, "Edit 2: Cell 4 is gone"),
        (
            [{"kind": "split", "label": 3, "seeds_zyx": [[0, 0, 0], [0, 0, 1]],
              "new_labels": [500]}],
            "lies outside of cell 3",
        ),
        ([{"kind": "merge", "labels": [4]}], "0.merge.labels"),
        ([{"kind": "paint"}], "not allowed"),
        ([], "no corrections to save"),
        ({"labels": [4]}, "not a run record"),
    ],
)  # fmt: skip
def test_what_cannot_be_corrected_is_said_and_leaves_nothing(
    cellseg: Command, ran: Outcome, tmp_path: Path, edits: list[Any], sentence: str
) -> None:
    before = sorted(ran.record.parent.iterdir())
    outcome = cellseg("correct", ran.record, "--edits", write_edits(tmp_path / "e.json", edits))
    assert outcome.code == 2
    assert sentence in outcome.errors
    assert sorted(ran.record.parent.iterdir()) == before


def test_a_run_without_labels_has_nothing_to_correct(
    cellseg: Command, volume_file: Path, network: Path, tmp_path: Path
) -> None:
    words = ("-o", tmp_path / "out", "--weights", network, "--instances", "none")
    record = cellseg("run", volume_file, *words).record
    edits = write_edits(tmp_path / "e.json", [{"kind": "delete", "labels": [1]}])
    outcome = cellseg("correct", record, "--edits", edits)
    assert outcome.code == 2
    assert "told no cells apart" in outcome.errors


def test_cells_are_corrected_without_a_table_too(
    cellseg: Command, volume_file: Path, network: Path, tmp_path: Path
) -> None:
    words = ("-o", tmp_path / "out", "--weights", network, "--no-stats")
    record = cellseg("run", volume_file, *words).record
    edits = write_edits(tmp_path / "e.json", some_edits(record))
    outcome = cellseg("correct", record, "--edits", edits)
    assert outcome.code == 0
    assert read_record(outcome.record).files.table is None
    assert len(np.unique(labels_of(outcome.record))) - 1 == read_record(outcome.record).n_cells
