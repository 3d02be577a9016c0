"""`cellseg points`: from a run to points in voxels of the volume."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cellseg_app.io.points_csv import read_points_csv
from tests.e2e.conftest import SPACING_UM, Cells, Command


@pytest.mark.parametrize("flags", [(), ("--isotropic",), ("--region", "12:43,26:,:57")])
def test_points_lie_in_the_cells_of_the_volume(
    cellseg: Command,
    volume_file: Path,
    network: Path,
    cells: Cells,
    tmp_path: Path,
    flags: tuple[str, ...],
) -> None:
    record = cellseg("run", volume_file, "-o", tmp_path, "--weights", network, *flags).record
    files = [tmp_path / f"points{suffix}" for suffix in (".csv", ".xml", ".npy")]
    outcome = cellseg("points", record, "-o", *files)
    assert outcome.code == 0
    points = read_points_csv(files[0])
    assert len(points) == outcome.of("result")[0]["n_points"] > 3
    uncut = ~pd.read_csv(record.with_suffix(".csv"))["touches_border"].to_numpy()
    z, y, x = np.rint(points[uncut]).astype(int).T
    assert cells.labels[z, y, x].all()
    assert len(set(cells.labels[z, y, x])) == uncut.sum() > 3
    np.testing.assert_allclose(np.load(files[2]), points * SPACING_UM)
    again = cellseg("points", record.with_suffix(".csv"), "-o", tmp_path / "again.csv")
    assert again.code == 0
    assert (tmp_path / "again.csv").read_text() == files[0].read_text()


def test_a_run_without_a_table_has_no_points(
    cellseg: Command, volume_file: Path, network: Path, tmp_path: Path
) -> None:
    record = cellseg("run", volume_file, "-o", tmp_path, "--weights", network, "--no-stats").record
    outcome = cellseg("points", record, "-o", tmp_path / "points.csv")
    assert outcome.code == 2
    assert "measured no cells" in outcome.errors
