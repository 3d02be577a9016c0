"""Failures a user can act on, told apart from bugs.

Everything that is not a `UserError` or `Cancelled` is a bug: the command line exits 1 for it and
the window opens a report dialog.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellseg_app.core.sources import shown

if TYPE_CHECKING:
    from pathlib import Path


class UserError(Exception):
    """An expected failure: what is wrong, and what to do about it.

    Parameters
    ----------
    problem
        One sentence saying what is wrong.
    remedy
        One sentence saying what to do.
    path
        The file or folder at fault; it starts the message.
    """

    def __init__(self, problem: str, remedy: str = "", *, path: Path | str | None = None) -> None:
        self.problem = problem
        self.remedy = remedy
        self.path = path
        super().__init__(problem, remedy, path)

    def __reduce__(self) -> tuple[object, ...]:
        # For failures met in another process.
        return _again, (type(self), self.problem, self.remedy, self.path)

    def __str__(self) -> str:
        sentence = self.problem if self.path is None else f"{shown(self.path)}: {self.problem}"
        return f"{sentence} {self.remedy}".strip()


def _again(kind: type[UserError], problem: str, remedy: str, path: Path | str | None) -> UserError:
    return kind(problem, remedy, path=path)


class InputError(UserError):
    """The file or folder given cannot be used as a volume."""


class OutputError(UserError):
    """A result cannot be written where it was asked for."""


class WeightsError(UserError):
    """A weights file or model card cannot be used."""


class SettingsError(UserError):
    """The settings contradict each other or the volume."""


class Cancelled(Exception):
    """The user asked to stop; raised by `CancelToken.raise_if_cancelled`."""
