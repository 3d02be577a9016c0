"""The sentences for files that cannot be read, and what damaged files make libraries raise."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import tifffile

from cellseg_app.core.errors import InputError
from cellseg_app.core.sources import address_of

# What tifffile, imagecodecs, zarr and NumPy raise over damaged files, or their errors' bases.
# AttributeError is not among them: it means a library changed, which is a bug of ours.
BROKEN_FILE_ERRORS = (
    tifffile.TiffFileError,
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AssertionError,
    EOFError,
    struct.error,
    zlib.error,
)


def require_exists(path: Path) -> None:
    """Refuse a path where nothing is, or that may not be looked at.

    Raises
    ------
    InputError
        Naming the path.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise InputError(
            "There is no such file or folder.", "Check the spelling.", path=path
        ) from error
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> InputError:
    """The sentence for a user that belongs to a failed read."""
    address = address_of(path)
    if address is not None:
        return InputError(
            f"It is damaged or no volume ({_reason(error)}).", "Check the address.", path=address
        )
    if isinstance(error, FileNotFoundError):
        return InputError("The file is gone.", "Check that its disk is connected.", path=path)
    if isinstance(error, PermissionError):
        return InputError("It may not be read.", "Check its permissions.", path=path)
    return InputError(
        f"It is damaged or cut short ({_reason(error)}).",
        "Copy or export it again.",
        path=path,
    )


def cut_short(path: Path, reason: str) -> InputError:
    """The refusal of a file that ends too early."""
    return InputError(f"It is cut short: {reason}.", "Copy or export it again.", path=path)


def no_table(path: Path | str, error: Exception) -> InputError:
    """The refusal of a file that is no table."""
    reason = "it is not there" if isinstance(error, FileNotFoundError) else str(error)
    reason = " ".join(reason.split())[:160]
    return InputError(f"It cannot be read as a table: {reason}.", "Check the file.", path=path)


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return text[:200] or type(error).__name__
