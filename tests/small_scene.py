"""Small scenes of clear cells, and what a bundled network finds in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cellseg_app.cli import main
from cellseg_app.io.open import open_volume
from cellseg_app.training.simulator.stream import write_volume

Volume = npt.NDArray[np.float32]


def scene_of_cells(centres: npt.NDArray[np.float64], diameter: float, *, edge: int) -> Volume:
    """Blurred balls of brightness 1 on a faint background, with a little noise."""
    body = np.zeros((edge, edge, edge), np.float32)
    grid = np.indices(body.shape)
    for centre in centres:
        distance = np.sqrt(((grid - centre.reshape(3, 1, 1, 1)) ** 2).sum(0))
        body = np.maximum(body, np.clip(diameter / 2 - distance + 0.5, 0, 1))
    seen = ndimage.gaussian_filter(body, 0.12 * diameter)
    noise = np.random.default_rng(1).normal(0, 0.02, seen.shape)
    return np.asarray(0.1 + seen + noise, dtype=np.float32)


def find_cells(
    image: npt.NDArray[Any], card_path: Path, folder: Path, *, diameter_px: float
) -> npt.NDArray[np.uint32]:
    """Labels that `cellseg run` gives with the defaults of a card; cells of isolated voxels too."""
    folder.mkdir(parents=True)
    write_volume(folder / "scene.tif", image, (1.0, 1.0, 1.0))
    command = ["run", str(folder / "scene.tif"), "-o", str(folder / "out"), "--no-stats"]
    command += ["--weights", str(card_path), "--diameter", f"{diameter_px}px"]
    assert main([*command, "--precision", "float32", "--no-probability"]) == 0
    labels = open_volume(next((folder / "out").glob("Instance_seg*.tif"))).data
    return np.asarray(labels[slice(None), slice(None), slice(None)], dtype=np.uint32)
