"""A user who corrects the cells of a result in the real window, with mouse and keys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from cellseg_app.core.blocks import whole
from cellseg_app.core.cell_columns import frame_of
from cellseg_app.io.run_record import RunRecord, read_record
from cellseg_app.viewers.overview import Overview

if TYPE_CHECKING:
    from tests.e2e.gui.conftest import Driver

CONTROL = Qt.KeyboardModifier.ControlModifier
NONE = Qt.KeyboardModifier.NoModifier


class Corrector:
    """A user who corrects the cells of a result."""

    def __init__(self, driver: Driver, record: Path) -> None:
        self.driver, self.window, self.first = driver, driver.window, record
        self.cells, self.pane = driver.window.desk.cells, driver.window.viewer.ortho.panes["xy"]
        driver.window.open_paths([record])
        driver.until(lambda: len(self.cells.table) > 0)
        self.before = self.shown_labels()

    @property
    def table(self) -> pd.DataFrame:
        return frame_of(self.cells.table)

    def shown_labels(self) -> np.ndarray:
        layer = next(x for x in self.window.viewer.layers if x.key == "labels")
        return np.asarray(layer.data[whole(layer.shape_zyx)])

    def overview(self) -> Overview:
        """The cells as 3D shows them, once they are those of the slices."""
        viewer = self.window.viewer

        def newest() -> Overview | None:
            found = viewer.reader.overviews.get(("labels", 0))
            return found if found is not None and found.layer in viewer.layers else None

        self.driver.until(lambda: newest() is not None)
        found = newest()
        assert found is not None
        return found

    def neighbours(self) -> list[int]:
        """Three cells in one plane."""
        planes = self.table["centroid_z_voxel"].round().astype(int)
        return self.table["label"][planes == planes.mode()[0]].tolist()[:3]

    def click(self, label: int, held: Qt.KeyboardModifier = NONE) -> None:
        """Click a cell in the XY pane, and wait until that is seen."""
        voxel = self.cells.centroid_voxel(label)
        assert voxel is not None
        before = self.cells.chosen
        z = self.window.viewer.state.cursor_zyx[0]
        if voxel[0] != z:
            self.window.viewer.center_on(voxel)
            self.driver.until(lambda: self.pane.cursor_um is not None)
            QApplication.processEvents()
        scale = self.window.viewer.layers[0].scale_zyx
        um = [(v + 0.5) * s for v, s in zip(voxel, scale, strict=True)]
        place = self.pane.to_px((um[0], um[1], um[2])).toPoint()
        QTest.mouseClick(self.pane, Qt.MouseButton.LeftButton, held, place)
        self.driver.until(lambda: self.cells.chosen != before)

    def click_row(self, label: int, held: Qt.KeyboardModifier = NONE) -> None:
        """Click a cell in the table."""
        table = self.window.table
        self.window.docks["table"].raise_()
        QApplication.processEvents()
        index = table.model.index(table.model.row_of(label), 1)
        table.view.scrollTo(index)
        place: QPoint = table.view.visualRect(index).center()
        QTest.mouseClick(table.view.viewport(), Qt.MouseButton.LeftButton, held, place)

    def key(self, key: Qt.Key, held: Qt.KeyboardModifier = NONE) -> None:
        """Press a key where the focus is, and wait until it is done and seen."""
        focus = QApplication.focusWidget()
        assert focus is not None
        QTest.keyClick(focus, key, held)
        self.settle()

    def settle(self) -> None:
        desk = self.window.desk
        self.driver.until(lambda: not desk.lanes.edits.busy and not desk.turns._waiting)

    def ids(self) -> set[int]:
        """Cells of the table, which must be those of the labels and of the count."""
        ids = set(self.table["label"])
        assert ids == set(np.unique(self.shown_labels()).tolist()) - {0}
        assert self.window.run_bar.count.text() == f"{len(ids)} cells"
        return ids

    def messages(self) -> list[str]:
        """What the window has said, newest last."""
        return self.window.desk.messages.texts()

    def saved(self) -> RunRecord:
        record = self.window.desk.session.items[0].record
        assert record is not None
        return read_record(record)
