"""Running again what the model card of some weights says, and comparing what comes out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from cellseg_app.atomic import write_text_atomic
from cellseg_app.core.errors import InputError, SettingsError, WeightsError
from cellseg_app.core.progress import CancelToken, ProgressSink
from cellseg_app.inference.cards import ModelCard, read_card
from cellseg_app.inference.catalog import find_weights
from cellseg_app.training.recipe import check_recipe, paths_of
from cellseg_app.training.steps import KINDS, Words

_DONE: Final = "step.json"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Comparison:
    """The weights in the card, and those that came out now.

    Attributes
    ----------
    same_file
        Whether both files are equal, bit for bit.
    metrics
        For every figure of both cards: then, now.
    card_path
        The new card.
    """

    same_file: bool
    metrics: Mapping[str, tuple[float, float]]
    card_path: Path

    def __str__(self) -> str:
        """Sentences for a reader."""
        lines = [
            f"{key}: {then:.4f} then, {now:.4f} now" for key, (then, now) in self.metrics.items()
        ]
        same = "The weights are the same, bit for bit."
        other = (
            "The weights file differs (another processor, version or number of threads rounds "
            "otherwise); the figures above tell whether it matters."
        )
        return "\n".join([*lines, same if self.same_file else other])


def reproduce(
    name: str | Path,
    workspace: Path,
    sources: Mapping[str, Path],
    *,
    progress: ProgressSink | None = None,
    cancel: CancelToken | None = None,
    say: Say | None = None,
) -> Comparison:
    """Run the steps of a card one after another; finished ones are skipped.

    Parameters
    ----------
    name
        A name from the weights list, a weights file, or a card.
    workspace
        Every step writes to a folder in here.
    sources
        Where data lies that no step makes, by the name the steps use.
    progress, cancel
        Of every step.
    say
        Told what is done now.

    Raises
    ------
    WeightsError
        There are no such weights, or the card holds no steps.
    SettingsError
        A step is not usable.
    InputError
        Data is missing.
    """
    card = _card(name)
    recipe = card.training.recipe if card.training else ()
    steps = check_recipe(recipe)
    made = [str(request.out) for _, request in steps]
    placed = [_placed(r, workspace, sources, made[:i]) for i, (_, r) in enumerate(steps)]
    last = workspace
    for number, (words, request) in enumerate(zip(recipe, placed, strict=True), start=1):
        done = _is_done(words, request.out)
        if say is not None:
            state = "done before" if done else "running"
            say(f"Step {number} of {len(recipe)} ({state}): cellseg train {' '.join(words)}")
        if done:
            last = request.out / f"{request.result_name}.json" if words[0] != "simulate" else last
        else:
            last = KINDS[words[0]].run(request, progress, cancel)
        if not done:
            write_text_atomic(request.out / _DONE, json.dumps(words))
    return _compared(card, last)


def _card(name: str | Path) -> ModelCard:
    path = find_weights(None, name)
    card = read_card(path if path.suffix == ".json" else path.with_suffix(".json"))
    if card.training is None:
        raise WeightsError(f"The card of {card.name} does not say how it was trained.", path=path)
    if not card.training.recipe:
        raise WeightsError(
            f"The card of {card.name} keeps its training as text only, not as steps to run.",
            f"Run by hand: {card.training.command}",
            path=path,
        )
    if card.training.recipe[-1][:1] == ("simulate",):
        raise WeightsError("The last step of this card trains nothing.", "Mend it.", path=path)
    return card


def _placed(
    request: BaseModel, workspace: Path, sources: Mapping[str, Path], made: list[str]
) -> Any:  # noqa: ANN401 - the same kind of request
    """The request with every folder where it is on this machine."""

    def find(path: Path) -> Path:
        name = path.parts[0]
        root = workspace / name if name in made else sources.get(name)
        if root is None or ".." in path.parts or path.is_absolute():
            raise InputError(
                f"The data {name!r} is made by no step.",
                f"Say where it lies: --data {name}=FOLDER.",
            )
        return root.joinpath(*path.parts[1:])

    changes: dict[str, Any] = {"out": workspace / str(request.out)}  # type: ignore[attr-defined]
    for flag, path in paths_of(request):
        if flag.role == "weights" and len(path.parts) == 1:
            continue
        value = getattr(request, flag.field)
        if isinstance(value, tuple):
            changes[flag.field] = tuple(
                (find(part[0]), part[1]) if isinstance(part, tuple) else find(part)
                for part in value
            )
        else:
            changes[flag.field] = type(value)(find(path))
    return request.model_copy(update=changes)


def _is_done(words: Words, folder: Path) -> bool:
    try:
        kept = json.loads((folder / _DONE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if tuple(kept) != words:
        raise SettingsError(
            "This folder holds the result of another step.", "Choose another folder.", path=folder
        )
    return True


def _compared(card: ModelCard, new_path: Path) -> Comparison:
    new = read_card(new_path)
    then, now = (c.training.metrics if c.training else {} for c in (card, new))
    shared = {key: (then[key], now[key]) for key in then if key in now}
    return Comparison(new.weights_sha256 == card.weights_sha256, shared, new_path)
