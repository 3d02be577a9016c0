"""Supervised fine-tuning on a user's own images and labels."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from cellseg_app.core.errors import SettingsError
from cellseg_app.core.progress import CancelToken, ProgressSink
from cellseg_app.inference.weights import LoadedNetwork
from cellseg_app.training.continuing import (
    check_patch,
    continued_settings,
    leave_curves,
    load_start,
    tell,
)
from cellseg_app.training.export import write_continued
from cellseg_app.training.finetune_samples import Preparation, prepare_finetuning
from cellseg_app.training.pairs import find_user_pairs
from cellseg_app.training.record import record_of, shown_accuracy
from cellseg_app.training.requests import FinetuneRequest, TargetKind
from cellseg_app.training.settings import TrainingSettings
from cellseg_app.training.trainer import train_supervised

_PATCH: Final = 64
_JUDGED: Final = 96


def run_finetuning(
    request: FinetuneRequest,
    *,
    progress: ProgressSink | None = None,
    cancel: CancelToken | None = None,
) -> Path:
    """Teach one of the four supervised networks with labelled volumes; return the new card.

    An interrupted run goes on when it is asked for again. The weights that agree best with the
    labels kept aside (Dice) are the result, or those started from if nothing became better.

    Parameters
    ----------
    request
        Data, start, and how long.
    progress, cancel
        Reported to and asked once a volume and once an update.

    Raises
    ------
    UserError
        A file cannot be used, there are no cells in the labels, the weights cannot be trained, or
        the folder holds another training.
    Cancelled
        Stopping was asked for.
    """
    started = time.monotonic()
    start = load_start(request.network, request.weights)
    if start.card.architecture == "WNet" or start.card.classes != 1:
        raise SettingsError(
            f"{start.card.name} has several classes and learns without labels.",
            "Use `cellseg train adapt`, or choose another network.",
        )
    settings = _settings(request, start, progress, cancel)
    result = train_supervised(settings, request.out / "run", progress=progress, cancel=cancel)
    tell(result)
    name = request.result_name
    curve_file = leave_curves(result, request.out, name, f"{name} (from {start.card.name})")
    hours = (time.monotonic() - started) / 3600
    return write_continued(
        result.weights,
        start.card,
        settings,
        request.out,
        name=name,
        record=record_of(
            request,
            result,
            data=f"own labelled volumes, from {start.card.name}",
            seed=request.seed,
            hours=hours,
            curve_file=curve_file,
        ),
        accuracy=shown_accuracy(result),
    )


def _settings(
    request: FinetuneRequest,
    start: LoadedNetwork,
    progress: ProgressSink | None,
    cancel: CancelToken | None,
) -> TrainingSettings:
    card = start.card
    patch = check_patch(request.patch_voxels or min(card.window_default, _PATCH), start)
    target: TargetKind = "centre_peaked" if card.output.target == "centre_peaked" else "foreground"
    plan = Preparation(
        object_diameter_voxels=card.object_diameter_voxels,
        normalization=card.normalization,
        target=target,
        fallback_spacing_um_zyx=request.voxel_size_um_zyx,
        validation_share=request.validation_share,
        hold_out=request.hold_out,
        seed=request.seed,
        judged_voxels=max(patch, _JUDGED),
    )
    pairs = find_user_pairs(request.data, request.images, request.labels)
    data = prepare_finetuning(
        pairs, request.out / "samples", plan, progress=progress, cancel=cancel
    )
    return continued_settings(request, start, data).model_copy(
        update={
            "patch_voxels": patch,
            "target": target,
            "judge_by": "dice",
            "validation_voxels": plan.judged_voxels,
        }
    )
