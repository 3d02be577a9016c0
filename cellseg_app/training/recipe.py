"""How weights came to be, as steps that can be run again: lists of words, never a shell."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter, ValidationError

from cellseg_app.atomic import write_text_atomic
from cellseg_app.core.errors import SettingsError
from cellseg_app.inference.cards import card_path_for, looks_like_card, read_card
from cellseg_app.training.flags import Flag
from cellseg_app.training.steps import KINDS, Words, parse_step, step_of

Recipe = tuple[Words, ...]
_FILE: Final = "recipe.json"
_RECIPE: Final = TypeAdapter(Recipe)


def keep_recipe(folder: Path, recipe: Recipe) -> None:
    """Write how the content of a folder was made."""
    write_text_atomic(folder / _FILE, json.dumps(recipe, indent=1) + "\n")


def kept_recipe(folder: Path) -> Recipe:
    """Return how the content of a folder was made; empty where nothing is known.

    What a folder says is left alone once the folder has another name than its last step gave it.
    """
    try:
        recipe = _RECIPE.validate_json((folder / _FILE).read_text(encoding="utf-8"))
        return recipe if _made(recipe, folder.name) else ()
    except (OSError, UnicodeDecodeError, ValidationError, SettingsError):
        return ()


def full_recipe(request: BaseModel) -> Recipe:
    """Return every known step up to and with this one, each once, in order."""
    steps: dict[Words, None] = {}
    for flag, path in paths_of(request):
        earlier = kept_recipe(path) if flag.role == "data" else _recipe_of_weights(path)
        steps |= dict.fromkeys(earlier)
    return (*steps, step_of(request))


def paths_of(request: BaseModel) -> Iterator[tuple[Flag, Path]]:
    """Yield what a request reads: each path with its flag."""
    kind = step_of(request)[0]
    for flag in KINDS[kind].flags:
        if flag.role in ("data", "weights"):
            for value in _values(getattr(request, flag.field)):
                yield flag, value


def check_recipe(recipe: Iterable[Words]) -> list[tuple[str, Any]]:
    """Return kind and request of every step.

    Raises
    ------
    SettingsError
        A step is unknown, leaves its folder, or two write to the same one.
    """
    steps = [parse_step(words) for words in recipe]
    taken: set[str] = set()
    for _, request in steps:
        out = str(request.out)  # type: ignore[attr-defined]  # every request has one
        if Path(out).name != out or out in ("", ".", "..") or "\\" in out:
            raise SettingsError(
                f"A step writes to {out!r}.", "Only a plain folder name is allowed."
            )
        if out in taken:
            raise SettingsError(f"Two steps write to {out!r}.", "Give one another folder.")
        taken.add(out)
    return steps


def recipe_of_command(command: str) -> Recipe:
    """Return the steps in the text that older cards have instead of a recipe.

    Raises
    ------
    SettingsError
        It is something else than `cellseg train` commands parted by semicolons.
    """
    lexer = shlex.shlex(command, posix=True, punctuation_chars=";")
    lexer.whitespace_split = True
    steps: list[list[str]] = [[]]
    for word in lexer:
        if word == ";":
            steps.append([])
        else:
            steps[-1].append(word)
    if any(words[:2] != ["cellseg", "train"] for words in steps):
        raise SettingsError("This is no list of training commands.", "Give the steps one by one.")
    recipe = tuple(tuple(words[2:]) for words in steps)
    check_recipe(recipe)
    return recipe


def _made(recipe: Recipe, name: str) -> bool:
    steps = check_recipe(recipe)
    return bool(steps) and str(steps[-1][1].out) == name


def _recipe_of_weights(path: Path) -> Recipe:
    beside = card_path_for(path)
    if not path.parent.name or not looks_like_card(beside):
        return ()
    record = read_card(beside).training
    known = record.recipe if record else ()
    return known if known and _made(known, path.parent.name) else ()


def _values(value: Any) -> list[Path]:  # noqa: ANN401 - whatever a field holds
    if not value:
        return []
    if isinstance(value, (str, Path)):
        return [Path(value)]
    return [Path(part[0] if isinstance(part, tuple) else part) for part in value]
