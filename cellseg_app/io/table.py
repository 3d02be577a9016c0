"""Tables of cells and of batches as CSV that spreadsheets, R and pandas read alike.

UTF-8; a byte order mark is written only when the content is not plain ASCII, since Excel needs it
there to show µ and file names right, while simple readers stumble over it. Decimal points, commas
between cells. Numbers are written so that they read back equal.

A text cell that a spreadsheet could take for a formula (starting with = + - @, tab or carriage
return; OWASP "CSV injection") gets a leading apostrophe, and so does one that starts with an
apostrophe, so that `read_table` can take it off again.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from cellseg_app.atomic import atomic_path
from cellseg_app.core.cell_columns import CellColumns, FrameColumns, Rows, frame_of
from cellseg_app.io.parquet_table import (
    PARQUET,
    ParquetColumns,
    has_pyarrow,
    parquet_header,
    read_parquet,
    write_parquet,
)
from cellseg_app.io.refusals import no_table

# What one sheet of Excel holds below its heading.
MOST_SHEET_ROWS = 1_048_575
BOM: Final = codecs.BOM_UTF8
_ROWS_AT_ONCE = 50_000
_RISKY = ("=", "+", "-", "@", "\t", "\r", "'")
_TEXT_COLUMNS = ("file", "name", "problem", "remedy", "kind", "model", "network", "method")
# pandas 3 reads numbers exactly by itself and warns of the option that older ones need for it.
_EXACT_NUMBERS: dict[str, Any] = (
    {"float_precision": "round_trip"} if int(pd.__version__.partition(".")[0]) < 3 else {}
)


def write_table(path: Path | str, table: pd.DataFrame) -> Path:
    """Write a table without its index, piece by piece; the file appears whole or not at all.

    CSV, or Parquet where `path` ends so, which needs pyarrow.

    Raises
    ------
    OutputError
        If the place cannot be written, for example while Excel holds the file.
    """
    if Path(path).suffix == PARQUET:
        return write_parquet(Path(path), [table])
    return _write_csv(Path(path), FrameColumns(table), np.arange(len(table)))


def write_cells(path: Path, cells: pd.DataFrame) -> Path:
    """Write the cells of a run: as CSV, or beyond a million of them as Parquet.

    Parquet is read ten times faster; it needs pyarrow, without which CSV stays.

    Returns
    -------
    Path
        What was written: `path`, or the same with `.parquet`.
    """
    return write_table(_path_for(path, len(cells)), cells)


def write_measured(path: Path, parts: Iterable[pd.DataFrame], n_cells: int) -> Path:
    """Write what `write_cells` would, from parts of numbers only, of which none is kept.

    Parameters
    ----------
    path
        As for `write_cells`.
    parts
        The rows in their order, at least one part.
    n_cells
        How many rows they have together.
    """
    path = _path_for(path, n_cells)
    if path.suffix == PARQUET:
        return write_parquet(path, parts)
    return _write_texts(path, (csv_text(p, header=n == 0) for n, p in enumerate(parts)), "utf-8")


def _path_for(path: Path, n_cells: int) -> Path:
    return path.with_suffix(PARQUET) if n_cells > MOST_SHEET_ROWS and has_pyarrow() else path


def write_table_parts(
    path: Path,
    table: CellColumns,
    kept: npt.NDArray[np.bool_] | None = None,
    *,
    most_rows: int,
) -> list[Path]:
    """Write a table as one CSV, or as several of at most so many rows: `name_part1.csv` …

    Where `kept` tells for each row whether it is written, only those rows are read; never more
    than 50,000 at once.

    Returns
    -------
    list of Path
        The files.
    """
    rows = np.arange(len(table)) if kept is None else np.flatnonzero(kept)
    if len(rows) <= most_rows:
        return [_write_csv(path, table, rows)]
    return [
        _write_csv(
            path.with_name(f"{path.stem}_part{number}{path.suffix}"),
            table,
            rows[first : first + most_rows],
        )
        for number, first in enumerate(range(0, len(rows), most_rows), start=1)
    ]


def open_table(path: Path) -> CellColumns:
    """A table of cells: CSV is read, of Parquet only the label ids until more is asked for.

    Raises
    ------
    InputError
        If it is missing or no table.
    """
    return ParquetColumns(path) if path.suffix == PARQUET else FrameColumns(read_table(path))


def read_table(path: Path | str) -> pd.DataFrame:
    """Read what `write_table` wrote; text columns of ours stay text even if they hold digits.

    Raises
    ------
    InputError
        If it is missing or no table.
    """
    if Path(path).suffix == PARQUET:
        return read_parquet(Path(path))
    try:
        table: pd.DataFrame = pd.read_csv(
            path,
            encoding="utf-8-sig",
            **_EXACT_NUMBERS,
            keep_default_na=False,
            na_values=[""],
            dtype=dict.fromkeys(_TEXT_COLUMNS, str),
        )
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise no_table(path, error) from error
    table.columns = [str(_bare(name)) for name in table.columns]
    for name in table.columns[[not _is_number(table[c]) for c in table.columns]]:
        table[name] = table[name].map(_bare)
    return table


def read_table_header(path: Path | str) -> tuple[str, ...]:
    """The column names of a table."""
    if Path(path).suffix == PARQUET:
        return parquet_header(Path(path))
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            names = next(csv.reader(file), [])
    except (OSError, ValueError, csv.Error) as error:
        raise no_table(path, error) from error
    return tuple(str(_bare(name)) for name in names)


def _write_csv(path: Path, table: CellColumns, rows: npt.NDArray[np.intp]) -> Path:
    encoding = "utf-8" if _is_plain(table, rows) else "utf-8-sig"
    parts = enumerate(_parts(rows))
    texts = (csv_text(frame_of(table, part), header=n == 0) for n, part in parts)
    return _write_texts(path, texts, encoding)


def _write_texts(path: Path, texts: Iterable[str], encoding: str) -> Path:
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding=encoding, newline="") as out,
    ):
        out.writelines(texts)
    return path


def _parts(rows: npt.NDArray[np.intp]) -> Iterable[Rows]:
    """At least one part, for the heading."""
    for first in range(0, max(1, len(rows)), _ROWS_AT_ONCE):
        yield rows[first : first + _ROWS_AT_ONCE]


def csv_text(table: pd.DataFrame, *, header: bool = True) -> str:
    """Rows as CSV, with everything guarded that a spreadsheet could take for a formula."""

    def text(quoting: Literal[0, 2]) -> str:
        return _safe(table).to_csv(index=False, header=header, lineterminator="\n", quoting=quoting)

    written = text(csv.QUOTE_MINIMAL)
    # Python quotes a carriage return only where lines end in one, but readers split lines at it.
    return text(csv.QUOTE_NONNUMERIC) if "\r" in written else written


def _safe(table: pd.DataFrame) -> pd.DataFrame:
    safe = table.copy()
    for column in safe.columns:
        if not _is_number(safe[column]):
            safe[column] = safe[column].map(_guarded)
    safe.columns = [_guarded(str(name)) for name in safe.columns]
    return safe


def _guarded(cell: object) -> object:
    if isinstance(cell, str) and cell.startswith(_RISKY):
        return f"'{cell}"
    return cell


def _bare(cell: object) -> object:
    if isinstance(cell, str) and cell.startswith("'"):
        return cell[1:]
    return cell


def _is_number(column: pd.Series[Any]) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column.dtype))


def _is_plain(table: CellColumns, rows: npt.NDArray[np.intp]) -> bool:
    """Whether everything that will be written is ASCII; numbers are."""
    texts = [name for name in table.names if name not in table.numeric]
    return all(name.isascii() for name in table.names) and all(
        str(cell).isascii()
        for name in texts
        for part in _parts(rows)
        for cell in table.column(name, part)
    )
