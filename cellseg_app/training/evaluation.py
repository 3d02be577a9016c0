"""How good a network is on labelled samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from skimage.morphology import h_maxima
from skimage.segmentation import watershed
from torch import nn

from cellseg_app.inference.windows import read_reflected
from cellseg_app.training.network_input import OWN_INPUT, Batch, NetworkInput
from cellseg_app.training.samples import Sample

Activation = Literal["sigmoid", "softmax", "identity"]
Predict = Callable[[Sample], npt.NDArray[np.float32]]
# Every network's windows must be multiples of a power of two no larger than this.
_MULTIPLE = 32


@dataclass(frozen=True)
class Accuracy:
    """Agreement with labels: overlap of the foreground, and objects found (F1 at IoU 0.5)."""

    dice: float
    f1: float


def split_at_peaks(
    probability: npt.NDArray[np.float32], *, threshold: float = 0.5, h: float = 0.05
) -> npt.NDArray[np.int32]:
    """Objects of a centre-peaked map: one for each peak that stands `h` above its saddle."""
    foreground = probability > threshold
    if not np.isfinite(probability).all():
        # h_maxima would never return; a network that has diverged finds nothing.
        return np.zeros(probability.shape, np.int32)
    peaks = h_maxima(probability, h).astype(bool) & foreground
    seeds, _ = ndimage.label(peaks, np.ones((3, 3, 3)))
    return np.asarray(watershed(-probability, seeds, mask=foreground), dtype=np.int32)


def predictor(
    network: nn.Module,
    *,
    activation: Activation,
    fast: bool,
    seen_as: NetworkInput = OWN_INPUT,
) -> Predict:
    """Wrap a network as a function from a sample to its first class, padded as needed."""

    def predict(sample: Sample) -> npt.NDArray[np.float32]:
        depth, height, width = (-(-size // _MULTIPLE) * _MULTIPLE for size in sample.image.shape)
        batch = as_batch(sample, (depth, height, width))
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=fast):
            output = seen_as(network, batch).float()
        if activation == "softmax":
            output = torch.softmax(output, dim=1)
        elif activation == "sigmoid":
            output = torch.sigmoid(output)
        z, y, x = sample.image.shape
        return np.ascontiguousarray(output[0, 0].numpy()[:z, :y, :x])

    return predict


def as_batch(sample: Sample, shape_zyx: tuple[int, int, int]) -> Batch:
    """Return a sample as a batch of one, cut or filled up with its reflection."""
    image = read_reflected(sample.image.astype(np.float32), (0, 0, 0), shape_zyx)
    tensor = torch.from_numpy(np.ascontiguousarray(image))[None, None]
    return Batch(tensor, tensor, torch.tensor([sample.low]), torch.tensor([sample.span]))


def count_matches(
    found: npt.NDArray[np.integer[Any]],
    truth: npt.NDArray[np.integer[Any]],
    *,
    minimum_iou: float = 0.5,
    minimum_voxels: int = 1,
) -> tuple[int, int, int]:
    """Return (matched, found, true) objects; above an IoU of 0.5 a partner is unique."""
    found, truth = drop_small(found, minimum_voxels), drop_small(truth, minimum_voxels)
    n_found, n_true = int(found.max(initial=0)), int(truth.max(initial=0))
    pairs = np.bincount(
        found.ravel().astype(np.int64) * (n_true + 1) + truth.ravel(),
        minlength=(n_found + 1) * (n_true + 1),
    ).reshape(n_found + 1, n_true + 1)
    union = pairs.sum(1, keepdims=True) + pairs.sum(0, keepdims=True) - pairs
    iou = pairs[1:, 1:] / np.maximum(union[1:, 1:], 1)
    return int((iou > minimum_iou).sum()), n_found, n_true


def drop_small(labels: npt.NDArray[np.integer[Any]], minimum_voxels: int) -> npt.NDArray[np.int64]:
    """Labels without objects of fewer voxels, numbered from 1."""
    keep = np.bincount(labels.ravel()) >= max(1, minimum_voxels)
    keep[0] = False
    return np.asarray(np.where(keep, np.cumsum(keep), 0)[labels], dtype=np.int64)


def evaluate(
    predict: Predict, samples: Iterable[Sample], *, threshold: float = 0.5, h: float = 0.05
) -> Accuracy:
    """Mean Dice, and F1 over all objects, of a network on samples.

    Parameters
    ----------
    predict
        Takes a sample, gives the map (Z, Y, X).
    samples
        What to judge by.
    threshold
        What counts as foreground.
    h
        By how much a peak must stand above its saddle.
    """
    overlap = np.zeros(2)
    matches = np.zeros(3)
    for sample in samples:
        probability = predict(sample)
        mask, truth = probability > threshold, sample.labels > 0
        overlap += [2 * (mask & truth).sum(), mask.sum() + truth.sum()]
        matches += count_matches(
            split_at_peaks(probability, threshold=threshold, h=h), sample.labels, minimum_voxels=30
        )
    return Accuracy(
        dice=float(overlap[0] / max(1.0, overlap[1])),
        f1=float(2 * matches[0] / max(1.0, matches[1] + matches[2])),
    )
