"""What the table shows, read a page at a time beside the window where it lies in a file."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QObject, QTimer, Signal

from cellseg_app.core.cell_columns import CellColumns
from cellseg_app.ui.latest import Latest

_Page = tuple[int, int]
_PAGE_ROWS: Final = 256
# Of 256 values each: a megabyte.
_MOST_PAGES: Final = 512
# What a screen can show; of more, somebody scrolled past.
_MOST_ASKED: Final = 96
_COLUMNS_AT_ONCE: Final = 4


class TablePages(QObject):
    """Values of a table in the order of its rows on the screen.

    Signals
    -------
    arrived
        First and last row that were read.
    """

    arrived = Signal(int, int)
    failed = Signal(object)

    def __init__(self, table: CellColumns) -> None:
        super().__init__()
        self._table = table
        self._order = np.zeros(0, dtype=np.intp)
        self._pages: OrderedDict[_Page, npt.NDArray[Any]] = OrderedDict()
        self._asked: dict[_Page, None] = {}
        self._is_reading = False
        self._latest = Latest()
        self._latest.failed.connect(self.failed)
        # All that one paint event asks for is read together.
        self._soon = QTimer(self, singleShot=True, interval=0)
        self._soon.timeout.connect(self._read)

    def show(self, table: CellColumns, order: npt.NDArray[np.intp]) -> None:
        """Take another table or order of rows."""
        self._table, self._order = table, order
        self._pages.clear()
        self._asked.clear()
        self._is_reading = False
        self._latest.forget()

    def value(self, row: int, column: int) -> object | None:
        """The value of a column in a row of the screen; None until it is read."""
        if self._table.in_memory:
            return self._table.column(self._table.names[column])[self._order[row]]  # type: ignore[no-any-return]
        number, place = divmod(row, _PAGE_ROWS)
        page = self._pages.get((number, column))
        if page is not None:
            self._pages.move_to_end((number, column))
            return page[place]  # type: ignore[no-any-return]
        self._asked.pop((number, column), None)
        self._asked[number, column] = None
        if not self._is_reading:
            self._soon.start()
        return None

    def _read(self) -> None:
        wanted = list(self._asked)[-_MOST_ASKED:]
        self._asked = dict.fromkeys(wanted)
        if not wanted or self._is_reading:
            return
        # A few at a time, that what was scrolled to meanwhile need not wait long.
        batch = wanted[-_COLUMNS_AT_ONCE:]
        table, order = self._table, self._order
        self._is_reading = True

        def work() -> dict[_Page, npt.NDArray[Any]]:
            return {page: _values(table, order, page) for page in batch}

        self._latest.ask(work, self._take, at_once=False)

    def _take(self, found: dict[_Page, npt.NDArray[Any]]) -> None:
        self._is_reading = False
        self._pages.update(found)
        while len(self._pages) > _MOST_PAGES:
            self._pages.popitem(last=False)
        for page in found:
            self._asked.pop(page, None)
        numbers = [number for number, _ in found]
        last = min((max(numbers) + 1) * _PAGE_ROWS, len(self._order)) - 1
        self.arrived.emit(min(numbers) * _PAGE_ROWS, last)
        if self._asked:
            self._soon.start()


def _values(table: CellColumns, order: npt.NDArray[np.intp], page: _Page) -> npt.NDArray[Any]:
    number, column = page
    rows = order[number * _PAGE_ROWS : (number + 1) * _PAGE_ROWS]
    return table.column(table.names[column], rows)
