"""What going on from weights that exist has in common: the start, and what is left behind."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Final

from cellseg_app.core.errors import SettingsError, WeightsError
from cellseg_app.inference.catalog import find_weights
from cellseg_app.inference.weights import LoadedNetwork, load_network
from cellseg_app.training.curves import write_curves, write_log
from cellseg_app.training.finetune_samples import PreparedData
from cellseg_app.training.requests import AdaptRequest, FinetuneRequest
from cellseg_app.training.settings import CHANNELS_LAST, SampleFolder, TrainingSettings
from cellseg_app.training.trainer import TrainingResult

_WARM_UP: Final = 20
_LOGGER = logging.getLogger(__name__)


def load_start(network: str | None, weights: str | None) -> LoadedNetwork:
    """Return the weights to go on from, checked against their card.

    Raises
    ------
    WeightsError
        There are none, or they cannot be trained.
    """
    path = find_weights(network, weights or None)
    start = load_network(path, network=network)
    if start.card.file_kind != "state_dict":
        raise WeightsError(
            "TorchScript and ONNX files cannot be trained further.",
            "Give the state dict (.pth or .safetensors) the file was made from.",
            path=start.path,
        )
    return start


def check_patch(edge: int, start: LoadedNetwork) -> int:
    """Return the edge of a patch that the network can take.

    Raises
    ------
    SettingsError
        It cannot.
    """
    card = start.card
    # One voxel at the deepest level has no spread to normalize by.
    least = max(card.minimum, 2 * card.divisor)
    if edge % card.divisor or edge < least:
        nearest = max(least, round(edge / card.divisor) * card.divisor)
        raise SettingsError(
            f"{card.architecture} cannot learn from patches of {edge} voxels.",
            f"Give --patch {nearest}; multiples of {card.divisor} from {least} on will do.",
        )
    return edge


def continued_settings(
    request: FinetuneRequest | AdaptRequest, start: LoadedNetwork, data: PreparedData
) -> TrainingSettings:
    """What follows from the request, the weights started from, and the samples."""
    return TrainingSettings(
        architecture=start.card.architecture,
        options=start.card.options,
        data=(SampleFolder(path=data.learn),),
        validation=(data.validation,) if data.judged else (),
        start_weights=start.path,
        normalization=start.card.normalization,
        input_axes=start.card.input_axes,
        data_fingerprint=data.fingerprint,
        steps=request.steps,
        batch=request.batch,
        learning_rate=request.learning_rate,
        warm_up_steps=min(_WARM_UP, request.steps),
        validate_every_steps=request.validate_every_steps,
        validate_first=data.judged,
        patience=request.patience,
        augment=request.augment,
        channels_last=start.card.architecture in CHANNELS_LAST,
        seed=request.seed,
        threads=request.threads,
    )


def leave_curves(result: TrainingResult, folder: Path, name: str, title: str) -> str:
    """Write table and picture of the course of a training; return the table's name."""
    table = folder / f"{name}_curve.csv"
    write_log(table, result.log)
    write_curves(folder / f"{name}_curve.svg", result.log, title)
    return table.name


def tell(result: TrainingResult) -> None:
    """Say how far the training got."""
    best, last = result.best, result.log[-1].step
    if not math.isfinite(best.score):
        _LOGGER.warning("Nothing was kept to judge by: the last weights are the result.")
    elif best.step == 0:
        _LOGGER.warning(
            "In %d updates nothing became better than the weights started from; they are the "
            "result. More volumes, or a smaller --learning-rate, may help.",
            last,
        )
    elif math.isfinite(best.dice):
        first = result.log[0]
        _LOGGER.info(
            "Best after %d of %d updates. On what was not learned from: Dice %.3f before, %.3f "
            "now; F1 %.3f before, %.3f now.",
            *(best.step, last, first.dice, best.dice, first.f1, best.f1),
        )
    else:
        _LOGGER.info("Best after %d of %d updates.", best.step, last)
