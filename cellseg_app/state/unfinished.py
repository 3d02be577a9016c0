"""The note of a batch under way, so that the next start can offer to go on after a crash."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import Field, ValidationError

from cellseg_app.atomic import write_text_atomic
from cellseg_app.core.errors import UserError
from cellseg_app.core.settings import RunSettings, Section
from cellseg_app.core.sources import may_be_there
from cellseg_app.core.volume import SpacingZYX
from cellseg_app.paths import user_data_path

_log = logging.getLogger(__name__)


class UnfinishedBatch(Section):
    """What has to be started again, exactly as it was, for the engine to take it up."""

    sources: tuple[str, ...]
    output_folder: str
    settings: RunSettings
    voxel_sizes_um_zyx: dict[str, SpacingZYX] = Field(default_factory=dict)

    @property
    def paths(self) -> list[Path]:
        """The volumes."""
        return [Path(source) for source in self.sources]


def unfinished_path() -> Path:
    """Where the note lies on this machine."""
    return user_data_path() / "unfinished.json"


def note_batch(
    path: Path,
    sources: Sequence[Path],
    *,
    output_folder: Path,
    settings: RunSettings,
    voxel_sizes_um_zyx: Mapping[Path, SpacingZYX],
) -> None:
    """Note a batch that starts; a failure to note it never stops it."""
    batch = UnfinishedBatch(
        sources=tuple(str(source) for source in sources),
        output_folder=str(output_folder),
        settings=settings,
        voxel_sizes_um_zyx={str(source): um for source, um in voxel_sizes_um_zyx.items()},
    )
    try:
        write_text_atomic(path, batch.model_dump_json(indent=1))
    except UserError as error:
        _log.warning("The batch could not be noted for a later resume: %s", error)


def forget_batch(path: Path) -> None:
    """Remove the note."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _log.warning("The note of the batch could not be removed: %s", error)


def read_batch(path: Path) -> UnfinishedBatch | None:
    """Return the batch that did not end, if there is one whose volumes still exist."""
    try:
        batch = UnfinishedBatch.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, ValidationError):
        return None
    return batch if any(may_be_there(source) for source in batch.paths) else None
