"""The newest release, as a small file on the web tells it; read only when the user asks."""

from __future__ import annotations

import http.client
import ssl
import urllib.request
from typing import Final

import truststore
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cellseg_app import __version__
from cellseg_app.core.errors import InputError, UserError
from cellseg_app.paths import resource_path

_MAX_BYTES: Final = 100_000
_TIMEOUT_S: Final = 15.0


class Release(BaseModel):
    """One release.

    Attributes
    ----------
    version
        Numbers with dots between them.
    page
        Where it can be had.
    """

    model_config = ConfigDict(frozen=True)

    version: str = Field(pattern=r"^\d+(\.\d+)*$")
    page: str = Field(pattern=r"^https?://\S+$")

    @property
    def is_newer(self) -> bool:
        """Whether it is newer than this program."""
        return _numbers(self.version) > _numbers(__version__)


def shipped_feed() -> str:
    """The address that this copy of the program was built with; empty if it was built without."""
    try:
        return resource_path("release_feed.txt").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def newest_release(address: str) -> Release:
    """Ask for the newest release.

    Raises
    ------
    UserError
        There is no address, nobody answers there, or the answer is of no use.
    """
    if not address:
        raise UserError(
            "This copy of CellSeg does not know where releases are announced.",
            "Give the address as “release_feed” in window.json, in CellSeg's data folder.",
        )
    if not address.startswith(("https://", "http://")):
        raise InputError(f"{address} is no address of a release feed.", "It starts with https://.")
    try:
        return Release.model_validate_json(_fetch(address))
    except ValidationError as error:
        raise InputError(
            "What is said about releases there cannot be read.", "Try later.", path=address
        ) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise InputError(
            f"The release feed cannot be reached; is this computer offline? ({reason})",
            "CellSeg works without it. Try again when the computer is online.",
            path=address,
        ) from error


def _fetch(address: str) -> bytes:
    headers = {"User-Agent": f"CellSeg/{__version__}"}
    request = urllib.request.Request(address, headers=headers)
    # The operating system's certificates: those of a frozen Python are often not found.
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S, context=context) as response:
        content: bytes = response.read(_MAX_BYTES)
    return content


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
