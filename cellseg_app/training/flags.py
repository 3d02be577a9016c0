"""Command-line flags as a view of a request: parsed from and written back to one table.

The same table makes the parser, the request, and the arguments that a model card keeps, so that
what a card says can be run again.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from cellseg_app.core.errors import SettingsError

Role = Literal["out", "data", "weights"]
Request = TypeVar("Request", bound=BaseModel)


def _plain(value: Any) -> str:  # noqa: ANN401 - whatever a field holds
    if isinstance(value, Path):
        return value.name
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag and the field of the request that it sets.

    Attributes
    ----------
    name
        `--steps`; without dashes for a positional argument.
    field
        Name of the request's field; its description is the help text.
    convert, show
        From a word to a value, and back; a file is shown by its last name.
    n_values
        How many words make one value.
    repeated
        Whether every use adds one value.
    constant
        What the flag sets when it takes no word.
    short
        Another, short name.
    choices
        Words allowed.
    role
        What the path stands for; `reproduce` puts it where it belongs.
    recorded
        False for what does not change the result.
    """

    name: str
    field: str
    convert: Callable[[str], Any] = str
    metavar: str | None = None
    n_values: int | None = None
    repeated: bool = False
    constant: Any = None
    short: str | None = None
    choices: tuple[str, ...] | None = None
    role: Role | None = None
    recorded: bool = True
    show: Callable[[Any], str] = _plain

    @property
    def positional(self) -> bool:
        """Whether it stands without dashes."""
        return not self.name.startswith("-")


def add_flags(
    parser: argparse.ArgumentParser, flags: Sequence[Flag], request: type[BaseModel]
) -> None:
    """Add flags that leave no trace in the parsed arguments unless they are given."""
    for flag in flags:
        field = request.model_fields[flag.field]
        options: dict[str, Any] = {"help": (field.description or "").replace("%", "%%")}
        if flag.positional:
            parser.add_argument(flag.field, nargs="+", type=flag.convert, metavar=flag.name)
            continue
        options |= {"dest": flag.field, "default": argparse.SUPPRESS}
        options |= {"required": field.is_required()}
        if flag.constant is not None:
            options |= {"action": "store_const", "const": flag.constant}
        else:
            options |= {"type": flag.convert, "choices": flag.choices, "nargs": flag.n_values}
            options |= {"action": "append" if flag.repeated else "store"}
            options |= {"metavar": ("LOW", "HIGH") if flag.n_values == 2 else flag.metavar}
            if flag.n_values == len("ZYX"):
                options["metavar"] = ("Z", "Y", "X")
        parser.add_argument(*([flag.short] if flag.short else []), flag.name, **options)


def request_from(
    arguments: argparse.Namespace, flags: Sequence[Flag], request: type[Request]
) -> Request:
    """Return the request that parsed arguments stand for.

    Raises
    ------
    SettingsError
        A value is out of its bounds.
    """
    given = {f.field: getattr(arguments, f.field) for f in flags if hasattr(arguments, f.field)}
    try:
        return request.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        place = str(first["loc"][0]) if first["loc"] else ""
        name = next((f.name for f in flags if f.field == place), place)
        message = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{name} cannot be used: {message}.", "Correct it.") from error


def arguments_of(request: BaseModel, flags: Sequence[Flag]) -> tuple[str, ...]:
    """Return the arguments that give the same request again, files by their last names."""
    words: list[str] = []
    for flag in flags:
        value = getattr(request, flag.field)
        if not flag.recorded or value in (None, "", (), {}):
            continue
        if flag.positional:
            words += [flag.show(part) for part in value]
        elif flag.constant is not None:
            words += [flag.name] if value == flag.constant else []
        elif flag.repeated:
            parts = value.items() if isinstance(value, dict) else value
            words += [word for part in parts for word in (flag.name, flag.show(part))]
        elif flag.n_values:
            words += [flag.name, *(flag.show(part) for part in value)]
        else:
            words += [flag.name, flag.show(value)]
    return tuple(words)


class RefusingParser(argparse.ArgumentParser):
    """Parses the arguments of a model card: what it does not know ends with a sentence."""

    def error(self, message: str) -> NoReturn:
        """See `argparse.ArgumentParser.error`."""
        raise SettingsError(f"The step {self.prog!r} cannot be read: {message}.", "Correct it.")
