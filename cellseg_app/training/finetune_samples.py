"""From a user's pairs to samples to learn from and samples to judge by."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cellseg_app.core.errors import InputError, SettingsError
from cellseg_app.core.progress import CancelToken, ProgressSink, StageProgress
from cellseg_app.core.volume import SpacingZYX
from cellseg_app.inference.cards import Normalization
from cellseg_app.inference.fingerprint import sha256_of
from cellseg_app.training.pairs import clean_labels
from cellseg_app.training.prepare import Pair, read_pair
from cellseg_app.training.requests import TargetKind
from cellseg_app.training.samples import Sample, make_sample, write_sample

_SMALLEST_PART: Final = 8
_FEWEST_OBJECTS: Final = 3
_CUBE: SpacingZYX = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Preparation:
    """How samples are made and divided.

    Attributes
    ----------
    object_diameter_voxels
        On the network's lattice; None leaves volumes as they are.
    validation_share, hold_out, seed
        Which volumes, or which part of a single one, are kept to judge by.
    judged_voxels
        Edge of what is judged of a volume.
    """

    object_diameter_voxels: float | None
    normalization: Normalization
    target: TargetKind
    fallback_spacing_um_zyx: SpacingZYX | None
    validation_share: float
    hold_out: tuple[str, ...]
    seed: int
    judged_voxels: int


@dataclass(frozen=True)
class PreparedData:
    """Folders of samples; `fingerprint` changes with any file and any choice."""

    learn: Path
    validation: Path
    fingerprint: str

    @property
    def judged(self) -> bool:
        """Whether anything is kept to judge by."""
        return any(self.validation.glob("*.npz"))


@dataclass(frozen=True)
class _Facts:
    """Cells of one volume: the diameter of each, in the unit of the voxel size."""

    pair: Pair
    diameters: npt.NDArray[np.float64]


def prepare_finetuning(
    pairs: Sequence[Pair],
    out: Path,
    plan: Preparation,
    *,
    progress: ProgressSink | None = None,
    cancel: CancelToken | None = None,
) -> PreparedData:
    """Bring pairs to the network's lattice and divide them; what is there already is kept.

    Raises
    ------
    InputError
        A file cannot be used, or no label volume holds a cell.
    SettingsError
        Nothing is left to learn from or to judge by.
    """
    data = _folders(pairs, out, plan)
    done = data.learn.parent / "complete"
    if done.exists():
        return data
    # Samples of labels that were corrected since would otherwise be learned from as well.
    shutil.rmtree(out, ignore_errors=True)
    stage = StageProgress(progress, "Prepare samples", 2 * len(pairs), cancel=cancel)
    facts = []
    for pair in pairs:
        facts.append(_look(pair, plan))
        stage.advance()
    pooled = np.concatenate([fact.diameters for fact in facts])
    if not len(pooled):
        raise InputError(
            f"None of the {len(pairs)} label volumes holds a cell.",
            "Give volumes with one whole number per cell, each of ten voxels at least.",
            path=pairs[0].labels,
        )
    judged = held_out(facts, plan)
    for fact in facts:
        enough = len(fact.diameters) >= _FEWEST_OBJECTS
        diameter = float(np.median(fact.diameters if enough else pooled))
        sample = _sample(fact.pair, plan, diameter)
        _write(sample, fact.pair, data, plan, judged)
        stage.advance()
    done.touch()
    return data


def held_out(facts: Sequence[_Facts], plan: Preparation) -> frozenset[str]:
    """Names of the volumes to judge by; none where a part of a single one serves.

    Raises
    ------
    SettingsError
        Every volume, or none, would be held out.
    """
    names = [fact.pair.name for fact in facts]
    if plan.hold_out:
        held = {n for n in names if any(fnmatch(n, pattern) for pattern in plan.hold_out)}
        if not held or len(held) == len(names):
            many = "every volume is" if held else "no volume is"
            raise SettingsError(
                f"With --hold-out {' '.join(plan.hold_out)}, {many} held out.",
                f"The volumes are {', '.join(names)}.",
            )
        return frozenset(held)
    with_cells = sorted(fact.pair.name for fact in facts if len(fact.diameters))
    if not plan.validation_share or len(with_cells) < 2:
        return frozenset()
    count = min(len(with_cells) - 1, max(1, round(plan.validation_share * len(names))))
    order = np.random.default_rng(plan.seed).permutation(len(with_cells))
    return frozenset(with_cells[i] for i in order[:count])


def split_volume(sample: Sample, share: float) -> tuple[Sample, Sample]:
    """Cut a sample along its longest axis into one to learn from and one to judge by.

    Raises
    ------
    SettingsError
        One of the parts would be empty.
    """
    shape = sample.image.shape
    axis = int(np.argmax(shape))
    part = max(_SMALLEST_PART, round(share * shape[axis]))
    for judged in (slice(shape[axis] - part, None), slice(0, part)):
        rest = slice(part, None) if judged.start == 0 else slice(0, shape[axis] - part)
        pieces = []
        for piece in (rest, judged):
            region = [slice(None)] * 3
            region[axis] = piece
            pieces.append(sample.cut(tuple(region)))
        if all(piece.labels.any() for piece in pieces):
            return pieces[0], pieces[1]
    raise SettingsError(
        f"The only volume cannot be divided so that {share:.0%} of it, with cells, is kept to "
        "judge by.",
        "Label more cells, or learn from everything with --validation 0.",
    )


def densest_cube(sample: Sample, edge: int) -> Sample:
    """The cube of a sample that holds most of the cells; smaller samples stay as they are."""
    if all(size <= edge for size in sample.image.shape):
        return sample
    sides = [min(edge, size) for size in sample.image.shape]
    density = ndimage.uniform_filter((sample.labels > 0).astype(np.float32), sides, mode="constant")
    centre = np.unravel_index(int(np.argmax(density)), density.shape)
    starts = (
        int(np.clip(c - side // 2, 0, size - side))
        for c, side, size in zip(centre, sides, density.shape, strict=True)
    )
    return sample.cut(tuple(slice(s, s + side) for s, side in zip(starts, sides, strict=True)))


def _folders(pairs: Sequence[Pair], out: Path, plan: Preparation) -> PreparedData:
    digest = hashlib.sha256(repr(plan).encode())
    for pair in pairs:
        digest.update(f"{pair.name}:{sha256_of(pair.image)}:{sha256_of(pair.labels)}".encode())
    name = digest.hexdigest()[:16]
    return PreparedData(out / name / "learn", out / name / "validation", name)


def _fallback(plan: Preparation) -> SpacingZYX | None:
    # Nothing is resized without an object size, so that the voxel size does not matter.
    return plan.fallback_spacing_um_zyx or (_CUBE if plan.object_diameter_voxels is None else None)


def _look(pair: Pair, plan: Preparation) -> _Facts:
    _, labels, step = read_pair(pair, _fallback(plan))
    sizes = np.bincount(clean_labels(labels, pair.labels).ravel())[1:]
    return _Facts(pair, np.cbrt(6 / np.pi * sizes * float(np.prod(step))))


def _sample(pair: Pair, plan: Preparation, diameter: float) -> Sample:
    image, labels, step = read_pair(pair, _fallback(plan))
    return make_sample(
        image,
        clean_labels(labels, pair.labels),
        step_zyx=step,
        object_diameter_voxels=plan.object_diameter_voxels,
        diameter=diameter,
        normalization=plan.normalization,
        target=plan.target,
    )


def _write(
    sample: Sample, pair: Pair, data: PreparedData, plan: Preparation, judged: frozenset[str]
) -> None:
    learn: Sample | None = sample
    judge: Sample | None = None
    if pair.name in judged:
        learn, judge = None, sample
    elif not judged and plan.validation_share and sample.labels.any():
        learn, judge = split_volume(sample, plan.validation_share)
    for part, folder in ((learn, data.learn), (judge, data.validation)):
        folder.mkdir(parents=True, exist_ok=True)
        if part is not None:
            kept = densest_cube(part, plan.judged_voxels) if folder == data.validation else part
            write_sample(kept, folder / f"{pair.name}.npz")
