"""Downloading one file: with progress, resumable, and clear about what went wrong."""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import os
import re
import shutil
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import truststore

from cellseg_app import __version__
from cellseg_app.core.errors import OutputError, WeightsError
from cellseg_app.core.progress import CancelToken, ProgressSink, StageProgress

_CHUNK_BYTES: Final = 1 << 18
_ATTEMPTS: Final = 4
_RANGE_NOT_SATISFIABLE: Final = 416
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Partial:
    """What must still hold of the server's file for a started download to be continued."""

    url: str
    validator: str


class _Interrupted(Exception):
    """The connection broke; what has arrived can be continued."""


def download(
    url: str,
    target: Path,
    *,
    progress: ProgressSink | None = None,
    cancel: CancelToken | None = None,
    timeout_s: float = 30.0,
    pause_s: float = 2.0,
) -> None:
    """Download `url` to `target`, continuing what an earlier call left unfinished.

    A broken connection is taken up again up to three times. What has arrived stays beside
    `target` as `.partial`, also after a cancel.

    Parameters
    ----------
    url, target
        What to download, and where to put it.
    progress
        Is told bytes done and in all (0 where the server does not say).
    cancel
        Looked at after every quarter of a megabyte.
    timeout_s
        How long the server may stay silent (seconds).
    pause_s
        How long to wait before a broken connection is taken up again (seconds).

    Raises
    ------
    WeightsError
        The server cannot be reached, has no such file, or the connection keeps breaking.
    OutputError
        The folder cannot be written to or the disk is too full.
    Cancelled
        Asked for by `cancel`.
    """
    partial = target.with_name(f"{target.name}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                _continue(url, partial, progress=progress, cancel=cancel, timeout_s=timeout_s)
                break
            except _Interrupted as error:
                _log.warning("download of %s broke off (%s), attempt %d", url, error, attempt)
                time.sleep(pause_s if attempt < _ATTEMPTS else 0)
        else:
            raise WeightsError(
                f"The connection to the server broke {_ATTEMPTS} times.",
                "Run the same command again; it goes on where it stopped.",
                path=url,
            )
        os.replace(partial, target)
        _note_path(partial).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"The download could not be stored ({error.strerror or error}).",
            "Check the free space and the permissions of the folder.",
            path=target,
        ) from error


def _continue(
    url: str,
    partial: Path,
    *,
    progress: ProgressSink | None,
    cancel: CancelToken | None,
    timeout_s: float,
) -> None:
    known = _read_note(partial, url)
    done = partial.stat().st_size if known and partial.exists() else 0
    with contextlib.closing(_open(url, known, done=done, timeout_s=timeout_s)) as response:
        if response.status != http.client.PARTIAL_CONTENT:
            done = 0
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
            partial.unlink()
            raise _Interrupted("the server sent another part than the one asked for")
        total = done + int(response.headers.get("Content-Length") or 0)
        _check_space(partial, total - done)
        _write_note(partial, _Partial(url, _validator(response)))
        stage = StageProgress(progress, "download", total, cancel=cancel, done=done)
        with partial.open("ab" if done else "wb") as stream:
            while chunk := _read(response):
                stream.write(chunk)
                done += len(chunk)
                stage.advance(len(chunk))
    if done < total:
        raise _Interrupted(f"{done} of {total} bytes")


def _open(url: str, known: _Partial | None, *, done: int, timeout_s: float) -> Any:  # noqa: ANN401
    headers = {"User-Agent": f"CellSeg/{__version__}", "Accept-Encoding": "identity"}
    if known and done:
        headers |= {"Range": f"bytes={done}-", "If-Range": known.validator}
    request = urllib.request.Request(url, headers=headers)
    # The operating system's certificates: those of a frozen Python are often not found.
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        response = urllib.request.urlopen(request, timeout=timeout_s, context=context)
    except urllib.error.HTTPError as error:
        if error.code == _RANGE_NOT_SATISFIABLE and done:
            return _open(url, None, done=0, timeout_s=timeout_s)
        raise WeightsError(
            f"The server answered {error.code} {error.reason}.",
            "Try again later, or ask for the file elsewhere and import it.",
            path=url,
        ) from error
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise _offline(url, error) from error
    if url.startswith("https:") and not response.url.startswith("https:"):
        response.close()
        raise WeightsError("The server leads to an unsafe address.", "Try later.", path=url)
    return response


def _offline(url: str, error: Exception) -> WeightsError:
    reason = getattr(error, "reason", None) or error
    return WeightsError(
        f"The server cannot be reached; is this computer offline? ({reason})",
        "Run this again when it is online, or download the address on another computer and give "
        "the file to `cellseg weights import`.",
        path=url,
    )


def _read(response: Any) -> bytes:  # noqa: ANN401
    try:
        chunk: bytes = response.read(_CHUNK_BYTES)
    except (http.client.HTTPException, OSError) as error:
        raise _Interrupted(str(error)) from error
    return chunk


def _validator(response: Any) -> str:  # noqa: ANN401
    etag = response.headers.get("ETag", "")
    strong = etag if re.fullmatch(r'"[^"]*"', etag) else ""
    return strong or response.headers.get("Last-Modified", "")


def _check_space(partial: Path, needed_bytes: int) -> None:
    free_bytes = shutil.disk_usage(partial.parent).free
    if needed_bytes > free_bytes:
        raise OutputError(
            f"The download needs {needed_bytes / 1e6:.0f} MB, {free_bytes / 1e6:.0f} MB are free.",
            "Make room on this disk.",
            path=partial.parent,
        )


def _note_path(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.json")


def _write_note(partial: Path, note: _Partial) -> None:
    _note_path(partial).write_text(json.dumps(asdict(note)), encoding="utf-8")


def _read_note(partial: Path, url: str) -> _Partial | None:
    # Without the server's own mark the started file may belong to an older version of it.
    try:
        note = _Partial(**json.loads(_note_path(partial).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return note if note.url == url and note.validator else None
