"""From a user's volumes, without labels, to samples to learn from and samples to judge by."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from cellseg_app.core.blocks import Region, block_regions
from cellseg_app.core.progress import CancelToken, ProgressSink, StageProgress
from cellseg_app.core.settings import CellSizeSettings
from cellseg_app.core.volume import ShapeZYX, SpacingZYX
from cellseg_app.inference.background import without_background
from cellseg_app.inference.cards import ModelCard
from cellseg_app.inference.lattice import network_lattice
from cellseg_app.io.naming import volume_name
from cellseg_app.io.open import open_volume
from cellseg_app.training.finetune_samples import PreparedData
from cellseg_app.training.samples import Sample, volume_scale, write_sample

_EDGE: Final = 96
_MOST_PARTS: Final = 24
_SMALLEST_PART: Final = 16
_EVERY: Final = 5


@dataclass(frozen=True)
class UnlabelledPlan:
    """How samples are made: cell size, voxel size of files that do not state theirs, the card."""

    size: CellSizeSettings
    fallback_spacing_um_zyx: SpacingZYX | None
    card: ModelCard


def prepare_adaptation(
    volumes: Sequence[Path],
    out: Path,
    plan: UnlabelledPlan,
    *,
    progress: ProgressSink | None = None,
    cancel: CancelToken | None = None,
) -> PreparedData:
    """Cut volumes, as the network sees them, into parts; what is there already is kept.

    Large volumes give the parts with most structure, two dozen at most; every fifth is kept to
    judge by.

    Raises
    ------
    UserError
        A volume cannot be read, or the diameter is in µm and the voxel size unknown.
    """
    # Hashing terabytes would take longer than learning from them.
    facts = [(str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns) for p in volumes]
    name = hashlib.sha256(f"{facts}{plan}".encode()).hexdigest()[:16]
    data = PreparedData(out / name / "learn", out / name / "validation", name)
    done = out / name / "complete"
    if done.exists():
        return data
    shutil.rmtree(out, ignore_errors=True)
    for folder in (data.learn, data.validation):
        folder.mkdir(parents=True)
    stage = StageProgress(progress, "Prepare samples", len(volumes), cancel=cancel)
    number = 0
    for path in volumes:
        parts = _parts(path, plan, most=max(2, _MOST_PARTS // len(volumes)))
        for part in parts:
            last = part is parts[-1] and path == volumes[-1] and not data.judged
            judged = number > 0 and (last or number % _EVERY == _EVERY - 1)
            folder = data.validation if judged else data.learn
            write_sample(part, folder / f"{volume_name(path)}_{number:03d}.npz")
            number += 1
        stage.advance()
    done.touch()
    return data


def parts_of(shape_zyx: ShapeZYX) -> list[Region]:
    """Boxes that tile a volume; one that would be a single box is cut in two, five to one."""
    regions = block_regions(shape_zyx, (_EDGE, _EDGE, _EDGE))
    axis = int(np.argmax(shape_zyx))
    size = shape_zyx[axis]
    if len(regions) > 1 or size < 2 * _SMALLEST_PART:
        return regions
    cut = size - max(_SMALLEST_PART, size // _EVERY)
    first, last = list(regions[0]), list(regions[0])
    first[axis], last[axis] = slice(0, cut), slice(cut, size)
    return [(first[0], first[1], first[2]), (last[0], last[1], last[2])]


def _parts(path: Path, plan: UnlabelledPlan, *, most: int) -> list[Sample]:
    volume = open_volume(path)
    if volume.spacing_um_zyx is None:
        volume = replace(volume, spacing_um_zyx=plan.fallback_spacing_um_zyx)
    lattice = network_lattice(volume, plan.card, plan.size)
    card = plan.card
    view = lattice.view(volume.data)
    image = without_background(view, card.normalization, card.object_diameter_voxels)
    scale = volume_scale(volume.data, image, card.normalization)
    regions = parts_of(lattice.shape_zyx)
    picked = np.unique(np.linspace(0, len(regions) - 1, 2 * most).round().astype(int))
    parts = []
    for place in picked:
        seen = np.clip(scale.apply(image[regions[place]]), -100, 1000).astype(np.float16)
        span = max(scale.high - scale.low, 0.0) or 1.0
        nothing = np.zeros(seen.shape, np.uint8)
        labels = np.zeros(seen.shape, np.uint16)
        parts.append(Sample(seen, nothing, labels, scale.low, span))
    structure = [float(np.std(part.image.astype(np.float32))) for part in parts]
    best = sorted(np.argsort(structure)[::-1][:most])
    return [parts[place] for place in best]
