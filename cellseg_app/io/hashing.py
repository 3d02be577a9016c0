"""What an input is, told by its content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from cellseg_app.core.progress import CancelToken, ProgressSink, StageProgress
from cellseg_app.core.sources import address_of
from cellseg_app.io.refusals import unreadable

_CHUNK_BYTES: Final = 8 * 1024**2
# Beyond this, reading everything would take long and slow the run down that reads it too.
_MOST_READ_WHOLE: Final = 32 * 1024**3
# Of more, so many pieces are read, spread evenly; both ends of a single file are among them.
_SAMPLES: Final = 1024
_SAMPLE_BYTES: Final = 1024**2
_METADATA: Final = ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")
_LEFT_BY_BROWSERS: Final = ("Thumbs.db", "desktop.ini")


class _Digest(Protocol):
    """What hashlib makes."""

    def update(self, data: bytes, /) -> None: ...


@dataclass(frozen=True, slots=True)
class ContentHash:
    """A hash of an input, and whether all of it was read.

    Attributes
    ----------
    sha256
        `file_sha256`; empty if the input was too large for it, or lies at an address.
    sampled_sha256
        `sampled_sha256` of what was too large; else empty.
    """

    sha256: str = ""
    sampled_sha256: str = ""


def content_hash(path: Path | str, *, cancel: CancelToken | None = None) -> ContentHash:
    """The hash of an input, in minutes however large it is.

    Raises
    ------
    InputError
        If something cannot be read.
    Cancelled
        If stopping was asked for.
    """
    path = Path(path)
    if address_of(path) is not None:
        return ContentHash()
    try:
        n_bytes = sum(file.size for file in _content(path))
    except OSError as error:
        raise unreadable(path, error) from error
    if n_bytes <= _MOST_READ_WHOLE:
        return ContentHash(sha256=file_sha256(path, cancel=cancel))
    return ContentHash(sampled_sha256=sampled_sha256(path, cancel=cancel))


def file_sha256(
    path: Path | str, *, progress: ProgressSink | None = None, cancel: CancelToken | None = None
) -> str:
    """SHA-256 of a file, or of a folder: its files' relative names, sizes and contents in order.

    Hidden files of a folder count only where they are part of a Zarr; a file that the system's
    file browser leaves behind does not change the hash. Read as a stream.

    Returns
    -------
    str
        64 hexadecimal digits; empty for an address, since it would have to be fetched whole.

    Raises
    ------
    InputError
        If something cannot be read.
    Cancelled
        If stopping was asked for.
    """
    path = Path(path)
    if address_of(path) is not None:
        return ""
    digest = hashlib.sha256()
    try:
        sizes = [file.size for file in _content(path)]
        steps = StageProgress(
            progress,
            "hashing the input",
            -(-sum(sizes) // _CHUNK_BYTES) + len(sizes),
            cancel=cancel,
        )
        for file in _content(path):
            if path.is_dir():
                digest.update(file.entry)
            with open(file.path, "rb") as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    steps.advance()
            steps.advance()
    except OSError as error:
        raise unreadable(path, error) from error
    return digest.hexdigest()


def sampled_sha256(path: Path | str, *, cancel: CancelToken | None = None) -> str:
    """SHA-256 of the names and sizes of all files, of metadata, and of samples of the content.

    About 1,000 pieces of at most a megabyte are read, evenly spread over the files laid end to
    end. It tells other data from the same data, copied or moved; a change of few voxels that keeps
    every file's size may escape it.

    Raises
    ------
    InputError
        If something cannot be read.
    Cancelled
        If stopping was asked for.
    """
    path, digest = Path(path), hashlib.sha256()
    try:
        places = _places(sum(file.size for file in _content(path)))
        place, before = next(places), 0
        for file in _content(path):
            if cancel is not None:
                cancel.raise_if_cancelled()
            digest.update(file.entry)
            begins = [0] if Path(file.name).name in _METADATA else []
            while place < before + file.size:
                begins.append(place - before)
                place = next(places)
            before += file.size
            _add_pieces(digest, file.path, begins)
    except OSError as error:
        raise unreadable(path, error) from error
    return digest.hexdigest()


def same_content(path: Path, known: ContentHash) -> bool:
    """Whether an input is still what it was, by the hash that was taken then; True without one.

    Raises
    ------
    InputError
        If something cannot be read.
    """
    if known.sha256:
        return file_sha256(path) == known.sha256
    return not known.sampled_sha256 or sampled_sha256(path) == known.sampled_sha256


def identity_sha256(path: Path) -> str:
    """SHA-256 of the names, sizes and times of change of a file or of all files of a folder."""
    digest = hashlib.sha256()
    for file in files_in(path):
        digest.update(file.entry + f"{file.changed_ns}\0".encode())
    return digest.hexdigest()


class FileEntry(NamedTuple):
    """A file of a folder; of a single file, the name is empty."""

    name: str
    path: str
    size: int
    changed_ns: int

    @property
    def entry(self) -> bytes:
        """Name and size."""
        return f"{self.name}\0{self.size}\0".encode()


def files_in(path: Path) -> Iterator[FileEntry]:
    """A file, or those of a folder in the order of their names; millions take no memory.

    Raises
    ------
    OSError
        Something cannot be looked at.
    """
    if path.is_dir():
        yield from _walk(str(path), "")
        return
    stat = path.stat()
    yield FileEntry("", str(path), stat.st_size, stat.st_mtime_ns)


def _walk(folder: str, prefix: str) -> Iterator[FileEntry]:
    with os.scandir(folder) as opened:
        # As names with all folders before them are ordered.
        found = sorted(
            ((entry.name + "/" * _is_folder(entry), entry) for entry in opened),
            key=itemgetter(0),
        )
    for name, entry in found:
        if name.endswith("/"):
            yield from _walk(entry.path, prefix + name)
        elif entry.is_file():
            stat = entry.stat()
            yield FileEntry(prefix + name, entry.path, stat.st_size, stat.st_mtime_ns)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir() and not entry.is_symlink()


def _content(path: Path) -> Iterator[FileEntry]:
    """The files that are data: not what is hidden, nor what a file browser leaves behind."""
    for file in files_in(path):
        name = file.name.rpartition("/")[2]
        hidden = name.startswith(".") and not name.startswith(".z")
        if not hidden and name not in _LEFT_BY_BROWSERS:
            yield file


def _places(total: int) -> Iterator[int]:
    """First bytes of the pieces that are read; beyond the end when there are no more."""
    last = max(0, total - _SAMPLE_BYTES)
    yield from (last * k // (_SAMPLES - 1) for k in range(_SAMPLES))
    while True:
        yield total


def _add_pieces(digest: _Digest, path: str, begins: list[int]) -> None:
    if not begins:
        return
    with open(path, "rb") as stream:
        for begin in begins:
            stream.seek(begin)
            digest.update(stream.read(_SAMPLE_BYTES))
