"""Tables as Parquet: written in groups of rows, of which only what is wanted is read again."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from cellseg_app.atomic import atomic_path
from cellseg_app.core.cell_columns import ALL_ROWS, LabelIndex, Rows
from cellseg_app.core.errors import InputError
from cellseg_app.core.extras import how_to_install
from cellseg_app.io.refusals import no_table

if TYPE_CHECKING:
    from pyarrow.parquet import FileMetaData, ParquetFile

PARQUET: Final = ".parquet"
_ROWS_AT_ONCE: Final = 50_000


def has_pyarrow() -> bool:
    """Whether Parquet can be read and written here."""
    return importlib.util.find_spec("pyarrow") is not None


def write_parquet(path: Path, parts: Iterable[pd.DataFrame]) -> Path:
    """Write a table that comes in one or more parts, without its index.

    The first part tells the types of the columns; how the table is parted makes no other difference
    to the file, which appears whole or not at all.
    """
    import pyarrow
    from pyarrow import parquet

    parts = iter(parts)
    first = next(parts)
    schema = pyarrow.Schema.from_pandas(first, preserve_index=False)
    groups = _groups(itertools.chain([first], parts))
    with atomic_path(path) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
        for rows in groups:
            writer.write_table(pyarrow.Table.from_pandas(rows, schema, preserve_index=False))
    return path


def _groups(parts: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """The same rows in groups of a fixed size, of which only the last is smaller."""
    rest: pd.DataFrame | None = None
    for part in parts:
        rows = part if rest is None else pd.concat([rest, part], ignore_index=True)
        # The last group waits: it may be the last of all, which is there even without rows.
        n_whole = max(0, len(rows) - 1) // _ROWS_AT_ONCE * _ROWS_AT_ONCE
        for first in range(0, n_whole, _ROWS_AT_ONCE):
            yield rows.iloc[first : first + _ROWS_AT_ONCE]
        rest = rows.iloc[n_whole:]
    if rest is not None:
        yield rest


def parquet_header(path: Path) -> tuple[str, ...]:
    """The column names."""
    with _opened(path) as file:
        return tuple(str(name) for name in file.schema_arrow.names)


def read_parquet(path: Path) -> pd.DataFrame:
    """The whole table."""
    with _opened(path) as file:
        # One by one, so that the table is never there twice.
        columns = {name: file.read([name]).to_pandas()[name] for name in file.schema_arrow.names}
    return pd.DataFrame(columns, copy=False)


def parquet_pieces(path: Path) -> Iterator[pd.DataFrame]:
    """The rows in their order, a group at a time, in bounded memory."""
    with _opened(path) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group).to_pandas()


class ParquetColumns:
    """The columns of a Parquet file; only the label ids are kept in memory.

    The file is open only while it is read, so that it can be replaced meanwhile.

    Raises
    ------
    InputError
        It is missing, no table of cells, or pyarrow is not installed.
    """

    in_memory = False

    def __init__(self, path: Path) -> None:
        from pyarrow import types

        self._path = path
        self._metadata: FileMetaData | None = None
        with _opened(path) as file:
            self._state = _state(path)
            self._metadata, schema = file.metadata, file.schema_arrow
        self.names = tuple(str(name) for name in schema.names)
        if "label" not in self.names:
            raise InputError("It has no column `label`.", "Check the file.", path=path)
        self.numeric = tuple(
            str(field.name)
            for field in schema
            if types.is_integer(field.type)
            or types.is_floating(field.type)
            or types.is_boolean(field.type)
        )
        sizes = [self._metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
        self._ends = np.cumsum([0, *sizes])
        everything = list(self._groups("label", range(len(sizes))))
        self._labels = np.concatenate([np.zeros(0, np.int64), *everything]).astype(np.int64)
        self.index = LabelIndex(self._labels)

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """The label id of every row."""
        return self._labels

    def __len__(self) -> int:
        return int(self._ends[-1])

    def column(self, name: str, rows: Rows = ALL_ROWS) -> npt.NDArray[Any]:
        """The values of a column, of some rows in their order; other groups are not read.

        Raises
        ------
        InputError
            It cannot be read any more.
        """
        if name == "label":
            return self._labels[rows]
        if isinstance(rows, slice):
            if rows == ALL_ROWS:
                return np.concatenate(list(self._groups(name, range(len(self._ends) - 1))))
            rows = np.arange(*rows.indices(len(self)))
        if not len(rows):
            return next(self._groups(name, ()))
        places = np.searchsorted(self._ends, rows, side="right") - 1
        numbers, of_row = np.unique(places, return_inverse=True)
        found = np.empty(0)
        for n, values in enumerate(self._groups(name, numbers.tolist())):
            of_group = np.flatnonzero(of_row == n)
            picked = values[rows[of_group] - self._ends[numbers[n]]]
            dtype = picked.dtype if n == 0 else np.promote_types(found.dtype, picked.dtype)
            found = np.empty(len(rows), dtype) if n == 0 else found.astype(dtype, copy=False)
            found[of_group] = picked
        return found

    def _groups(self, name: str, numbers: Sequence[int]) -> Iterator[npt.NDArray[Any]]:
        with _opened(self._path, self._metadata) as file:
            if _state(self._path) != self._state:
                raise InputError(
                    "It was changed since it was opened.", "Open the result again.", path=self._path
                )
            if not len(numbers):
                yield file.schema_arrow.empty_table().to_pandas()[name].to_numpy()
            for number in numbers:
                # Its own threads would take longer to start than one column takes.
                group = file.read_row_group(number, [name], use_threads=False)
                yield group.column(0).to_pandas().to_numpy()


def _state(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


@contextmanager
def _opened(path: Path, metadata: FileMetaData | None = None) -> Iterator[ParquetFile]:
    if not has_pyarrow():
        raise InputError(
            "It is a Parquet table, which needs the package pyarrow; it is not installed here.",
            how_to_install("parquet"),
            path=path,
        )
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path, metadata=metadata) as file:
            yield file
    except (OSError, ValueError) as error:
        raise no_table(path, error) from error
