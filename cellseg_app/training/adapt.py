"""Going on with WNet, without labels, on a user's own volumes."""

from __future__ import annotations

import time
from pathlib import Path

from cellseg_app.core.diameter import parse_diameter
from cellseg_app.core.progress import CancelToken, ProgressSink
from cellseg_app.core.settings import CellSizeSettings
from cellseg_app.inference.weights import LoadedNetwork
from cellseg_app.io.inputs import expand_inputs
from cellseg_app.training.adapt_samples import UnlabelledPlan, prepare_adaptation
from cellseg_app.training.continuing import (
    check_patch,
    continued_settings,
    leave_curves,
    load_start,
    tell,
)
from cellseg_app.training.export import ordered_by_training_data, write_continued
from cellseg_app.training.record import record_of
from cellseg_app.training.requests import AdaptRequest
from cellseg_app.training.settings import TrainingSettings
from cellseg_app.training.trainer import train_wnet

_PATCH = 48
_FEWEST_DECODER_STEPS = 20


def run_adaptation(
    request: AdaptRequest,
    *,
    progress: ProgressSink | None = None,
    cancel: CancelToken | None = None,
) -> Path:
    """Let WNet learn from volumes without labels; return the card of the new weights.

    The decoder, which weights to run with do not have, is learned first while the rest rests.
    Class 0 stays the bright one.

    Parameters
    ----------
    request
        Volumes, start, and how long.
    progress, cancel
        Reported to and asked once a volume and once an update.

    Raises
    ------
    UserError
        A volume cannot be used, the weights are not WNet's, or the folder holds another training.
    Cancelled
        Stopping was asked for.
    """
    started = time.monotonic()
    start = load_start("WNet", request.weights)
    settings = _settings(request, start, progress, cancel)
    result = train_wnet(settings, request.out / "run", progress=progress, cancel=cancel)
    tell(result)
    name = request.result_name
    curve_file = leave_curves(result, request.out, name, f"{name} (from {start.card.name})")
    weights = ordered_by_training_data(result.weights, settings)
    record = record_of(
        request,
        result,
        data=f"{len(request.volumes)} own volumes without labels, from {start.card.name}",
        seed=request.seed,
        hours=(time.monotonic() - started) / 3600,
        curve_file=curve_file,
    )
    return write_continued(
        weights, start.card, settings, request.out, name=name, record=record, accuracy={}
    )


def _settings(
    request: AdaptRequest,
    start: LoadedNetwork,
    progress: ProgressSink | None,
    cancel: CancelToken | None,
) -> TrainingSettings:
    bound = start.card.window_default if start.card.window_fixed else _PATCH
    patch = check_patch(request.patch_voxels or bound, start)
    plan = UnlabelledPlan(
        CellSizeSettings.model_validate(parse_diameter(request.diameter)),
        request.voxel_size_um_zyx,
        start.card,
    )
    data = prepare_adaptation(
        expand_inputs(request.volumes),
        request.out / "samples",
        plan,
        progress=progress,
        cancel=cancel,
    )
    return continued_settings(request, start, data).model_copy(
        update={
            "patch_voxels": patch,
            # The decoder has learned nothing yet, so that the start would be judged too hard.
            "validate_first": False,
            "decoder_first_steps": max(_FEWEST_DECODER_STEPS, request.steps // 8),
        }
    )
