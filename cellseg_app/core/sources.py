"""Where a volume lies: a file, a folder, or an address such as `https://` or `s3://`.

An address travels through the program as a `Path`, like every other source; a `Path` writes
`https://host/a` as `https:/host/a`, from which `address_of` makes the address again.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

# At least two letters: one letter is a drive of Windows.
_ADDRESS: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,2}(?=[^/])")


def address_of(source: Path | str) -> str | None:
    """The address that a source stands for; None for files and folders."""
    text = source if isinstance(source, str) else source.as_posix()
    found = _ADDRESS.match(text)
    return None if found is None else f"{found[1].lower()}://{text[found.end() :]}"


def as_source(text: str) -> Path:
    """What a user typed, as a source: a path, an address, or a path written as `file://`."""
    text = text.strip()
    if text.lower().startswith("file://"):
        return Path(url2pathname(unquote(urlsplit(text).path)))
    return Path(text) if address_of(text) else Path(text).expanduser()


def shown(source: Path | str) -> str:
    """A source as a user wrote it: an address with both its slashes."""
    return address_of(source) or str(source)


def absolute(source: Path) -> str:
    """A source that means the same from every folder."""
    return address_of(source) or str(source.resolve())


def may_be_there(source: Path) -> bool:
    """Whether a file or folder is there; of an address, only opening it tells."""
    return address_of(source) is not None or source.exists()


def folder_beside(source: Path) -> Path:
    """The folder that holds a source; the user's own where that is an address."""
    return source.parent if address_of(source) is None else Path.home()
