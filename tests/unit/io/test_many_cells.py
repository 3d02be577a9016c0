"""Tables of very many cells: written piece by piece, in parts, and as Parquet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cellseg_app.core.cell_columns import FrameColumns, frame_of
from cellseg_app.core.errors import InputError
from cellseg_app.io import batch_tables, parquet_table
from cellseg_app.io import table as tables
from cellseg_app.io.batch_tables import write_objects_all
from cellseg_app.io.naming import free_result_names, remove_results
from cellseg_app.io.table import (
    open_table,
    read_table,
    read_table_header,
    write_cells,
    write_measured,
    write_table,
    write_table_parts,
)


@pytest.fixture
def cells() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    made = pd.DataFrame({"label": np.arange(1, 24), "volume_um3": rng.random(23)})
    made["touches_border"] = made["label"] % 3 == 0
    return made


def test_pieces_make_the_same_file(
    cells: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = write_table(tmp_path / "a.csv", cells).read_bytes()
    monkeypatch.setattr(tables, "_ROWS_AT_ONCE", 5)
    assert write_table(tmp_path / "b.csv", cells).read_bytes() == whole
    named = cells.assign(name=["µ" if n == 20 else "m" for n in range(23)])
    path = write_table(tmp_path / "c.csv", named)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    pd.testing.assert_frame_equal(read_table(path), named)
    assert (
        write_table(tmp_path / "d.csv", cells[:0]).read_text()
        == "label,volume_um3,touches_border\n"
    )


def test_parts_hold_every_cell_once(cells: pd.DataFrame, tmp_path: Path) -> None:
    parts = write_table_parts(tmp_path / "cells.csv", FrameColumns(cells), most_rows=10)
    assert [part.name for part in parts] == [f"cells_part{n}.csv" for n in (1, 2, 3)]
    joined = pd.concat([read_table(part) for part in parts], ignore_index=True)
    pd.testing.assert_frame_equal(joined, cells)
    assert write_table_parts(tmp_path / "few.csv", FrameColumns(cells), most_rows=23) == [
        tmp_path / "few.csv"
    ]
    kept = cells["touches_border"].to_numpy()
    parts = write_table_parts(tmp_path / "kept.csv", FrameColumns(cells), kept, most_rows=4)
    joined = pd.concat([read_table(part) for part in parts], ignore_index=True)
    assert len(parts) == 2
    pd.testing.assert_frame_equal(joined, cells[kept].reset_index(drop=True))


def test_very_many_cells_become_parquet(
    cells: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    assert write_cells(tmp_path / "few.csv", cells) == tmp_path / "few.csv"
    monkeypatch.setattr(tables, "MOST_SHEET_ROWS", 20)
    monkeypatch.setattr(parquet_table, "_ROWS_AT_ONCE", 5)
    path = write_cells(tmp_path / "many.csv", cells)
    assert path == tmp_path / "many.parquet"
    pd.testing.assert_frame_equal(read_table(path), cells)
    assert read_table_header(path) == tuple(cells.columns)
    both = write_objects_all(tmp_path / "all.csv", [("a", path), ("b", tmp_path / "few.csv")])
    joined = read_table(both)
    assert joined["file"].tolist() == ["a"] * 23 + ["b"] * 23
    pd.testing.assert_frame_equal(joined[cells.columns].iloc[:23], cells)
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 not at all")
    with pytest.raises(InputError, match=r"broken\.parquet"):
        read_table(tmp_path / "broken.parquet")
    for module in (tables, parquet_table):
        monkeypatch.setattr(module, "has_pyarrow", lambda: False)
    assert write_cells(tmp_path / "without.csv", cells) == tmp_path / "without.csv"
    with pytest.raises(InputError, match=r"cellseg-app\[parquet\]"):
        read_table(path)


def test_a_text_that_only_later_rows_have_is_written_and_read(
    cells: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.setattr(parquet_table, "_ROWS_AT_ONCE", 5)
    named = cells.assign(note=pd.Series([None] * 20 + ["odd"] * 3, dtype=object))
    read = read_table(write_table(tmp_path / "a.parquet", named))
    assert read["note"].tolist()[20:] == ["odd"] * 3
    assert read["note"].isna().sum() == 20


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("step", [1, 5, 7, 10, 23])
def test_measured_cells_make_the_same_file_however_they_are_parted(
    cells: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, step: int
) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow")
        monkeypatch.setattr(tables, "MOST_SHEET_ROWS", 10)
    monkeypatch.setattr(parquet_table, "_ROWS_AT_ONCE", 5)
    for n in (23, 20, 0):
        rows = cells.iloc[:n]
        target = tmp_path / ("a.parquet" if form == "parquet" else "a.csv")
        whole = write_table(target, rows).read_bytes()
        parts = [rows.iloc[first : first + step] for first in range(0, max(1, n), step)]
        path = write_measured(tmp_path / "b.csv", iter(parts), n_cells=max(n, 11))
        assert path.suffix == f".{form}"
        assert path.read_bytes() == whole


def test_parquet_is_joined_and_named_without_ever_being_in_memory_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    n = 400_000
    table = pd.DataFrame({"label": np.arange(n)} | {f"c{k}": np.arange(n) * 1.5 for k in range(8)})
    path = write_table(tmp_path / "many.parquet", table)
    pool = pyarrow.default_memory_pool()
    monkeypatch.setattr(batch_tables, "read_table", None)
    before = pool.max_memory()
    assert read_table_header(path) == tuple(table.columns)
    assert pool.max_memory() == before, "names are read without the rows"
    pieces = [len(piece) for piece in batch_tables._pieces(path)]
    assert sum(pieces) == n
    assert max(pieces) <= parquet_table._ROWS_AT_ONCE


@pytest.fixture
def streamed(cells: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("pyarrow")
    monkeypatch.setattr(parquet_table, "_ROWS_AT_ONCE", 5)
    cells.loc[[2, 17], "volume_um3"] = np.nan
    return write_table(tmp_path / "cells.parquet", cells)


def test_columns_and_rows_of_a_file_are_those_of_the_table(
    streamed: Path, cells: pd.DataFrame
) -> None:
    table = open_table(streamed)
    assert not table.in_memory
    assert (table.names, table.numeric) == (tuple(cells.columns),) * 2
    assert len(table) == 23
    np.testing.assert_array_equal(table.labels, cells["label"])
    pd.testing.assert_frame_equal(frame_of(table), cells)
    scattered = np.array([22, 0, 17, 4, 5, 0])
    wanted = cells.iloc[scattered].reset_index(drop=True)
    pd.testing.assert_frame_equal(frame_of(table, scattered), wanted)
    assert len(frame_of(table, scattered[:0])) == 0


def test_only_the_groups_of_the_rows_asked_for_are_read(
    streamed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table, read = open_table(streamed), []
    whole = parquet.ParquetFile.read_row_group

    def watched(file: object, number: int, names: list[str], **kwargs: bool) -> object:
        read.append((number, *names))
        return whole(file, number, names, **kwargs)

    monkeypatch.setattr(parquet.ParquetFile, "read_row_group", watched)
    table.column("volume_um3", np.array([11, 3, 12]))
    assert read == [(0, "volume_um3"), (2, "volume_um3")]


def test_csv_of_a_file_is_that_of_the_table(
    streamed: Path, cells: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = cells["touches_border"].to_numpy()
    monkeypatch.setattr(tables, "_ROWS_AT_ONCE", 3)
    for name, table in (("a", FrameColumns(cells)), ("b", open_table(streamed))):
        write_table_parts(tmp_path / f"{name}.csv", table, kept, most_rows=4)
    for n in (1, 2):
        first, second = (tmp_path / f"{name}_part{n}.csv" for name in "ab")
        assert first.read_bytes() == second.read_bytes()


def test_a_file_that_changed_is_not_mixed_with_what_was_read(
    streamed: Path, cells: pd.DataFrame
) -> None:
    table = open_table(streamed)
    write_table(streamed, cells[:9])
    with pytest.raises(InputError, match=r"cells\.parquet.*changed"):
        table.column("volume_um3")
    streamed.unlink()
    with pytest.raises(InputError, match=r"not there"):
        table.column("volume_um3")


def test_parquet_tables_belong_to_their_run(cells: pd.DataFrame, tmp_path: Path) -> None:
    from datetime import datetime

    when = datetime(2026, 11, 26)
    names = free_result_names(tmp_path, "brain", model="VNet", when=when)
    names.table.with_suffix(".parquet").write_bytes(b"")
    assert free_result_names(tmp_path, "brain", model="VNet", when=when).stem != names.stem
    remove_results(tmp_path, names.stem)
    assert not list(tmp_path.iterdir())
