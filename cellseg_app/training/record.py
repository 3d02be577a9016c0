"""What a model card says about a training that has just ended."""

from __future__ import annotations

import datetime

from pydantic import BaseModel

from cellseg_app.inference.cards import TrainingRecord
from cellseg_app.training.recipe import full_recipe
from cellseg_app.training.trainer import TrainingResult


def record_of(
    request: BaseModel,
    result: TrainingResult,
    *,
    data: str,
    seed: int,
    hours: float,
    curve_file: str | None = None,
) -> TrainingRecord:
    """Return the record of a training.

    Parameters
    ----------
    request
        What was asked; with the steps before it, it becomes the recipe.
    result
        What came out.
    data
        What was learned from, for a reader.
    seed, hours, curve_file
        As the card has them.
    """
    return TrainingRecord(
        recipe=full_recipe(request),
        seed=seed,
        date=datetime.date.today().isoformat(),
        data=data,
        steps=max(1, result.best.step),
        hours=round(hours, 3),
        metrics=result.metrics,
        curve_file=curve_file,
    )


def shown_accuracy(result: TrainingResult) -> dict[str, float]:
    """The same figures as the card shows them to a reader."""
    names = {"validation_f1": "validation F1@0.5", "validation_dice": "validation Dice"}
    return {names[name]: value for name, value in result.metrics.items() if name in names}
