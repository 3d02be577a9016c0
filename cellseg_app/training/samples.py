"""Training samples: volumes brought to a network's lattice and scale, kept in a folder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_app.atomic import atomic_path
from cellseg_app.core.blocks import whole
from cellseg_app.core.errors import InputError
from cellseg_app.core.volume import LazyArray, ShapeZYX
from cellseg_app.inference.background import sample_for_scale, without_background
from cellseg_app.inference.cards import Normalization
from cellseg_app.inference.normalize import IntensityScale, intensity_scale
from cellseg_app.inference.resample import ResampledArray, resample
from cellseg_app.training.foreground import plain_foreground
from cellseg_app.training.requests import TargetKind
from cellseg_app.training.settings import OWN_NORMALIZATION
from cellseg_app.training.targets import centre_peaked, resample_labels, typical_diameter

LOW_QUANTILE = OWN_NORMALIZATION.low_quantile
HIGH_QUANTILE = OWN_NORMALIZATION.high_quantile


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
    low, span
        Camera counts where `image` is 0, and from there to where it is 1.
    """

    image: npt.NDArray[np.float16]
    target: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint16]
    low: float = 0.0
    span: float = 1.0

    def cut(self, region: tuple[slice, ...]) -> Sample:
        """The part of the sample in a region."""
        return replace(
            self,
            image=self.image[region],
            target=self.target[region],
            labels=self.labels[region],
        )


def make_sample(
    image: npt.NDArray[Any],
    labels: npt.NDArray[np.integer[Any]],
    *,
    step_zyx: tuple[float, float, float],
    object_diameter_voxels: float | None,
    diameter: float | None = None,
    normalization: Normalization = OWN_NORMALIZATION,
    target: TargetKind = "centre_peaked",
) -> Sample:
    """Bring a volume and its labels to the network's lattice and intensity scale.

    Parameters
    ----------
    image, labels
        (Z, Y, X).
    step_zyx
        Voxel size, any unit.
    object_diameter_voxels
        Diameter of a typical object on the network's lattice; None keeps the volume's lattice.
    diameter
        Typical diameter in the unit of `step_zyx`; measured from the labels if not given.
    normalization
        Its quantiles become 0 and 1.
    target
        What the network is to answer.
    """
    shape: ShapeZYX = (image.shape[0], image.shape[1], image.shape[2])
    if object_diameter_voxels is not None:
        known = diameter or typical_diameter(labels, step_zyx)
        if known is None:
            raise InputError("Without any labelled object the object size is unknown.", "Give it.")
        z, y, x = (
            max(8, round(size * step / known * object_diameter_voxels))
            for size, step in zip(image.shape, step_zyx, strict=True)
        )
        shape = (z, y, x)
    objects = resample_labels(labels, shape) if shape != labels.shape else labels
    answer = centre_peaked(objects) if target == "centre_peaked" else plain_foreground(objects)
    view = ResampledArray(image, shape)
    seen = without_background(view, normalization, object_diameter_voxels)
    scale = volume_scale(image, seen, normalization)
    # Scaled first where nothing is taken away: recipes in older cards then repeat to the last bit.
    as_it_is = seen is view
    voxels = resample(scale.apply(image), shape) if as_it_is else scale.apply(seen[whole(shape)])
    return Sample(
        image=np.clip(voxels, -100, 1000).astype(np.float16),
        target=np.rint(255 * answer).astype(np.uint8),
        labels=objects.astype(np.uint16),
        low=scale.low,
        span=max(scale.high - scale.low, 0.0) or 1.0,
    )


def volume_scale(image: LazyArray, seen: LazyArray, normalization: Normalization) -> IntensityScale:
    """Return the scale that puts the quantiles of the card at 0 and 1, whatever its kind.

    Parameters
    ----------
    image, seen
        The volume, and what the network sees of it, as `sample_for_scale` takes them.
    normalization
        Of the card.
    """
    ends = (normalization.low_quantile, normalization.high_quantile)
    if normalization.kind == "none":
        ends = (LOW_QUANTILE, HIGH_QUANTILE)
    return intensity_scale(sample_for_scale(image, seen), *ends, rescale=True)


def write_sample(sample: Sample, path: Path) -> None:
    """Write a sample; a reader never sees half of it."""
    with atomic_path(path) as partial, partial.open("wb") as file:
        np.savez(
            file,
            image=sample.image,
            target=sample.target,
            labels=sample.labels,
            scale=np.array([sample.low, sample.span]),
        )


def read_sample(path: Path) -> Sample:
    """Read a sample written by `write_sample`."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            low, span = stored["scale"] if "scale" in stored else (0.0, 1.0)
            arrays = (stored["image"], stored["target"], stored["labels"])
            return Sample(*arrays, float(low), float(span))
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
