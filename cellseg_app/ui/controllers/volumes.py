"""Opening volumes, and looking at one of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QFileDialog, QInputDialog, QWidget

from cellseg_app.core.errors import InputError, UserError
from cellseg_app.core.settings import DataSettings
from cellseg_app.core.sources import as_source, folder_beside
from cellseg_app.core.volume import SpacingZYX
from cellseg_app.io.open import VolumeInfo
from cellseg_app.paths import resource_path
from cellseg_app.state.session import ItemState, QueueItem
from cellseg_app.ui.controllers.scene import SceneController
from cellseg_app.ui.desk import Desk
from cellseg_app.ui.panels.data_strip import DataStrip, SizeOrigin
from cellseg_app.ui.panels.queue_panel import QueuePanel
from cellseg_app.workers.files import VolumeReading, describing, expanding, reading
from cellseg_app.workers.lane import JobHandle

_FILTER: Final = "Volumes (*.tif *.tiff *.btf *.tf2 *.tf8 *.lsm *.stk);;All files (*)"


class VolumesController(QObject):
    """From files to the volume in the viewer.

    Signals
    -------
    volume_shown
        Another volume is in the viewer, a `VolumeReading`.
    form_size_dropped
        The user wants the file's voxel size, where the form sets one for all volumes.
    """

    volume_shown = Signal(object)
    form_size_dropped = Signal()

    def __init__(
        self, desk: Desk, scene: SceneController, *, queue: QueuePanel, strip: DataStrip
    ) -> None:
        super().__init__()
        self._desk, self._scene, self._queue, self._strip = desk, scene, queue, strip
        self._reading: JobHandle | None = None
        self._read_with = DataSettings()
        queue.chosen.connect(self.look_at)
        queue.remove_asked.connect(self.remove)
        strip.spacing_edited.connect(self._on_spacing_edited)
        strip.spread_asked.connect(self.spread_spacing)
        desk.session.events.items.connect(self._on_state_items)
        desk.session.events.current.connect(self._on_state_current)

    # ---- Opening ----

    def open(self, paths: Sequence[Path], *, voxel_size_um_zyx: SpacingZYX | None = None) -> None:
        """Add files and folders to the list; the first new one is shown.

        `voxel_size_um_zyx` is that of these volumes, if it is known better than by the files.
        """
        if not self._desk.may_leave():
            return
        for path in paths:
            self._desk.user = self._desk.user.with_recent(path)
        self._desk.remember()
        handle = self._desk.lanes.files.submit("Opening", expanding(list(paths)))
        self._desk.watch(handle, lambda found: self._on_expanded(found, voxel_size_um_zyx))

    def ask_files(self, parent: QWidget) -> None:
        """Let the user choose files."""
        chosen, _ = QFileDialog.getOpenFileNames(parent, "Open files", self._last(), _FILTER)
        if chosen:
            self.open([Path(name) for name in chosen])

    def ask_folder(self, parent: QWidget) -> None:
        """Let the user choose a folder."""
        chosen = QFileDialog.getExistingDirectory(parent, "Open folder", self._last())
        if chosen:
            self.open([Path(chosen)])

    def ask_address(self, parent: QWidget) -> None:
        """Let the user name a volume on a server."""
        text, is_given = QInputDialog.getText(
            parent,
            "Open address",
            "Address of an OME-Zarr, such as https://… or s3://…\n"
            "Only what is looked at is fetched.",
        )
        if is_given and text.strip():
            self.open([as_source(text)])

    def open_sample(self) -> None:
        """Open the volume that comes with the program."""
        sample = sample_path()
        if sample is None:
            self._desk.warn(
                InputError("The sample volume is not installed.", "Install CellSeg again.")
            )
        else:
            self.open([sample])

    def remove(self, paths: Sequence[Path]) -> None:
        """Take volumes off the list, unless they are being run."""
        session = self._desk.session
        busy = {item.path for item in session.items if item.state in ("running", "waiting")}
        going = [path for path in paths if path not in busy]
        if session.current not in going or self._desk.may_leave():
            session.remove(going)

    def spread_spacing(self, spacing: SpacingZYX) -> None:
        """Give every volume of the list the same voxel size."""
        session = self._desk.session
        session.change_all(voxel_size_um_zyx=spacing)
        said = " × ".join(f"{um:g}" for um in spacing)
        self._desk.messages.tell(
            f"All {len(session.items)} volumes of the list have voxels of {said} µm now."
        )
        self.read_again()

    # ---- Looking ----

    def look_at(self, path: Path) -> None:
        """Show a volume in the viewer."""
        session = self._desk.session
        if path == session.current or self._desk.may_leave():
            session.current = path
        else:
            self._queue.show_items(session.items, session.current)

    def read_again(self, *, always: bool = False) -> bool:
        """Read the current volume anew if the data settings have changed; says whether they have.

        `always` reads it whatever was changed, and without asking.
        """
        session = self._desk.session
        if session.run_settings(session.current).data == self._read_with and not always:
            return False
        if always or self._desk.may_leave():
            self._on_state_current(session.current)
        return True

    def _on_spacing_edited(self, spacing: SpacingZYX | None) -> None:
        session = self._desk.session
        item = session.current_item
        if item is None:
            return
        if spacing is None and item.voxel_size_um_zyx is None:
            self.form_size_dropped.emit()
            return
        session.change(item.path, voxel_size_um_zyx=spacing)
        self.read_again()

    def _on_expanded(self, paths: object, voxel_size_um_zyx: SpacingZYX | None) -> None:
        assert isinstance(paths, list)
        session = self._desk.session
        fresh = session.add(paths)
        if voxel_size_um_zyx is not None:
            for path in paths:
                session.change(path, voxel_size_um_zyx=voxel_size_um_zyx)
        if fresh:
            handle = self._desk.lanes.files.submit("Reading headers", describing(fresh))
            handle.happened.connect(self._on_described)
        session.current = (fresh or paths)[0]
        self.read_again()

    def _on_described(self, found: tuple[Path, VolumeInfo | UserError]) -> None:
        path, info = found
        item = self._desk.session.item(path)
        if item is None or item.state not in ("reading", "refused"):
            return
        if isinstance(info, UserError):
            text = f"{info.problem} {info.remedy}".strip()
            self._desk.session.change(path, state="refused", text=text)
        else:
            self._take_info(path, info)

    def _take_info(self, path: Path, info: VolumeInfo) -> None:
        state: ItemState = "refused" if info.problem else "ready"
        text = info.problem or shape_sentence(info)
        self._desk.session.change(path, state=state, text=text, info=info)

    def _on_state_items(self) -> None:
        session = self._desk.session
        self._queue.show_items(session.items, session.current)
        self._strip.offer_spread(len(session.items) > 1)

    def _on_state_current(self, path: Path | None) -> None:
        self._queue.show_items(self._desk.session.items, path)
        if self._reading is not None:
            self._reading.blockSignals(True)
            self._reading.cancel()
            self._reading = None
        if path is None:
            self._scene.clear()
            self._strip.hide()
            self._desk.turns.forget()
            self._desk.cells.set_table(None)
            return
        settings = self._desk.session.run_settings(path).data
        self._read_with = settings
        handle = self._desk.lanes.files.submit(f"Opening {path.name}", reading(path, settings))
        handle.finished.connect(self._on_read)
        handle.failed.connect(lambda error: self._on_unreadable(path, error))
        handle.ended.connect(self._on_reading_ended)
        self._reading = handle

    def _on_reading_ended(self) -> None:
        self._reading = None

    def _on_read(self, found: VolumeReading) -> None:
        item = self._desk.session.item(found.path)
        if item is not None and item.state in ("reading", "refused"):
            # Another channel or time point may be usable where the first was not.
            self._take_info(found.path, found.info)
        else:
            self._desk.session.change(found.path, info=found.info)
        self._strip.show_info(found.info, found.thumbnails, origin=self._size_origin(item))
        self._scene.show_volume(found)
        self._desk.turns.forget()
        self._desk.cells.set_table(None)
        self.volume_shown.emit(found)

    def _size_origin(self, item: QueueItem | None) -> SizeOrigin:
        if item is not None and item.voxel_size_um_zyx is not None:
            return "volume"
        in_form = self._desk.session.form.run.data.voxel_size_um_zyx is not None
        return "form" if in_form else "file"

    def _on_unreadable(self, path: Path, error: UserError) -> None:
        text = f"{error.problem} {error.remedy}".strip()
        self._strip.hide()
        self._scene.clear(f"{path.name} cannot be shown. {text}")
        self._desk.turns.forget()
        self._desk.cells.set_table(None)
        self._desk.session.change(path, state="refused", text=text)
        self._desk.warn(error)

    def _last(self) -> str:
        recent = self._desk.user.recent
        return str(folder_beside(Path(recent[0]))) if recent else ""


def sample_path() -> Path | None:
    """The volume that comes with the program, if it is there."""
    folder = resource_path("sample")
    found = sorted(folder.glob("*.tif")) if folder.is_dir() else []
    return found[0] if found else None


def shape_sentence(info: VolumeInfo) -> str:
    """Shape in one line."""
    sizes = " × ".join(f"{n:,}" for n in info.shape_zyx or info.shape)
    return f"{sizes} voxels"
