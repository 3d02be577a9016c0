"""A bundled network run the plugin's way and CellSeg's way: seconds, and whether both agree.

The baseline moves MONAI's windows of 64³ with an overlap of a quarter over the same scaled volume,
one at a time in float32; its map then goes through the plugin's watershed and statistics, which
are timed, and through CellSeg's instances, whose cells are compared.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
import torch
from monai.inferers.utils import sliding_window_inference

from cellseg_app.analysis.accuracy import compare_labels
from cellseg_app.analysis.instances import segment_instances
from cellseg_app.core.blocks import whole
from cellseg_app.core.settings import InstanceSettings
from cellseg_app.inference.background import without_background
from cellseg_app.inference.catalog import list_weights
from cellseg_app.inference.runtime.agreement import dice_of
from cellseg_app.inference.weights import LoadedNetwork, load_network
from cellseg_app.training.samples import volume_scale
from tests.benchmarks.postprocess import plugin_statistics, plugin_watershed

WINDOW = (64, 64, 64)
_OVERLAP = 0.25


def bundled_run(path: str, network: str) -> dict[str, Any]:
    """Run a bundled network over a file both ways, in the file's own voxels.

    Returns
    -------
    Seconds of both whole runs; Dice of what lies above the default threshold; cells of both maps,
    parted by the same method; F1 of one set of cells against the other at an IoU of 0.5.
    """
    cards = {each.name: each.card_path for each in list_weights() if each.origin == "bundled"}
    card_path = cards[network]
    assert card_path is not None
    loaded = load_network(card_path)
    begin = time.perf_counter()
    expected = _baseline_map(loaded, tifffile.imread(path))
    plugin_statistics(plugin_watershed(expected.astype(np.float16)))
    baseline_s = time.perf_counter() - begin
    own_s, record = _own_run(path, network)
    threshold = record["used"]["threshold"]
    truth = _cells(expected, record["used"])
    masks = [torch.from_numpy(each > threshold) for each in (expected, record["map"])]
    return {
        "baseline_s": baseline_s,
        "own_s": own_s,
        "network_s": record["seconds"]["network"],
        "dice": round(dice_of(*masks), 5),
        "baseline_cells": int(truth.max(initial=0)),
        "own_cells": record["n_cells"],
        "same_cells": compare_labels(record["labels"], truth, min_voxels=1).matches[0].f1,
        "precision": record["used"]["precision"],
    }


def plugin_windows(
    volume: torch.Tensor, predict: Callable[[torch.Tensor], torch.Tensor], **blending: Any
) -> torch.Tensor:
    """What a network gives for a volume (1, 1, Z, Y, X), one window at a time."""
    with torch.inference_mode():
        found: Any = sliding_window_inference(
            volume, WINDOW, 1, predict, overlap=_OVERLAP, **blending
        )
    return torch.as_tensor(found)


def _baseline_map(loaded: LoadedNetwork, image: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    card = loaded.card
    seen = without_background(image, card.normalization, card.object_diameter_voxels)
    scale = volume_scale(image, seen, card.normalization)
    scaled = torch.from_numpy(scale.apply(seen[whole(image.shape)]))

    def predicted(window: torch.Tensor) -> torch.Tensor:
        answer = loaded.module(window)
        if card.output.activation == "softmax":
            return torch.softmax(answer, 1)[:, card.output.foreground_class or 0][:, None]
        return torch.sigmoid(answer) if card.output.activation == "sigmoid" else answer

    blending = {"mode": "gaussian", "sigma_scale": card.blend_sigma}
    found = plugin_windows(scaled[None, None], predicted, **blending)
    return np.asarray(found[0, 0].numpy(), np.float32)


def _own_run(path: str, network: str) -> tuple[float, dict[str, Any]]:
    from cellseg_app.cli import main

    with tempfile.TemporaryDirectory() as folder:
        for attempt in ("first", "again"):
            out = Path(folder, attempt)
            begin = time.perf_counter()
            code = main(["run", path, "-o", str(out), "--model", network, "--diameter", "none"])
            seconds = time.perf_counter() - begin
            if code:
                raise RuntimeError(f"cellseg run ended with {code}")
        (written,) = [each for each in out.glob("*.json") if "_pred1" in each.name]
        record = json.loads(written.read_text(encoding="utf-8"))
        record["map"] = tifffile.imread(out / record["files"]["probability"]).astype(np.float32)
        record["labels"] = tifffile.imread(out / record["files"]["labels"])
        if record["map"].ndim > len(WINDOW):  # Z, C, Y, X, as ImageJ has it
            record["map"] = record["map"][:, record["used"]["foreground_class"]]
    return seconds, record


def _cells(probability: npt.NDArray[np.float32], used: dict[str, Any]) -> npt.NDArray[np.uint32]:
    labels = np.zeros(probability.shape, np.uint32)
    chosen = used["instance_options"]
    options = {name: chosen[name] for name in InstanceSettings.model_fields if name in chosen}
    segment_instances(
        probability.astype(np.float16),
        labels,
        method=used["instance_method"],
        threshold=used["threshold"],
        options=InstanceSettings.model_validate(options),
    )
    return labels
