"""What an input is, told by its content."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cellseg_app.core.progress import CancelToken, ProgressSink, StageProgress
from cellseg_app.core.sources import address_of
from cellseg_app.io.refusals import unreadable

_CHUNK_BYTES = 8 * 1024**2


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
        files = _files(path) if path.is_dir() else [path]
        n_bytes = sum(file.stat().st_size for file in files)
        steps = StageProgress(
            progress, "hashing the input", -(-n_bytes // _CHUNK_BYTES) + len(files), cancel=cancel
        )
        for file in files:
            if path.is_dir():
                name = file.relative_to(path).as_posix()
                digest.update(f"{name}\0{file.stat().st_size}\0".encode())
            with file.open("rb") as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    steps.advance()
            steps.advance()
    except OSError as error:
        raise unreadable(path, error) from error
    return digest.hexdigest()


def _files(folder: Path) -> list[Path]:
    return sorted(
        (
            file
            for file in folder.rglob("*")
            if file.is_file()
            and (not file.name.startswith(".") or file.name.startswith(".z"))
            and file.name not in ("Thumbs.db", "desktop.ini")
        ),
        key=lambda file: file.relative_to(folder).as_posix(),
    )
