"""The whole folder route of the CellSeg3D plugin, against what the plugin itself gave."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
import torch

from cellseg_app.core.progress import StageProgress
from cellseg_app.core.settings import RunSettings
from cellseg_app.core.volume import Volume
from cellseg_app.inference.nets import build_network
from cellseg_app.inference.session_setup import open_session
from cellseg_app.inference.weights import load_network
from tests.reference_weights import reference_weights


def test_segresnet_checkpoint_gives_the_plugins_map(shared_dir: Path, tmp_path: Path) -> None:
    weights = tmp_path / "SegResNet_latest.pth"
    torch.save(reference_weights(build_network("SegResNet", {})), weights)
    image = tifffile.imread(shared_dir / "data" / "mesospim_c5" / "image.tif")
    settings = RunSettings.model_validate({"inference": {"precision": "float32"}})
    session = open_session(load_network(weights), Volume(image, None, "c5"), settings)
    slabs = session.slabs(StageProgress(None, "network", session.grid.n_windows))
    found = np.concatenate([slab.probability for slab in slabs], axis=1)[0].astype(np.float32)
    expected = np.load(shared_dir / "reference" / "SegResNet.folder_run.npz")["output"]
    difference = np.abs(found[::2, ::2, ::2] - expected)
    assert difference.mean() < 2e-4
    # The plugin trusts the very centre of each window more; nowhere else do the two differ.
    assert (difference > 0.01).mean() < 1e-3
