"""Tables of cells and of batches as CSV that spreadsheets, R and pandas read alike.

UTF-8; a byte order mark is written only when the content is not plain ASCII, since Excel needs it
there to show µ and file names right, while simple readers stumble over it. Decimal points, commas
between cells. Numbers are written so that they read back equal.

A text cell that a spreadsheet could take for a formula (starting with = + - @, tab or carriage
return; OWASP "CSV injection") gets a leading apostrophe, and so does one that starts with an
apostrophe, so that `read_table` can take it off again.
"""

from __future__ import annotations

import csv
import importlib.util
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from cellseg_app.atomic import atomic_path
from cellseg_app.core.errors import InputError
from cellseg_app.core.extras import how_to_install
from cellseg_app.core.results import RunFailure

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

# What one sheet of Excel holds below its heading.
MOST_SHEET_ROWS = 1_048_575
_ROWS_AT_ONCE = 50_000
PARQUET = ".parquet"
_RISKY = ("=", "+", "-", "@", "\t", "\r", "'")
_TEXT_COLUMNS = ("file", "name", "problem", "remedy", "kind", "model", "network", "method")
# pandas 3 reads numbers exactly by itself and warns of the option that older ones need for it.
_EXACT_NUMBERS: dict[str, Any] = (
    {"float_precision": "round_trip"} if int(pd.__version__.partition(".")[0]) < 3 else {}
)
_POINT_NAMES = (("z", "y", "x"), ("axis-0", "axis-1", "axis-2"))


def write_table(path: Path | str, table: pd.DataFrame) -> Path:
    """Write a table without its index, piece by piece; the file appears whole or not at all.

    CSV, or Parquet where `path` ends so, which needs pyarrow.

    Raises
    ------
    OutputError
        If the place cannot be written, for example while Excel holds the file.
    """
    if Path(path).suffix == PARQUET:
        return _write_parquet(Path(path), table)
    encoding = "utf-8" if _is_plain(table) else "utf-8-sig"
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding=encoding, newline="") as out,
    ):
        for first in range(0, max(1, len(table)), _ROWS_AT_ONCE):
            part = table.iloc[first : first + _ROWS_AT_ONCE]
            out.write(_csv_text(part, header=first == 0))
    return Path(path)


def write_cells(path: Path, cells: pd.DataFrame) -> Path:
    """Write the cells of a run: as CSV, or beyond a million of them as Parquet.

    Parquet is read ten times faster; it needs pyarrow, without which CSV stays.

    Returns
    -------
    Path
        What was written: `path`, or the same with `.parquet`.
    """
    if len(cells) > MOST_SHEET_ROWS and _has_pyarrow():
        path = path.with_suffix(PARQUET)
    return write_table(path, cells)


def write_table_parts(
    path: Path, table: pd.DataFrame, kept: npt.NDArray[np.bool_] | None = None, *, most_rows: int
) -> list[Path]:
    """Write a table as one file, or as several of at most so many rows: `name_part1.csv` …

    Where `kept` tells for each row whether it is written, only the rows of one part are copied.

    Returns
    -------
    list of Path
        The files.
    """
    rows = np.arange(len(table)) if kept is None else np.flatnonzero(kept)
    if len(rows) <= most_rows:
        return [write_table(path, table if len(rows) == len(table) else table.iloc[rows])]
    return [
        write_table(
            path.with_name(f"{path.stem}_part{number}{path.suffix}"),
            table.iloc[rows[first : first + most_rows]],
        )
        for number, first in enumerate(range(0, len(rows), most_rows), start=1)
    ]


def read_table(path: Path | str) -> pd.DataFrame:
    """Read what `write_table` wrote; text columns of ours stay text even if they hold digits.

    Raises
    ------
    InputError
        If it is missing or no table.
    """
    if Path(path).suffix == PARQUET:
        return _read_parquet(Path(path))
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
        raise _no_table(path, error) from error
    table.columns = [str(_bare(name)) for name in table.columns]
    for name in table.columns[[not _is_number(table[c]) for c in table.columns]]:
        table[name] = table[name].map(_bare)
    return table


def _write_parquet(path: Path, table: pd.DataFrame) -> Path:
    import pyarrow
    from pyarrow import parquet

    schema = pyarrow.Schema.from_pandas(table, preserve_index=False)
    with atomic_path(path) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
        for first in range(0, max(1, len(table)), _ROWS_AT_ONCE):
            rows = table.iloc[first : first + _ROWS_AT_ONCE]
            writer.write_table(pyarrow.Table.from_pandas(rows, schema, preserve_index=False))
    return path


def _read_parquet(path: Path) -> pd.DataFrame:
    with _parquet_file(path) as file:
        # One by one, so that the table is never there twice.
        columns = {name: file.read([name]).to_pandas()[name] for name in file.schema_arrow.names}
    return pd.DataFrame(columns, copy=False)


@contextmanager
def _parquet_file(path: Path) -> Iterator[ParquetFile]:
    if not _has_pyarrow():
        raise InputError(
            "It is a Parquet table, which needs the package pyarrow; it is not installed here.",
            how_to_install("parquet"),
            path=path,
        )
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            yield file
    except (OSError, ValueError) as error:
        raise _no_table(path, error) from error


