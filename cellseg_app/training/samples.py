"""Training samples: volumes brought to a network's lattice and scale, kept in a folder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_app.atomic import atomic_path
from cellseg_app.core.errors import InputError
from cellseg_app.core.volume import ShapeZYX
from cellseg_app.inference.normalize import intensity_scale, sample_voxels
from cellseg_app.inference.resample import resample
from cellseg_app.training.targets import centre_peaked, resample_labels, typical_diameter

LOW_QUANTILE = 0.01
HIGH_QUANTILE = 0.998


@dataclass(frozen=True)
class Sample:
    """One volume as the network sees it, all arrays (Z, Y, X) with cubic voxels.

    Attributes
    ----------
    image
        float16, one scale per volume.
    target
        uint8, the centre-peaked map times 255.
    labels
        uint16 objects.
    """

    image: npt.NDArray[np.float16]
    target: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint16]


def make_sample(
    image: npt.NDArray[Any],
    labels: npt.NDArray[np.integer[Any]],
    *,
    step_zyx: tuple[float, float, float],
    object_diameter_voxels: float,
    diameter: float | None = None,
) -> Sample:
    """Bring a volume and its labels to the network's lattice and intensity scale.

    Parameters
    ----------
    image, labels
        (Z, Y, X).
    step_zyx
        Voxel size, any unit.
    object_diameter_voxels
        Diameter of a typical object on the network's lattice.
    diameter
        Typical diameter in the unit of `step_zyx`; measured from the labels if not given.
    """
    known = diameter or typical_diameter(labels, step_zyx)
    if known is None:
        raise InputError("Without any labelled object the object size is unknown.", "Give it.")
    z, y, x = (
        max(8, round(size * step / known * object_diameter_voxels))
        for size, step in zip(image.shape, step_zyx, strict=True)
    )
    shape: ShapeZYX = (z, y, x)
    scale = intensity_scale(sample_voxels(image), LOW_QUANTILE, HIGH_QUANTILE, rescale=True)
    seen = resample(scale.apply(image), shape)
    objects = resample_labels(labels, shape)
    return Sample(
        image=np.clip(seen, -100, 1000).astype(np.float16),
        target=np.rint(255 * centre_peaked(objects)).astype(np.uint8),
        labels=objects.astype(np.uint16),
    )


def write_sample(sample: Sample, path: Path) -> None:
    """Write a sample; a reader never sees half of it."""
    with atomic_path(path) as partial, partial.open("wb") as file:
        np.savez(file, image=sample.image, target=sample.target, labels=sample.labels)


def read_sample(path: Path) -> Sample:
    """Read a sample written by `write_sample`."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return Sample(stored["image"], stored["target"], stored["labels"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError("This is no training sample.", "Simulate anew.", path=path) from error


def list_samples(folders: Iterable[Path]) -> list[Path]:
    """All samples in some folders, in a stable order."""
    paths = [path for folder in folders for path in sorted(folder.glob("*.npz"))]
    if not paths:
        raise InputError(
            "There are no training samples.", "Make some with `cellseg train simulate`."
        )
    return paths
