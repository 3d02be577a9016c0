"""Whether a folder can take the results, asked before hours of work."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

from cellseg_app.atomic import output_error
from cellseg_app.core.errors import OutputError
from cellseg_app.core.sources import address_of

_GIB = 1024**3
_MIB = 1024**2


def require_writable(folder: Path | str) -> None:
    """Make the folder if it is missing, and prove by a small file that it can be written to.

    Raises
    ------
    OutputError
        If it cannot.
    """
    folder = Path(folder)
    if address_of(folder) is not None:
        raise OutputError(
            "Results are written to folders, not to addresses.",
            "Choose a folder of this machine or of the network, and upload the results from there.",
            path=folder,
        )
    probe = folder / f".cellseg-probe-{uuid.uuid4().hex[:12]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"cellseg")
        probe.unlink()
    except OSError as error:
        raise output_error(folder, error) from error


def free_bytes(folder: Path | str) -> int:
    """Free space of the disk that holds `folder`, which need not exist yet."""
    folder = Path(folder).absolute()
    existing = next(place for place in (folder, *folder.parents) if os.path.exists(place))
    return shutil.disk_usage(existing).free


def require_free_space(folder: Path | str, n_bytes: int) -> None:
    """Refuse when the disk has less free space than the results are estimated to need.

    Raises
    ------
    OutputError
        Naming the folder, what is needed and what is free.
    """
    free = free_bytes(folder)
    if n_bytes > free:
        raise OutputError(
            f"The results need about {_size(n_bytes)}, but only {_size(free)} are free.",
            "Free some space or choose a folder on another disk.",
            path=folder,
        )


def _size(n_bytes: int) -> str:
    if n_bytes < _GIB:
        return f"{n_bytes / _MIB:.0f} MiB"
    return f"{n_bytes / _GIB:.1f} GiB"
