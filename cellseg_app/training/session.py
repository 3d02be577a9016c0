"""A whole training, from folders of files to weights with a model card."""

from __future__ import annotations

import time
from fnmatch import fnmatch
from pathlib import Path

from cellseg_app.core.errors import SettingsError
from cellseg_app.core.progress import CancelToken, ProgressSink
from cellseg_app.training.export import ordered_by_training_data, write_weights
from cellseg_app.training.prepare import Lattice, Pair, find_pairs, prepare_samples
from cellseg_app.training.record import record_of, shown_accuracy
from cellseg_app.training.requests import TrainingRequest
from cellseg_app.training.settings import CHANNELS_LAST, SampleFolder, TrainingSettings
from cellseg_app.training.trainer import train_supervised, train_wnet


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
        weights = ordered_by_training_data(weights, settings)
    return write_weights(
        weights,
        settings,
        request.out,
        name=request.result_name,
        record=record_of(
            request,
            result,
            data="; ".join(folder.name for folder, _ in request.data),
            seed=request.seed,
            hours=hours,
        ),
        object_diameter_voxels=request.object_diameter_voxels,
        accuracy=shown_accuracy(result),
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
                pairs,
                out,
                lattice,
                target=request.target,
                workers=request.workers,
                progress=progress,
                cancel=cancel,
            )
        if not learn:
            raise SettingsError("Every volume is held out.", "Hold out fewer.", path=folder)
        folders.append(SampleFolder(path=request.out / "samples" / f"{number}", share=share))
    continues_wnet = request.network == "WNet" and request.start is not None
    return TrainingSettings(
        architecture=request.network,
        options=request.options,
        data=tuple(folders),
        validation=(validation,) if any(validation.glob("*.npz")) else (),
        start_weights=request.start,
        steps=request.steps,
        batch=request.batch,
        patch_voxels=request.patch_voxels,
        # Weights to start from come without a decoder, and a new one would spoil their encoder.
        decoder_first_steps=request.steps // 4 if continues_wnet else 0,
        learning_rate=request.learning_rate,
        seed=request.seed,
        threads=request.threads,
        validate_every_steps=request.validate_every_steps,
        channels_last=request.network in CHANNELS_LAST,
        target=request.target,
        empty_share=request.empty_share,
        coarse_share=request.coarse_share,
        # The F1 of training parts every map at its peaks; a flat one has none.
        judge_by="dice" if request.target == "foreground" else "both",
    )


def _split(pairs: list[Pair], patterns: tuple[str, ...]) -> tuple[list[Pair], list[Pair]]:
    held = [any(fnmatch(pair.name, pattern) for pattern in patterns) for pair in pairs]
    learn = [pair for pair, out in zip(pairs, held, strict=True) if not out]
    return learn, [pair for pair, out in zip(pairs, held, strict=True) if out]
