"""Results appear whole or not at all: write beside the target, then rename."""

from __future__ import annotations

import errno
import os
import platform
import re
import shutil
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from cellseg_app.core.errors import OutputError

_DISK_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}
_LEFTOVER = re.compile(r"^\.cellseg-([0-9a-f]{8})-(\d+)-[0-9a-f]{12}\.partial")


@contextmanager
def atomic_path(path: Path | str, *, replace: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well.

    What is written may be a file or a folder. Whatever ends the block early, including a cancel,
    removes the temporary and leaves `path` as it was. The temporary keeps the suffix of `path`.

    Parameters
    ----------
    path
        Where the result shall appear; missing parent folders are made.
    replace
        Whether an existing file may be replaced. An existing folder never is.

    Raises
    ------
    OutputError
        If the place cannot be written, is full, or is taken.
    """
    target = Path(path)
    temporary = target.with_name(f".cellseg-{_host()}-{os.getpid()}-{_token()}.partial")
    temporary = temporary.with_name(temporary.name + target.suffix)
    try:
        with _failures_named(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with _failures_named(target):
            _commit(temporary, target, replace=replace)
    except OSError as error:
        if error.errno in _DISK_FULL or _concerns(error, temporary):
            raise output_error(target, error) from error
        raise
    finally:
        _remove(temporary)


def place_file(source: Path, target: Path) -> None:
    """Move a finished file of the same disk to where it belongs.

    Raises
    ------
    OutputError
        If the place cannot be written or is taken.
    """
    with _failures_named(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _commit(source, target, replace=False)


def write_text_atomic(path: Path | str, text: str, *, encoding: str = "utf-8") -> None:
    """Write a text file as a whole, with Unix line ends on every platform."""
    with atomic_path(path) as temporary, _failures_named(Path(path)):
        temporary.write_bytes(text.encode(encoding))


def remove_leftovers(folder: Path | str) -> list[Path]:
    """Remove the temporaries that killed processes of this machine left in a folder.

    Returns
    -------
    list of Path
        What was removed. Temporaries of living processes and of other machines stay.
    """
    removed = []
    for path in sorted(Path(folder).glob(".cellseg-*.partial*")):
        match = _LEFTOVER.match(path.name)
        if match and match[1] == _host() and not psutil.pid_exists(int(match[2])):
            _remove(path)
            removed.append(path)
    return removed


def output_error(path: Path | str, error: OSError) -> OutputError:
    """The sentence for a user that belongs to a failed write."""
    # NumPy's tofile ends with this text and no error number.
    if error.errno in _DISK_FULL or "requested and" in str(error):
        problem, remedy = "The disk is full.", "Free some space or choose another folder."
    elif isinstance(error, PermissionError) and os.path.isfile(path):
        problem = "The file cannot be replaced."
        remedy = "Close it in other programs, or check its permissions."
    elif error.errno in _READ_ONLY:
        problem, remedy = "The place cannot be written to.", "Choose a folder you may write to."
    elif error.errno == errno.ENAMETOOLONG:
        problem, remedy = "The name is too long.", "Choose a shorter folder or file name."
    elif isinstance(error, (FileExistsError, NotADirectoryError)):
        problem, remedy = "A file or folder of that name is in the way.", "Choose another name."
    else:
        problem = f"Writing failed: {error.strerror or error}."
        remedy = "Check that the disk is connected and healthy, then try again."
    return OutputError(problem, remedy, path=path)


@contextmanager
def _failures_named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise output_error(path, error) from error


def _commit(temporary: Path, target: Path, *, replace: bool) -> None:
    taken = target.is_dir() or (target.exists() and not replace)
    if taken:
        raise FileExistsError(errno.EEXIST, "taken", str(target))
    if temporary.is_file():
        # Without this, a power cut after the rename can leave an empty file under the final name.
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
    os.replace(temporary, target)


def _concerns(error: OSError, temporary: Path) -> bool:
    return isinstance(error.filename, str) and error.filename.startswith(str(temporary))


def _remove(path: Path) -> None:
    # What cannot be removed must not hide why the block ended.
    with suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _host() -> str:
    return f"{zlib.crc32(platform.node().encode()):08x}"


def _token() -> str:
    return uuid.uuid4().hex[:12]
