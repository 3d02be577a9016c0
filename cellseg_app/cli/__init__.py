"""The `cellseg` command: the same pipeline as the application, without a window."""

from __future__ import annotations

import argparse
import gc
import sys
import traceback
from collections.abc import Sequence

from cellseg_app import __version__
from cellseg_app.cli import exit_codes
from cellseg_app.core.errors import Cancelled, UserError


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of every command."""
    # Imported here so that one command does not pay for the libraries of the others.
    from cellseg_app.cli.correct_command import add_correct_command
    from cellseg_app.cli.look_command import add_look_commands
    from cellseg_app.cli.points_command import add_points_command
    from cellseg_app.cli.run_command import add_run_commands
    from cellseg_app.cli.weights_command import add_weights_commands
    from cellseg_app.training.commands import add_train_commands

    parser = argparse.ArgumentParser(
        prog="cellseg", description="Finds every cell in 3D microscope volumes."
    )
    parser.add_argument("--version", action="version", version=f"cellseg {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_run_commands(commands)
    add_weights_commands(commands)
    add_correct_command(commands)
    add_points_command(commands)
    add_look_commands(commands)
    add_train_commands(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns
    -------
    int
        0 all done, 1 our fault, 2 input at fault, 3 some files failed, 130 cancelled.
    """
    arguments = build_parser().parse_args(argv)
    # Hundreds of thousands of objects of the libraries would be searched for garbage in vain.
    gc.freeze()
    try:
        result = arguments.func(arguments)
    except UserError as error:
        _say(f"cellseg: {error}")
        return exit_codes.INPUT_AT_FAULT
    except (Cancelled, KeyboardInterrupt):
        _say("cellseg: cancelled; the same command goes on where it stopped.")
        return exit_codes.CANCELLED
    except Exception:  # noqa: BLE001 - the last door: a bug is reported, not hidden
        _say(f"cellseg {__version__}: this is a bug; please report what follows.")
        _say(traceback.format_exc())
        return exit_codes.OUR_FAULT
    return exit_codes.OK if result is None else int(result)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
