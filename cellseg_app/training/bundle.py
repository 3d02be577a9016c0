"""A finished training as weights that ship: copied, with a complete card and its curve."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cellseg_app.atomic import atomic_path
from cellseg_app.core.errors import InputError, WeightsError
from cellseg_app.inference.cards import (
    CARD_SUFFIX,
    ModelCard,
    looks_like_card,
    read_card,
    write_card,
)
from cellseg_app.inference.fingerprint import sha256_of
from cellseg_app.training.recipe import Recipe, check_recipe, recipe_of_command

_FIGURES: Final = {"f1@0.5": "F1@0.5", "detection_f1": "detection F1"}


def bundle(
    folder: Path,
    out: Path,
    *,
    name: str | None = None,
    before: Recipe = (),
    accuracy: Path | None = None,
    facts: Mapping[str, str] | None = None,
) -> Path:
    """Copy the result of a training and complete its card; return the new card.

    Parameters
    ----------
    folder
        Where a training wrote weights, card and `run/log.csv`.
    out, name
        Where to copy to and what to call it; the network's own name if not given.
    before
        Steps before those the card knows already.
    accuracy
        Table of `tests/benchmarks/accuracy.py`; the rows of the network go into the card, those
        of a group as their mean.
    facts
        Fields of the card by name: title, licence, source, citation, notes.

    Raises
    ------
    WeightsError
        The folder holds no single finished training, or the weights are not those of the card.
    SettingsError
        The steps cannot be run.
    """
    source = _only_card(folder)
    card = read_card(source)
    chosen = name or card.architecture
    weights = source.with_name(card.weights_file)
    target = out / f"{chosen}{weights.suffix}"
    if sha256_of(weights) != card.weights_sha256:
        raise WeightsError("These are not the weights of their card.", "Train again.", path=weights)
    log = folder / "run" / "log.csv"
    curve = out / f"{chosen}_curve.csv" if log.is_file() else None
    changes: dict[str, Any] = {"name": chosen, "weights_file": target.name, **(facts or {})}
    changes["training"] = _record(card, before, curve)
    if accuracy is not None:
        changes["accuracy"] = {**card.accuracy, **_figures(accuracy, card.architecture)}
    _copy(weights, target)
    if curve is not None:
        _copy(log, curve)
    write_card(ModelCard.model_validate({**card.model_dump(), **changes}), out / f"{chosen}.json")
    return out / f"{chosen}.json"


def _only_card(folder: Path) -> Path:
    cards = [path for path in sorted(folder.glob(f"*{CARD_SUFFIX}")) if looks_like_card(path)]
    if len(cards) != 1:
        raise WeightsError(
            f"The folder holds {len(cards)} model cards instead of one.",
            "Give the folder that a training wrote to.",
            path=folder,
        )
    return cards[0]


def _record(card: ModelCard, before: Recipe, curve: Path | None) -> dict[str, Any] | None:
    if card.training is None:
        return None
    known = card.training.recipe or recipe_of_command(card.training.command)
    recipe = tuple(dict.fromkeys((*before, *known)))
    check_recipe(recipe)
    record = card.training.model_dump()
    return {**record, "recipe": recipe, "curve_file": curve.name if curve else None}


def _figures(path: Path, method: str) -> dict[str, float]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["method"] == method]
    except (OSError, KeyError, UnicodeDecodeError) as error:
        raise InputError("This is no table of accuracies.", "Write it anew.", path=path) from error
    figures: dict[str, list[float]] = {}
    for row in rows:
        column = next((c for c in _FIGURES if row.get(c)), None)
        if column:
            place = row.get("group") or row["volume"]
            figures.setdefault(f"{place} {_FIGURES[column]}", []).append(float(row[column]))
    return {name: round(sum(values) / len(values), 3) for name, values in figures.items()}


def _copy(source: Path, target: Path) -> None:
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)
