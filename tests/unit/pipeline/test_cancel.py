from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from cellseg_app.core.errors import Cancelled
from cellseg_app.core.progress import CancelToken, Progress
from cellseg_app.core.settings import RunSettings
from cellseg_app.inference.weights import load_network
from cellseg_app.io.tiff_write import write_volume_tiff
from cellseg_app.pipeline.preparing import RunRequest
from cellseg_app.pipeline.reporting import Reporting
from cellseg_app.pipeline.run_volume import run_volume
from cellseg_app.pipeline.workspace import FOLDER_NAME
from tests.blur_network import write_blur_network


@pytest.mark.parametrize("stage", ["network", "writing map", "Measuring cells", "writing table"])
def test_cancel_leaves_nothing_half_written(tmp_path: Path, stage: str) -> None:
    image = np.random.default_rng(0).integers(0, 1000, (60, 64, 64)).astype(np.uint16)
    source = write_volume_tiff(tmp_path / "v.tif", image, spacing_um_zyx=(1, 1, 1))
    loaded = load_network(write_blur_network(tmp_path, "blur"))
    out = tmp_path / "out"
    cancel, after_cancel = CancelToken(), 0

    def listen(report: Progress) -> None:
        nonlocal after_cancel
        if cancel.cancelled:
            after_cancel += 1
        elif report.stage == stage and (report.done > 4 or stage != "network"):
            cancel.cancel()

    request = RunRequest(source, out, RunSettings(), datetime.now().astimezone())
    with pytest.raises(Cancelled):
        run_volume(request, loaded, Reporting(listen, cancel))
    assert after_cancel <= 1
    assert not [path for path in out.rglob("*") if "partial" in path.name]
    assert [path.name for path in out.iterdir()] == [FOLDER_NAME]
