"""The hash that tells one weights file from another."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

_CHUNK_BYTES: Final = 1 << 20


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
