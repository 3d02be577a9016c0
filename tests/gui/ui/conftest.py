"""Parts of the window on their own."""

from __future__ import annotations

import os
from collections.abc import Iterator

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["QT_API"] = "pyside6"

import numpy as np
import pandas as pd
import pytest
from PySide6.QtWidgets import QApplication

from cellseg_app.ui.cells import Cells
from cellseg_app.ui.theme import Appearance
from cellseg_app.workers.lane import Lane


@pytest.fixture
def appearance(qapp: QApplication) -> Appearance:
    """The light theme."""
    return Appearance(qapp, "light")


@pytest.fixture
def lane(qapp: QApplication) -> Iterator[Lane]:
    """A thread for jobs."""
    lane = Lane("test")
    yield lane
    assert lane.stop()


def many_cells(n: int) -> pd.DataFrame:
    """A table of cells whose ids are not their rows."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "label": rng.permutation(n) * 3 + 1,
            "n_voxels": rng.integers(10, 500, n),
            "volume_um3": rng.gamma(4, 30, n),
            "centroid_z_voxel": rng.uniform(0, 99, n),
            "centroid_y_voxel": rng.uniform(0, 99, n),
            "centroid_x_voxel": rng.uniform(0, 99, n),
            "intensity_mean": rng.normal(500, 50, n),
            "touches_border": rng.random(n) < 0.1,
        }
    )


@pytest.fixture
def cells(qapp: QApplication) -> Cells:
    """300 cells."""
    cells = Cells()
    cells.set_table(many_cells(300))
    return cells
