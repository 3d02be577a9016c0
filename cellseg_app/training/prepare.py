"""From folders of image and label files to the samples a network learns from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_app.core.blocks import whole
from cellseg_app.core.errors import InputError
from cellseg_app.core.progress import CancelToken, ProgressSink, StageProgress
from cellseg_app.core.volume import SpacingZYX
from cellseg_app.io.naming import volume_name
from cellseg_app.io.open import open_volume
from cellseg_app.training.evaluation import drop_small
from cellseg_app.training.requests import TargetKind
from cellseg_app.training.samples import make_sample, write_sample
from cellseg_app.training.simulator.stream import IMAGE_SUFFIX, LABELS_SUFFIX
from cellseg_app.training.targets import typical_diameter
from cellseg_app.training.worker_pool import worker_pool

MINIMUM_OBJECT_VOXELS = 10
_FEWEST_OBJECTS = 3


@dataclass(frozen=True)
class Pair:
    """An image file and its labels."""

    image: Path
    labels: Path

    @property
    def name(self) -> str:
        """What both files are called, without their endings."""
        if self.image.name.endswith(IMAGE_SUFFIX):
            return self.image.name.removesuffix(IMAGE_SUFFIX)
        return volume_name(self.image)


@dataclass(frozen=True)
class Lattice:
    """How samples are made: object size, and voxel size of files that do not state theirs."""

    object_diameter_voxels: float
    fallback_spacing_um_zyx: SpacingZYX | None = None


def find_pairs(folder: Path) -> list[Pair]:
    """Return every `NAME_image.tif` that has a `NAME_labels.tif` beside it, by name.

    Raises
    ------
    InputError
        There is none.
    """
    images = sorted(folder.glob(f"*{IMAGE_SUFFIX}"))
    pairs = [
        Pair(image, image.with_name(image.name.removesuffix(IMAGE_SUFFIX) + LABELS_SUFFIX))
        for image in images
    ]
    pairs = [pair for pair in pairs if pair.labels.exists()]
    if not pairs:
        raise InputError(
            "The folder holds no training pairs.",
            f"Name them NAME{IMAGE_SUFFIX} and NAME{LABELS_SUFFIX}.",
            path=folder,
        )
    return pairs


def prepare_samples(
    pairs: Sequence[Pair],
    out: Path,
    lattice: Lattice,
    *,
    target: TargetKind = "centre_peaked",
    workers: int = 1,
    progress: ProgressSink | None = None,
    cancel: CancelToken | None = None,
) -> None:
    """Bring pairs to the network's lattice and scale; those already there are kept.

    Parameters
    ----------
    pairs
        What to prepare.
    out
        Folder of samples.
    lattice
        Object size on the network's lattice, voxel size of files that do not state it.
    target
        What the network is to answer.
    workers
        Processes; 1 works in this one.
    progress, cancel
        One step a pair.

    Raises
    ------
    InputError
        A file cannot be read, image and labels differ in shape, or the voxel size is unknown.
    """
    out.mkdir(parents=True, exist_ok=True)
    stage = StageProgress(progress, "Prepare samples", len(pairs), cancel=cancel)
    if workers <= 1:
        for pair in pairs:
            _prepare(pair, out, lattice, target)
            stage.advance()
        return
    with worker_pool(workers) as pool:
        jobs = [pool.submit(_prepare, pair, out, lattice, target) for pair in pairs]
        try:
            for job in as_completed(jobs):
                job.result()
                stage.advance()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def sample_path(pair: Pair, out: Path, lattice: Lattice, target: TargetKind) -> Path:
    """Where the sample of a pair lies; another lattice or target gives another name."""
    told = f"{pair.image.resolve()}:{lattice}:{target}"
    key = hashlib.sha256(told.encode()).hexdigest()[:10]
    return out / f"{pair.name}_{key}.npz"


def _prepare(pair: Pair, out: Path, lattice: Lattice, target: TargetKind) -> None:
    path = sample_path(pair, out, lattice, target)
    if path.exists():
        return
    image, labels, step = read_pair(pair, lattice.fallback_spacing_um_zyx)
    objects = drop_small(labels, MINIMUM_OBJECT_VOXELS)
    diameter = typical_diameter(objects, step) if objects.max() >= _FEWEST_OBJECTS else None
    # Almost empty volumes tell no object size: any zoom will do, as long as it is the same again.
    chance = np.random.default_rng(int(hashlib.sha256(pair.name.encode()).hexdigest()[:8], 16))
    edge = float(np.cbrt(np.prod(np.multiply(image.shape, step))))
    sample = make_sample(
        image,
        objects,
        step_zyx=step,
        object_diameter_voxels=lattice.object_diameter_voxels,
        diameter=diameter or edge / chance.uniform(6, 10),
        target=target,
    )
    write_sample(sample, path)


def read_pair(
    pair: Pair, fallback_spacing_um_zyx: SpacingZYX | None
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], SpacingZYX]:
    """Return image, labels (Z, Y, X) and voxel size.

    Raises
    ------
    InputError
        A file cannot be read, the two differ in shape, or the voxel size is unknown.
    """
    volume = open_volume(pair.image)
    image = volume.data[whole(volume.shape_zyx)]
    stored = open_volume(pair.labels)
    labels = stored.data[whole(stored.shape_zyx)]
    if image.shape != labels.shape:
        raise InputError(
            f"Image and labels differ in shape ({image.shape} and {labels.shape}).",
            f"Export the labels anew from {pair.image.name}.",
            path=pair.labels,
        )
    step = volume.spacing_um_zyx or fallback_spacing_um_zyx
    if step is None:
        raise InputError(
            "The voxel size is not stated.", "Give it with --voxel-size Z Y X.", path=pair.image
        )
    return image, labels, step