def _pieces(path: Path) -> Iterator[pd.DataFrame]:
    """The rows of a table in their order; of Parquet a group at a time, in bounded memory."""
    if path.suffix != PARQUET:
        yield read_table(path)
        return
    with _parquet_file(path) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group).to_pandas()


def _has_pyarrow() -> bool:
    return importlib.util.find_spec("pyarrow") is not None


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
        column for _, source in tables for column in _header(source) if column != "file"
    )
    ordered = ["file", *columns]
    ascii_only = all(_is_ascii(name, source) for name, source in tables)
    with atomic_path(path) as temporary:
        encoding = "utf-8" if ascii_only else "utf-8-sig"
        with temporary.open("w", encoding=encoding, newline="") as out:
            out.write(_csv_text(pd.DataFrame(columns=ordered)))
            for name, source in tables:
                for cells in _pieces(source):
                    cells["file"] = name
                    out.write(_csv_text(cells.reindex(columns=ordered), header=False))
    return Path(path)


def write_summary(path: Path | str, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write ``summary.csv``: one row per volume; rows may differ in what they have."""
    return write_table(path, pd.DataFrame(list(rows)))


def write_errors(path: Path | str, failures: Sequence[RunFailure]) -> Path:
    """Write ``errors.csv``: one row per volume that could not be done, and what to do about it."""
    rows = [
        {
            "file": str(failure.source),
            "problem": failure.problem,
            "remedy": failure.remedy,
            "kind": "bug" if failure.bug else "input",
        }
        for failure in failures
    ]
    return write_table(path, pd.DataFrame(rows, columns=["file", "problem", "remedy", "kind"]))


def read_points_csv(path: Path | str) -> npt.NDArray[np.float64]:
    """Read points, one per row.

    Columns ``z``, ``y``, ``x`` in any order among others, or napari's ``axis-0`` to ``axis-2``, or
    no header and three columns in the order z, y, x.

    Returns
    -------
    array
        Shape (n, 3): z, y, x as the file has them, usually in voxels.

    Raises
    ------
    InputError
        If it is missing, has no such columns, or a value is no number; the line is named.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        rows = [row for row in csv.reader(io.StringIO(text)) if any(c.strip() for c in row)]
    except (OSError, ValueError, csv.Error) as error:
        raise _no_table(path, error) from error
    if not rows:
        raise _no_table(path, ValueError("it is empty"))
    columns = _point_columns(rows[0])
    first = 0 if columns is None else 1
    if columns is None and (len(rows[0]) != 3 or not all(_is_numeric(c) for c in rows[0])):
        raise InputError(
            "It has no columns z, y and x.", "Name them so in the first line.", path=path
        )
    points = [
        _point(row, columns or (0, 1, 2), line, path)
        for line, row in enumerate(rows[first:], start=first + 1)
    ]
    return np.array(points, dtype=np.float64).reshape(-1, 3)


def _point_columns(header: list[str]) -> tuple[int, int, int] | None:
    names = [name.strip().lower() for name in header]
    for wanted in _POINT_NAMES:
        if all(names.count(name) == 1 for name in wanted):
            z, y, x = (names.index(name) for name in wanted)
            return z, y, x
    return None


def _point(
    row: list[str], columns: tuple[int, int, int], line: int, path: Path | str
) -> tuple[float, float, float]:
    try:
        z, y, x = (float(row[column]) for column in columns)
    except (ValueError, IndexError) as error:
        raise InputError(
            f"Row {line} is not three numbers: {','.join(row)[:60]!r}.", "Correct it.", path=path
        ) from error
    return z, y, x


def _is_numeric(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _csv_text(table: pd.DataFrame, *, header: bool = True) -> str:
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


def _is_plain(table: pd.DataFrame) -> bool:
    """Whether everything that will be written is ASCII; numbers are."""
    texts = [table[name] for name in table.columns if not _is_number(table[name])]
    return all(str(name).isascii() for name in table.columns) and all(
        str(cell).isascii() for column in texts for cell in column
    )


def _header(path: Path) -> list[str]:
    return list(read_table_header(path))


def read_table_header(path: Path | str) -> tuple[str, ...]:
    """The column names of a table."""
    if Path(path).suffix == PARQUET:
        with _parquet_file(Path(path)) as file:
            return tuple(str(name) for name in file.schema_arrow.names)
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            names = next(csv.reader(file), [])
    except (OSError, ValueError, csv.Error) as error:
        raise _no_table(path, error) from error
    return tuple(str(_bare(name)) for name in names)


def _is_ascii(name: str, source: Path) -> bool:
    if source.suffix == PARQUET:
        return name.isascii()
    # `write_table` marks what is not plain ASCII, so three bytes tell.
    with source.open("rb") as file:
        return name.isascii() and file.read(3) != b"\xef\xbb\xbf"


def _no_table(path: Path | str, error: Exception) -> InputError:
    reason = "it is not there" if isinstance(error, FileNotFoundError) else str(error)
    reason = " ".join(reason.split())[:160]
    return InputError(f"It cannot be read as a table: {reason}.", "Check the file.", path=path)
