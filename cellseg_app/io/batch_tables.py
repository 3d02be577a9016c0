"""The tables of a batch: all cells, one row per volume, what failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cellseg_app.atomic import atomic_path
from cellseg_app.core.results import RunFailure
from cellseg_app.core.sources import shown
from cellseg_app.io.parquet_table import PARQUET, parquet_pieces
from cellseg_app.io.table import BOM, csv_text, read_table, read_table_header, write_table


def write_objects_all(path: Path | str, tables: Iterable[tuple[str, Path]]) -> Path:
    """Write the cells of a whole batch into one table.

    Parameters
    ----------
    path
        The table, ``objects_all.csv``.
    tables
        Name of each input for the column ``file``, and its table of cells. They are read one by
        one, Parquet in pieces; columns that only some of them have stay empty for the others.
    """
    tables = list(tables)
    columns = dict.fromkeys(
        column for _, source in tables for column in read_table_header(source) if column != "file"
    )
    ordered = ["file", *columns]
    ascii_only = all(_is_ascii(name, source) for name, source in tables)
    with atomic_path(path) as temporary:
        encoding = "utf-8" if ascii_only else "utf-8-sig"
        with temporary.open("w", encoding=encoding, newline="") as out:
            out.write(csv_text(pd.DataFrame(columns=ordered)))
            for name, source in tables:
                for cells in _pieces(source):
                    cells["file"] = name
                    out.write(csv_text(cells.reindex(columns=ordered), header=False))
    return Path(path)


def write_summary(path: Path | str, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write ``summary.csv``: one row per volume; rows may differ in what they have."""
    return write_table(path, pd.DataFrame(list(rows)))


def write_errors(path: Path | str, failures: Sequence[RunFailure]) -> Path:
    """Write ``errors.csv``: one row per volume that could not be done, and what to do about it."""
    rows = [
        {
            "file": shown(failure.source),
            "problem": failure.problem,
            "remedy": failure.remedy,
            "kind": "bug" if failure.bug else "input",
        }
        for failure in failures
    ]
    return write_table(path, pd.DataFrame(rows, columns=["file", "problem", "remedy", "kind"]))


def _pieces(path: Path) -> Iterator[pd.DataFrame]:
    if path.suffix == PARQUET:
        yield from parquet_pieces(path)
    else:
        yield read_table(path)


def _is_ascii(name: str, source: Path) -> bool:
    if source.suffix == PARQUET:
        return name.isascii()
    # `write_table` marks what is not plain ASCII, so three bytes tell.
    with source.open("rb") as file:
        return name.isascii() and file.read(len(BOM)) != BOM
