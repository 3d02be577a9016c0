"""What is open in the window: the volumes, which one is looked at, and what became of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from psygnal import SignalGroupDescriptor

from cellseg_app.core.settings import RunSettings
from cellseg_app.core.volume import SpacingZYX
from cellseg_app.io.open import VolumeInfo
from cellseg_app.state.settings import FormSettings

ItemState = Literal[
    "reading", "ready", "refused", "waiting", "running", "done", "failed", "cancelled"
]


@dataclass(frozen=True, slots=True)
class QueueItem:
    """One volume of the list.

    Attributes
    ----------
    text
        What the user reads under the name: shape, progress, or why it failed.
    info
        What the file holds; None until it was read.
    record
        Record of the last run of this volume; None before.
    bug
        Whether it failed for a reason that is not the user's.
    voxel_size_um_zyx
        The voxel size that the user gave this volume; None for the form's or the file's.
    progress
        How much of its run is done, 0 to 1; None unless it runs.
    """

    path: Path
    state: ItemState = "reading"
    text: str = "Reading…"
    info: VolumeInfo | None = None
    record: Path | None = None
    n_cells: int | None = None
    bug: bool = False
    voxel_size_um_zyx: SpacingZYX | None = None
    progress: float | None = None

    @property
    def runnable(self) -> bool:
        """Whether a run of it can be started."""
        return self.state not in ("reading", "refused")


@dataclass
class Session:
    """The open volumes and the form; changed on the GUI thread only.

    Attributes
    ----------
    items
        The list of volumes; replaced as a whole.
    current
        The volume in the viewer.
    form
        What the form holds.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    items: tuple[QueueItem, ...] = ()
    current: Path | None = None
    form: FormSettings = field(default_factory=FormSettings)

    def add(self, paths: Iterable[Path]) -> list[Path]:
        """Append volumes that are not in the list yet; returns those."""
        known = {item.path for item in self.items}
        fresh = [path for path in dict.fromkeys(paths) if path not in known]
        self.items = (*self.items, *(QueueItem(path) for path in fresh))
        return fresh

    def change(self, path: Path, **changes: Any) -> None:  # noqa: ANN401
        """Change fields of one volume; nothing happens if it was removed meanwhile."""
        self.items = tuple(
            replace(item, **changes) if item.path == path else item for item in self.items
        )

    def change_all(self, **changes: Any) -> None:  # noqa: ANN401
        """Change fields of every volume."""
        self.items = tuple(replace(item, **changes) for item in self.items)

    def run_settings(self, path: Path | None) -> RunSettings:
        """What a volume is run with: the form, and the voxel size that it was given by hand."""
        item, run = self.item(path), self.form.run
        if item is None or item.voxel_size_um_zyx is None:
            return run
        return run.with_voxel_size(item.voxel_size_um_zyx)

    def remove(self, paths: Iterable[Path]) -> None:
        """Take volumes off the list."""
        gone = set(paths)
        self.items = tuple(item for item in self.items if item.path not in gone)
        if self.current in gone:
            self.current = self.items[0].path if self.items else None

    def item(self, path: Path | None) -> QueueItem | None:
        """The entry of a volume, or None."""
        return next((item for item in self.items if item.path == path), None)

    @property
    def current_item(self) -> QueueItem | None:
        """The entry of the volume in the viewer."""
        return self.item(self.current)
