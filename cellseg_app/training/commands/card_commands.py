"""`cellseg train reproduce` and `cellseg train bundle`: from a card to a training, and back."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Final

from cellseg_app.core.errors import SettingsError
from cellseg_app.core.interrupt import cancel_on_interrupt
from cellseg_app.training.commands.display import bars

_FACTS: Final = ("title", "licence", "source", "citation", "notes")


def add_reproduce(parser: argparse.ArgumentParser) -> None:
    """Add what `reproduce` takes."""
    parser.add_argument("name", help="weights whose card says how they were trained")
    parser.add_argument(
        "-o", "--out", type=Path, required=True, help="folder for everything that is made"
    )
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="where data lies that is not simulated, such as bbbc050_train=…",
    )
    parser.set_defaults(func=_reproduce)


def add_bundle(parser: argparse.ArgumentParser) -> None:
    """Add what `bundle` takes."""
    parser.add_argument("folder", type=Path, help="result of a training")
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("resources/weights"), help="folder for the copy"
    )
    parser.add_argument("--name", help="what to call it there")
    parser.add_argument(
        "--before",
        action="append",
        default=[],
        metavar="STEP",
        help="an earlier step that the card does not know, such as 'simulate --count 9 -o sim'",
    )
    parser.add_argument(
        "--accuracy", type=Path, metavar="CSV", help="table written by tests/benchmarks/accuracy.py"
    )
    for fact in _FACTS:
        parser.add_argument(f"--{fact}", help=f"{fact} in the card")
    parser.set_defaults(func=_bundle)


def _reproduce(arguments: argparse.Namespace) -> int:
    from cellseg_app.training.reproduce import reproduce

    with bars() as sink, cancel_on_interrupt() as cancel:
        comparison = reproduce(
            arguments.name,
            arguments.out,
            dict(_source(text) for text in arguments.data),
            progress=sink,
            cancel=cancel,
            say=lambda text: print(text, flush=True),  # noqa: T201
        )
    print(comparison)  # noqa: T201
    return 0


def _bundle(arguments: argparse.Namespace) -> int:
    from cellseg_app.training.bundle import bundle

    facts = {fact: getattr(arguments, fact) for fact in _FACTS}
    card_path = bundle(
        arguments.folder,
        arguments.out,
        name=arguments.name,
        before=tuple(tuple(shlex.split(step)) for step in arguments.before),
        accuracy=arguments.accuracy,
        facts={fact: text for fact, text in facts.items() if text is not None},
    )
    print(card_path)  # noqa: T201
    return 0


def _source(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not equals or not name or not folder:
        raise SettingsError(f"--data cannot be {text!r}.", "Write it as NAME=FOLDER.")
    return name, Path(folder)
