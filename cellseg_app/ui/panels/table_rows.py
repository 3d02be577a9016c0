"""Which rows of a table are seen, in which order; made in any thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import Qt

from cellseg_app.core.cell_columns import CellColumns

Places = npt.NDArray[np.intp]
SortedBy = tuple[str, Qt.SortOrder]


@dataclass(frozen=True, slots=True, eq=False)
class SeenRows:
    """Rows of a table as they are seen.

    Attributes
    ----------
    sorted_by
        What they are sorted by; None for the order of the table.
    every
        All rows of the table, sorted.
    order
        Those that pass the filters.
    places
        For each row of the table where it is in `order`, or -1; None if that is the row itself.
    """

    sorted_by: SortedBy | None
    every: Places
    order: Places
    places: npt.NDArray[np.int32] | None

    def places_of(self, rows: Places) -> Places:
        """Where rows of the table are seen, ascending; those filtered out are nowhere."""
        if self.places is None:
            return rows
        places = np.sort(self.places[rows].astype(np.intp))
        return np.asarray(places[places >= 0], np.intp)


def seen_rows(
    table: CellColumns,
    kept: npt.NDArray[np.bool_],
    sorted_by: SortedBy | None,
    before: SeenRows | None = None,
) -> SeenRows:
    """Sort and filter the rows of a table.

    Parameters
    ----------
    table
        The table.
    kept
        Which of its rows pass the filters.
    sorted_by
        A column and a direction; None for the order of the table.
    before
        Rows of the same table: what was sorted alike is not sorted again.
    """
    natural = np.arange(len(table))
    if before is not None and before.sorted_by == sorted_by:
        every = before.every
    elif sorted_by is None:
        every = natural
    else:
        every = order_of(table.column(sorted_by[0]), sorted_by[1])
    order = every if kept.all() else every[kept[every]]
    if len(order) == len(natural) and np.array_equal(order, natural):
        return SeenRows(sorted_by, every, order, None)
    places = np.full(len(natural), -1, np.int32)
    places[order] = np.arange(len(order), dtype=np.int32)
    return SeenRows(sorted_by, every, order, places)


def order_of(keys: npt.NDArray[Any], order: Qt.SortOrder) -> Places:
    """The places of sorted keys; equal ones keep their order, whichever way is asked for."""
    if order == Qt.SortOrder.DescendingOrder:
        # Reversed twice, so that equal values keep their order.
        backwards = np.argsort(keys[::-1], kind="stable")[::-1]
        return np.asarray(len(keys) - 1 - backwards, np.intp)
    return np.asarray(np.argsort(keys, kind="stable"), np.intp)
