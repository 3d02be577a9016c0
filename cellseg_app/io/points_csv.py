"""Points in CSV files, such as cells marked by hand."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from cellseg_app.core.errors import InputError
from cellseg_app.io.refusals import no_table

_POINT_NAMES: Final = (("z", "y", "x"), ("axis-0", "axis-1", "axis-2"))


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
        raise no_table(path, error) from error
    if not rows:
        raise no_table(path, ValueError("it is empty"))
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
