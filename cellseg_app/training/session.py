"""A whole training, from folders of files to weights with a model card."""

from __future__ import annotations

import datetime
import time
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from cellseg_app.core.errors import SettingsError
from cellseg_app.core.progress import CancelToken, ProgressSink
from cellseg_app.inference.cards import TrainingRecord
from cellseg_app.training.export import bright_class_first, write_weights
from cellseg_app.training.prepare import Lattice, Pair, find_pairs, prepare_samples
from cellseg_app.training.samples import list_samples, read_sample
from cellseg_app.training.settings import SampleFolder, TrainingSettings
from cellseg_app.training.trainer import TrainingResult, train_supervised, train_wnet

_ORDERING_SAMPLES = 6
# Measured: a fifth to a third faster; SegResNet's group normalization makes it slower there.
_CHANNELS_LAST = frozenset({"TRAILMAP_MS", "VNet", "SwinUNetR"})


class TrainingRequest(BaseModel):
    """What the user asked for; `TrainingSettings` follow from it once the samples are made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: str = "SegResNet"
    options: dict[str, Any] = Field(default_factory=dict)
    data: tuple[tuple[Path, float], ...] = Field(description="Folders of pairs and their shares.")
    hold_out: tuple[str, ...] = Field((), description="Names to judge by, as patterns.")
    out: Path
    name: str = "SegResNet"
    start: Path | None = None
    steps: int = Field(4000, ge=1)
    validate_every_steps: int = Field(250, ge=1)
    batch: int = Field(2, ge=1)
    patch_voxels: int = Field(64, ge=16)
    learning_rate: float = Field(1e-3, gt=0)
    seed: int = Field(0, ge=0)
    threads: int | None = None
    workers: int = Field(1, ge=1)
    voxel_size_um_zyx: tuple[float, float, float] | None = None
    object_diameter_voxels: float = Field(11.0, gt=0)
    licence: str = ""


def run_training(
    request: TrainingRequest,
    *,
    progress: ProgressSink | None = None,
    cancel: CancelToken | None = None,
) -> Path:
    """Prepare samples, train, write weights and card; go on where an earlier run stopped.

    Parameters
    ----------
    request
        What to train, on what, for how long.
    progress, cancel
        Reported to and asked once a sample and once a step.

    Returns
    -------
    The card of the new weights.

    Raises
    ------
    UserError
        A folder holds no pairs, a file cannot be read, or the folder holds another training.
    """
    started = time.monotonic()
    settings = _settings(request, progress, cancel)
    train = train_wnet if request.network == "WNet" else train_supervised
    result = train(settings, request.out / "run", progress=progress, cancel=cancel)
    hours = (time.monotonic() - started) / 3600
    weights = result.weights
    if request.network == "WNet":
        paths = list_samples(folder.path for folder in settings.data)[:_ORDERING_SAMPLES]
        images = (read_sample(path).image.astype(np.float32) for path in paths)
        weights = bright_class_first(weights, request.options, images)
    return write_weights(
        weights,
        settings,
        request.out,
        name=request.name,
        record=training_record(request, result, hours),
        object_diameter_voxels=request.object_diameter_voxels,
        accuracy={"validation F1@0.5": result.accuracy.f1, "validation Dice": result.accuracy.dice},
        licence=request.licence,
    )


def _settings(
    request: TrainingRequest, progress: ProgressSink | None, cancel: CancelToken | None
) -> TrainingSettings:
    """Make the samples and say where they are."""
    lattice = Lattice(request.object_diameter_voxels, request.voxel_size_um_zyx)
    validation = request.out / "samples" / "validation"
    folders = []
    for number, (folder, share) in enumerate(request.data):
        learn, judge = _split(find_pairs(folder), request.hold_out)
        for pairs, out in ((learn, request.out / "samples" / f"{number}"), (judge, validation)):
            prepare_samples(
                pairs, out, lattice, workers=request.workers, progress=progress, cancel=cancel
            )
        if not learn:
            raise SettingsError("Every volume is held out.", "Hold out fewer.", path=folder)
        folders.append(SampleFolder(path=request.out / "samples" / f"{number}", share=share))
    return TrainingSettings(
        architecture=request.network,
        options=request.options,
        data=tuple(folders),
        validation=(validation,) if any(validation.glob("*.npz")) else (),
        start_weights=request.start,
        steps=request.steps,
        batch=request.batch,
        patch_voxels=request.patch_voxels,
        learning_rate=request.learning_rate,
        seed=request.seed,
        threads=request.threads,
        validate_every_steps=request.validate_every_steps,
        channels_last=request.network in _CHANNELS_LAST,
    )


def _split(pairs: list[Pair], patterns: tuple[str, ...]) -> tuple[list[Pair], list[Pair]]:
    held = [any(fnmatch(pair.name, pattern) for pattern in patterns) for pair in pairs]
    learn = [pair for pair, out in zip(pairs, held, strict=True) if not out]
    return learn, [pair for pair, out in zip(pairs, held, strict=True) if out]


def training_record(
    request: TrainingRequest, result: TrainingResult, hours: float
) -> TrainingRecord:
    """What the card says about how the weights came to be."""
    return TrainingRecord(
        command=command_line(request),
        seed=request.seed,
        date=datetime.date.today().isoformat(),
        data="; ".join(folder.name for folder, _ in request.data),
        steps=max(1, result.step),
        hours=round(hours, 3),
        metrics={"validation_f1": result.accuracy.f1, "validation_dice": result.accuracy.dice},
    )


def command_line(request: TrainingRequest) -> str:
    """The command that repeats a training, with folders by their last name."""
    kind = "wnet" if request.network == "WNet" else f"supervised --network {request.network}"
    parts = [f"cellseg train {kind}"]
    parts += [f"--data {folder.name}:{share:g}" for folder, share in request.data]
    parts += [f"--hold-out '{pattern}'" for pattern in request.hold_out]
    if request.voxel_size_um_zyx:
        parts.append("--voxel-size " + " ".join(f"{v:g}" for v in request.voxel_size_um_zyx))
    if request.start:
        parts.append(f"--start {request.start.name}")
    parts.append(
        f"--steps {request.steps} --batch {request.batch} --patch {request.patch_voxels} "
        f"--learning-rate {request.learning_rate:g} --seed {request.seed} -o {request.out.name}"
    )
    return " ".join(parts)
