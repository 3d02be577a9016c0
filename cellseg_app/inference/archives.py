"""Taking the one weights file out of an archive without trusting the archive."""

from __future__ import annotations

import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Final

from cellseg_app.atomic import atomic_path
from cellseg_app.core.errors import WeightsError

# The largest published file, SwinUNetR, has 0.3 GB.
LIMIT_BYTES: Final = 2 << 30
_MAX_MEMBERS: Final = 100
_GZIP: Final = b"\x1f\x8b"
_REMEDY: Final = "Use an archive with one .pth file and nothing else."


def is_archive(path: Path) -> bool:
    """Return whether the file is a tar archive or compressed, even if damaged."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        compressed = stream.read(len(_GZIP)) == _GZIP
    return compressed or tarfile.is_tarfile(path)


def extract_weights(archive: Path, target: Path, *, limit_bytes: int = LIMIT_BYTES) -> None:
    """Write the only .pth file of a tar archive to `target`.

    Names inside the archive never become paths. An archive with a link, a device, a path that
    leads out of it, or more than one .pth is refused whole.

    Raises
    ------
    WeightsError
        The archive is damaged, suspicious, too large, or holds no single .pth file.
    OutputError
        `target` cannot be written.
    """
    try:
        with atomic_path(target) as temporary, tarfile.open(archive, "r|*") as members:
            _copy_only_weights(members, temporary, archive, limit_bytes)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise WeightsError(
            "The archive is damaged or incomplete.", "Download it again.", path=archive
        ) from error


def _copy_only_weights(
    members: tarfile.TarFile, target: Path, archive: Path, limit_bytes: int
) -> None:
    found: list[str] = []
    total_bytes = 0
    for number, member in enumerate(members):
        total_bytes += member.size
        if number >= _MAX_MEMBERS or total_bytes > limit_bytes:
            raise WeightsError("The archive unpacks to too much.", _REMEDY, path=archive)
        _reject_suspicious(member, archive)
        if not _is_weights(member):
            continue
        found.append(member.name)
        content = members.extractfile(member)
        if len(found) == 1 and content is not None:
            with target.open("wb") as stream:
                shutil.copyfileobj(content, stream)
    if len(found) != 1:
        raise WeightsError(
            f"The archive holds {len(found)} .pth files instead of one.", _REMEDY, path=archive
        )


def _reject_suspicious(member: tarfile.TarInfo, archive: Path) -> None:
    name = PurePosixPath(member.name.replace("\\", "/"))
    leads_out = name.is_absolute() or ".." in name.parts or ":" in member.name
    if leads_out or not (member.isreg() or member.isdir()):
        raise WeightsError(
            f"The archive holds a suspicious entry ({member.name[:80]!r}).", _REMEDY, path=archive
        )


def _is_weights(member: tarfile.TarInfo) -> bool:
    name = PurePosixPath(member.name).name
    # macOS adds a shadow file ._NAME to every file it packs.
    return member.isreg() and name.lower().endswith(".pth") and not name.startswith("._")
