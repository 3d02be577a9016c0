"""Reading what lies at an address (https, s3 and what else fsspec knows) instead of on a disk.

Account, endpoint and region of S3 are taken from where all its tools take them: the variables
`AWS_…` of the environment and the files in `~/.aws`. Nothing is ever fetched but what a user named.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, Final, TypeVar

from cellseg_app.core.errors import InputError
from cellseg_app.core.extras import how_to_install

_PACKAGES: Final = {
    "http": "aiohttp",
    "https": "aiohttp",
    "s3": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
}
# A server that hiccups must not cost a night's run.
_PAUSES_S: Final = (0.5, 2.0, 8.0)
# Somebody waits for this, and the address may be wrong.
OPENING_PAUSES_S: Final = (0.3,)
# Requests for single objects that are under way together.
_AT_ONCE: Final = 8
# As the file systems of fsspec call it.
_TIMES_OF_CHANGE: Final = ("Last-Modified", "LastModified", "last_modified", "updated", "mtime")
_T = TypeVar("_T")


def storage_options(address: str) -> dict[str, Any]:
    """What fsspec must be told to open an address: public buckets are read without an account."""
    if not _is_s3(address):
        return {}
    # With more than one, s3fs asks for the size of each chunk before it asks for the chunk.
    return {"anon": not _has_s3_account(), "max_concurrency": 1}


def what_to_check(address: str) -> str:
    """What a user can do where nothing is found or nobody answers."""
    if _is_s3(address):
        return "Check the address, the connection, and AWS_ENDPOINT_URL if it is not Amazon's."
    return "Check the address and the connection."


def read_bytes(address: str) -> bytes | None:
    """Read a small file; None where there is none.

    Raises
    ------
    InputError
        The package for such addresses is missing, or the place does not answer.
    """

    def read() -> bytes | None:
        file_system, path = _file_system(address)
        try:
            content: bytes = file_system.cat_file(path)
        except FileNotFoundError:
            return None
        return content

    return patiently(read, address, pauses_s=OPENING_PAUSES_S)


def told_of_all(address: str) -> dict[str, str] | None:
    """What a place tells of every object below an address, by its name from there on.

    Costs a request for every thousand or so. What is told changes when the object does, see
    `_told`.

    Returns
    -------
    dict or None
        None where the place lists nothing, such as a web server.

    Raises
    ------
    InputError
        It does not answer.
    """
    if _is_web(address):
        return None

    def look() -> dict[str, str] | None:
        file_system, path = _looking_anew(address)
        try:
            found = file_system.find(path, detail=True)
        except (FileNotFoundError, PermissionError, NotImplementedError):
            return None
        begin = len(path.rstrip("/")) + 1
        return {name[begin:]: _told(info) for name, info in found.items()} or None

    return patiently(look, address)


def told_of(address: str, names: Sequence[str]) -> list[str | None]:
    """What a place tells of some objects below an address; None for each that is not there.

    Raises
    ------
    InputError
        It does not answer.
    """

    def look() -> list[str | None]:
        file_system, path = _looking_anew(address)

        def one(name: str) -> str | None:
            try:
                info = file_system.info(f"{path.rstrip('/')}/{name}")
            except PermissionError:
                # What S3 says of a missing object to those who may not list.
                return None
            except FileNotFoundError as error:
                # fsspec says so of every failure of a web server.
                reason = error.__cause__
                if isinstance(reason, Exception) and _may_pass(reason):
                    raise reason from error
                return None
            return None if info["type"] == "directory" else _told(info)

        with ThreadPoolExecutor(_AT_ONCE, "look") as pool:
            return list(pool.map(one, names))

    return patiently(look, address)


def patiently(
    read: Callable[[], _T], address: str, *, pauses_s: tuple[float, ...] = _PAUSES_S
) -> _T:
    """Call `read`, and again after each pause if the place does not answer.

    Raises
    ------
    InputError
        It does not answer to the last attempt either, or must not be read.
    """
    for pause in (*pauses_s, None):
        try:
            return read()
        except (InputError, MemoryError):
            raise
        except Exception as error:
            if pause is None or not _may_pass(error):
                raise _unreachable(address, error) from error
            time.sleep(pause)
    raise AssertionError


def _file_system(address: str) -> tuple[Any, str]:
    import fsspec

    scheme = address.partition(":")[0]
    try:
        if _is_web(address):
            # By name, so that frozen programs bring it.
            import fsspec.implementations.http
        found: tuple[Any, str] = fsspec.core.url_to_fs(address, **storage_options(address))
    except ImportError as error:
        package = _PACKAGES.get(scheme, "that fsspec names for it")
        raise InputError(
            f"Addresses that begin with {scheme}:// need the package {package}, which is not "
            "installed here.",
            f"Download the volume first. {how_to_install('remote')}",
            path=address,
        ) from error
    except ValueError as error:
        raise InputError(
            f"Addresses that begin with {scheme}:// are not known.",
            "Give one that begins with https:// or s3://, or a file.",
            path=address,
        ) from error
    return found


def _looking_anew(address: str) -> tuple[Any, str]:
    file_system, path = _file_system(address)
    # fsspec would answer from what it saw in an earlier run of this process.
    file_system.invalidate_cache()
    return file_system, path


def _told(info: Mapping[str, Any]) -> str:
    """The tag of the content; size and time of change where there is none."""
    tag = info.get("ETag") or info.get("etag")
    if tag:
        return str(tag).strip('"')
    times = [str(info[key]) for key in _TIMES_OF_CHANGE if info.get(key)]
    return f"{info.get('size')} {' '.join(times)}"


def _is_web(address: str) -> bool:
    return address.startswith(("http://", "https://"))


def _is_s3(address: str) -> bool:
    return address.startswith("s3://")


@lru_cache(maxsize=1)
def _has_s3_account() -> bool:
    try:
        import botocore.session
    except ImportError:
        return True
    return botocore.session.get_session().get_credentials() is not None


def _may_pass(error: Exception) -> bool:
    """Whether asking again may help: no answer, or a server's own fault; not a refusal."""
    status = getattr(error, "status", None)
    if isinstance(status, int):
        return status >= 500 or status == 429
    return isinstance(error, (OSError, TimeoutError)) and not isinstance(error, PermissionError)


def _unreachable(address: str, error: Exception) -> InputError:
    reason = " ".join(str(error).split()).rstrip(".")[:200] or type(error).__name__
    status = getattr(error, "status", None)
    if status in (401, 403) or isinstance(error, PermissionError):
        return InputError(f"It may not be read ({reason}).", _how_to_log_in(address), path=address)
    return InputError(f"It cannot be read ({reason}).", what_to_check(address), path=address)


def _how_to_log_in(address: str) -> str:
    if _is_s3(address):
        return (
            "Give an account that may read it: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "or AWS_PROFILE."
        )
    return "It asks for an account; give it as the storage's own tools expect it."
