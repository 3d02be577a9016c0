"""Tables of very many cells: written piece by piece, in parts, and as Parquet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cellseg_app.core.errors import InputError
from cellseg_app.io import table as tables
from cellseg_app.io.naming import free_result_names, remove_results
from cellseg_app.io.table import (
    read_table,
    read_table_header,
    write_cells,
    write_objects_all,
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
    parts = write_table_parts(tmp_path / "cells.csv", cells, most_rows=10)
    assert [part.name for part in parts] == [f"cells_part{n}.csv" for n in (1, 2, 3)]
    joined = pd.concat([read_table(part) for part in parts], ignore_index=True)
    pd.testing.assert_frame_equal(joined, cells)
    assert write_table_parts(tmp_path / "few.csv", cells, most_rows=23) == [tmp_path / "few.csv"]
    kept = cells["touches_border"].to_numpy()
    parts = write_table_parts(tmp_path / "kept.csv", cells, kept, most_rows=4)
    joined = pd.concat([read_table(part) for part in parts], ignore_index=True)
    assert len(parts) == 2
    pd.testing.assert_frame_equal(joined, cells[kept].reset_index(drop=True))


def test_very_many_cells_become_parquet(
    cells: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    assert write_cells(tmp_path / "few.csv", cells) == tmp_path / "few.csv"
    monkeypatch.setattr(tables, "MOST_SHEET_ROWS", 20)
    monkeypatch.setattr(tables, "_ROWS_AT_ONCE", 5)
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
    monkeypatch.setattr(tables, "_has_pyarrow", lambda: False)
    assert write_cells(tmp_path / "without.csv", cells) == tmp_path / "without.csv"
    with pytest.raises(InputError, match=r"cellseg-app\[parquet\]"):
        read_table(path)


def test_parquet_is_joined_and_named_without_ever_being_in_memory_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    n = 400_000
    table = pd.DataFrame({"label": np.arange(n)} | {f"c{k}": np.arange(n) * 1.5 for k in range(8)})
    path = write_table(tmp_path / "many.parquet", table)
    pool = pyarrow.default_memory_pool()
    monkeypatch.setattr(tables, "read_table", None)
    before = pool.max_memory()
    assert read_table_header(path) == tuple(table.columns)
    assert pool.max_memory() == before, "names are read without the rows"
    pieces = [len(piece) for piece in tables._pieces(path)]
    assert sum(pieces) == n
    assert max(pieces) <= tables._ROWS_AT_ONCE


def test_parquet_tables_belong_to_their_run(cells: pd.DataFrame, tmp_path: Path) -> None:
    from datetime import datetime

    when = datetime(2026, 11, 26)
    names = free_result_names(tmp_path, "brain", model="VNet", when=when)
    names.table.with_suffix(".parquet").write_bytes(b"")
    assert free_result_names(tmp_path, "brain", model="VNet", when=when).stem != names.stem
    remove_results(tmp_path, names.stem)
    assert not list(tmp_path.iterdir())
