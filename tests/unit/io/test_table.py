"""Tables read back equal, open right in spreadsheets, and carry no formulas."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellseg_app.core.errors import InputError, OutputError
from cellseg_app.core.results import RunFailure
from cellseg_app.io.batch_tables import write_errors, write_objects_all, write_summary
from cellseg_app.io.points_csv import read_points_csv
from cellseg_app.io.table import read_table, write_table

BOM = b"\xef\xbb\xbf"


@pytest.fixture
def cells() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "label": np.arange(1, 6, dtype="int64"),
            "volume_um3": rng.random(5) * 1e3,
            "sphericity": [0.1 + 0.2, np.nan, 1e-300, 1 / 3, np.inf],
            "touches_border": [True, False, True, False, True],
        }
    )


def test_numbers_read_back_equal(tmp_path: Path, cells: pd.DataFrame) -> None:
    write_table(tmp_path / "a.csv", cells)
    pd.testing.assert_frame_equal(read_table(tmp_path / "a.csv"), cells, check_exact=True)

    many = np.random.default_rng(1).lognormal(0, 40, 20_000)
    write_table(tmp_path / "b.csv", pd.DataFrame({"volume_um3": many}))
    np.testing.assert_array_equal(read_table(tmp_path / "b.csv")["volume_um3"], many)


def test_plain_text_has_no_mark_and_other_text_has_one_for_excel(
    tmp_path: Path, cells: pd.DataFrame
) -> None:
    write_table(tmp_path / "ascii.csv", cells)
    write_table(tmp_path / "micro.csv", cells.assign(file="Zelle µ.tif"))

    assert (tmp_path / "ascii.csv").read_bytes().startswith(b"label,volume_um3")
    assert (tmp_path / "micro.csv").read_bytes().startswith(BOM)
    assert read_table(tmp_path / "micro.csv")["file"].tolist() == ["Zelle µ.tif"] * 5


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1"])
def test_text_that_looks_like_a_formula_is_defused(tmp_path: Path, cell: str) -> None:
    table = pd.DataFrame({"file": [cell], cell: [cell], "delta": [-1.5]})
    write_table(tmp_path / "a.csv", table)

    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        header, row = csv.reader(file)
    assert header == ["file", f"'{cell}", "delta"]
    assert row == [f"'{cell}", f"'{cell}", "-1.5"]
    pd.testing.assert_frame_equal(read_table(tmp_path / "a.csv"), table, check_dtype=False)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(min_size=1), min_size=1, max_size=5))
def test_any_file_name_reads_back_equal(names: list[str]) -> None:
    names = [name.encode(errors="replace").decode().replace("\0", "") or "x" for name in names]
    with tempfile.TemporaryDirectory() as folder:
        path = write_table(Path(folder) / "a.csv", pd.DataFrame({"file": names, "n": 1}))
        assert read_table(path)["file"].tolist() == names


def test_an_empty_table_keeps_its_columns(tmp_path: Path, cells: pd.DataFrame) -> None:
    write_table(tmp_path / "a.csv", cells.iloc[:0])
    found = read_table(tmp_path / "a.csv")
    assert list(found.columns) == list(cells.columns)
    assert len(found) == 0


def test_all_objects_of_a_batch(tmp_path: Path, cells: pd.DataFrame) -> None:
    write_table(tmp_path / "1.csv", cells)
    write_table(tmp_path / "2.csv", cells[["label", "volume_um3"]].assign(surface_um2=2.5))
    write_table(tmp_path / "3.csv", cells.iloc[:0])
    sources = [(n, tmp_path / f"{i}.csv") for i, n in enumerate(("007", "Zelle µ", "=c"), start=1)]

    write_objects_all(tmp_path / "objects_all.csv", sources)

    everything = read_table(tmp_path / "objects_all.csv")
    assert list(everything.columns) == ["file", *cells.columns, "surface_um2"]
    assert everything["file"].tolist() == ["007"] * 5 + ["Zelle µ"] * 5
    assert everything["volume_um3"].tolist() == cells["volume_um3"].tolist() * 2
    assert everything["surface_um2"].isna().tolist() == [True] * 5 + [False] * 5
    assert (tmp_path / "objects_all.csv").read_bytes().startswith(BOM)


def test_summary_and_errors(tmp_path: Path) -> None:
    write_summary(tmp_path / "summary.csv", [{"file": "a", "n_cells": 3}, {"file": "b", "x": 1.5}])
    failure = RunFailure(Path("b.tif"), "It is cut short.", "Copy it again.")
    write_errors(tmp_path / "errors.csv", [failure, RunFailure(Path("c"), "boom", "", bug=True)])
    write_errors(tmp_path / "none.csv", [])

    assert read_table(tmp_path / "summary.csv")["file"].tolist() == ["a", "b"]
    errors = read_table(tmp_path / "errors.csv")
    assert errors["problem"].tolist() == ["It is cut short.", "boom"]
    assert errors["kind"].tolist() == ["input", "bug"]
    assert (tmp_path / "none.csv").read_text() == "file,problem,remedy,kind\n"


def test_a_table_that_cannot_be_written_leaves_no_trace(
    tmp_path: Path, cells: pd.DataFrame
) -> None:
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(OutputError, match=r"a\.csv"):
        write_table(tmp_path / "a.csv", cells)
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.parametrize(
    "text",
    [
        "z,y,x\n1,2,3\n4.5,5,6\n",
        "x,id,Y,z\n3,0,2,1\n6,1,5,4.5\n",
        "index,axis-0,axis-1,axis-2\n0,1,2,3\n1,4.5,5,6\n",
        "1,2,3\n4.5,5,6\n\n",
        "\ufeffz,y,x\r\n1,2,3\r\n4.5,5,6\r\n",
    ],
)
def test_points_in_every_usual_form(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.csv").write_text(text, encoding="utf-8", newline="")
    points = read_points_csv(tmp_path / "p.csv")
    np.testing.assert_array_equal(points, [[1, 2, 3], [4.5, 5, 6]])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("a,b,c\n1,2,3\n", "no columns z, y and x"),
        ("1,2\n3,4\n", "no columns"),
        ("z,y,x\n1,2,3\n1,2,drei\n", "Row 3"),
        ("z,y,x\n1,2\n", "Row 2"),
    ],
)
def test_files_that_hold_no_points(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(InputError, match=reason) as caught:
        read_points_csv(tmp_path / "p.csv")
    assert "p.csv" in str(caught.value)


def test_no_points_at_all_is_an_empty_array(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("z,y,x\n")
    assert read_points_csv(tmp_path / "p.csv").shape == (0, 3)


def test_a_missing_table(tmp_path: Path) -> None:
    for read in (read_points_csv, read_table):
        with pytest.raises(InputError, match="not there"):
            read(tmp_path / "p.csv")
