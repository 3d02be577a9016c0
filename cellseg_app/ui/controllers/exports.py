"""Saving what is seen: tables, labels, maps, paragraphs, pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PySide6.QtCore import QObject
from PySide6.QtWidgets import QFileDialog, QWidget

from cellseg_app.core.errors import OutputError
from cellseg_app.core.sources import folder_beside
from cellseg_app.core.volume import LazyArray
from cellseg_app.io.methods_text import Selection
from cellseg_app.ui.availability import why_not_told
from cellseg_app.ui.controllers.scene import SceneController
from cellseg_app.ui.controllers.tuning import TuningController
from cellseg_app.ui.desk import Desk
from cellseg_app.ui.panels.message_bar import Offer
from cellseg_app.ui.qt_actions import set_possible
from cellseg_app.workers.exports import (
    ChosenLabels,
    ImageExport,
    exporting_image,
    exporting_methods,
    exporting_points,
    exporting_record,
    exporting_table,
)
from cellseg_app.workers.jobs import Work

# The longer ones first.
_IMAGE_SUFFIXES: Final = (".ome.tif", ".ome.tiff", ".ome.zarr", ".tif", ".tiff", ".zarr")
_POINT_SUFFIXES: Final = (".csv", ".xml", ".npy")
_POINTS: Final = "napari points (*.csv);;cellfinder, brainreg (*.xml);;brainrender (*.npy)"
_IMAGES: Final = "TIFF (*.tif);;OME-TIFF (*.ome.tif);;OME-Zarr (*.ome.zarr)"


@dataclass(frozen=True, slots=True)
class _Kind:
    title: str
    suffix: str
    filters: str
    work: Callable[[Path], Work]
    is_of_cells: bool = True


class ExportController(QObject):
    """One method per thing that can be saved; writing happens off the GUI thread."""

    def __init__(
        self, desk: Desk, scene: SceneController, tuned: TuningController, *, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self._desk, self._scene, self._tuned, self._window = desk, scene, tuned, parent
        table_kinds = {
            "export_csv": _Kind("cells", ".csv", "CSV (*.csv)", self._table_work),
            "export_excel": _Kind("cells", ".xlsx", "Excel (*.xlsx)", self._table_work),
            "export_points": _Kind("points", ".csv", _POINTS, self._points_work),
            "export_labels": _Kind("labels", ".tif", _IMAGES, self._labels_work),
            "export_probability": _Kind(
                "probability", ".tif", _IMAGES, self._map_work, is_of_cells=False
            ),
            "export_methods": _Kind("methods", ".txt", "Text (*.txt)", self._methods_work),
            "export_record": _Kind("record", ".json", "Run record (*.json)", self._record_work),
        }
        for key, kind in table_kinds.items():
            desk.actions[key].triggered.connect(lambda _=False, k=kind: self._ask(k))
        desk.actions["screenshot"].triggered.connect(self.ask_screenshot)
        desk.cells.table_changed.connect(self.refresh)
        scene.map_changed.connect(self.refresh)
        scene.cells_corrected.connect(self.refresh)
        tuned.started.connect(self.refresh)

    def refresh(self) -> None:
        """Enable what there is something to save of."""
        has_cells = len(self._desk.cells.table) > 0
        labels, _ = self._labels()
        state = {
            "export_csv": has_cells,
            "export_excel": has_cells,
            "export_points": has_cells,
            "export_labels": labels is not None,
            "export_probability": self._scene.tunable is not None,
        }
        for key, is_there in state.items():
            self._desk.actions[key].setEnabled(is_there)
        reasons = why_not_told(
            has_result=self._scene.result is not None,
            is_preview=self._scene.preview is not None,
            is_tuned=self._tuned.is_changed,
            is_corrected=self._scene.is_corrected,
        )
        for key, reason in reasons.items():
            set_possible(self._desk.actions[key], reason)

    def folder(self) -> Path:
        """Where the results of the current volume lie; before a run, the volume itself."""
        item = self._desk.session.current_item
        if item is None:
            return Path()
        return folder_beside(item.path) if item.record is None else item.record.parent

    def ask_screenshot(self) -> None:
        """Save the viewer as a picture."""
        picture = self._scene.viewer.screenshot()
        path = self._ask_path("screenshot", ".png", "PNG image (*.png)")
        if path is None:
            return
        if picture.save(str(path)):
            self._say_saved(path)
        else:
            self._desk.warn(OutputError("The picture cannot be written.", "Choose another folder."))

    def _ask(self, kind: _Kind) -> None:
        path = self._ask_path(kind.title, kind.suffix, kind.filters)
        if path is None:
            return
        work, is_corrected = kind.work(path), kind.is_of_cells and self._scene.is_corrected
        handle = self._desk.lanes.files.submit(f"Saving {path.name}", work)
        self._desk.watch(
            handle,
            lambda made: self._say_saved(
                made if isinstance(made, Path) else path, is_corrected=is_corrected
            ),
        )

    def _ask_path(self, title: str, suffix: str, filters: str) -> Path | None:
        item = self._desk.session.current_item
        stem = "cellseg" if item is None else item.path.name.split(".")[0]
        proposal = str(self.folder() / f"{stem}_{title}{suffix}")
        chosen, used = QFileDialog.getSaveFileName(
            self._window, f"Export {title}", proposal, filters
        )
        if not chosen:
            return None
        path = Path(chosen)
        if "*" in used:
            return named(path, used[used.find("*") + 1 : used.find(")")])
        return path if path.suffix else path.with_name(path.name + suffix)

    def _say_saved(self, path: Path, *, is_corrected: bool = False) -> None:
        if is_corrected:
            self._desk.messages.tell(
                f"Saved {path}, with your corrections. The result itself does not have them yet.",
                Offer("Save corrections", self._desk.actions["save_corrections"].trigger),
            )
        else:
            self._desk.messages.tell(f"Saved {path}")

    def _table_work(self, path: Path) -> Work:
        return exporting_table(path, self._desk.cells.table, self._desk.cells.kept)

    def _points_work(self, path: Path) -> Work:
        result = self._scene.result if self._scene.preview is None else None
        record = None if result is None else result.record
        return exporting_points(
            path, self._desk.cells.table, self._desk.cells.kept, record, self._spacing()
        )

    def _labels(self) -> tuple[LazyArray | None, Any]:
        if self._tuned.live is not None:
            return self._tuned.live.labels, self._spacing()
        if self._scene.preview is not None:
            return self._scene.preview.cells.labels, self._spacing()
        result, corrected = self._scene.result, self._scene.corrected
        if result is None:
            return None, None
        return result.labels if corrected is None else corrected.labels, result.spacing_um_zyx

    def _spacing(self) -> Any:  # noqa: ANN401 - SpacingZYX or None
        return None if self._scene.tunable is None else self._scene.tunable.spacing_um_zyx

    def _labels_work(self, path: Path) -> Work:
        labels, spacing = self._labels()
        assert labels is not None
        cells = self._desk.cells
        if not np.all(cells.kept):
            labels = ChosenLabels(labels, cells.kept_labels)
        return exporting_image(ImageExport(path, labels, "labels", spacing))

    def _map_work(self, path: Path) -> Work:
        source = self._scene.tunable
        assert source is not None
        return exporting_image(
            ImageExport(path, source.probability, "probability", source.spacing_um_zyx)
        )

    def _methods_work(self, path: Path) -> Work:
        result, corrected, cells = self._scene.result, self._scene.corrected, self._desk.cells
        assert result is not None
        kept = None
        if cells.filters:
            conditions = tuple(one.sentence() for one in cells.filters)
            kept = Selection(int(np.count_nonzero(cells.kept)), conditions)
        record = result.record if corrected is None else corrected.record
        return exporting_methods(path, record, kept)

    def _record_work(self, path: Path) -> Work:
        assert self._scene.result is not None
        return exporting_record(path, self._scene.result.record_path)


def named(path: Path, wanted: str) -> Path:
    """The path with the suffix of the format chosen; dialogs leave that of the proposal on it."""
    if path.name.lower().endswith(wanted):
        return path
    for family in (_IMAGE_SUFFIXES, _POINT_SUFFIXES):
        own = next((s for s in family if path.name.lower().endswith(s)), "")
        if wanted in family and own:
            return path.with_name(path.name[: -len(own)] + wanted)
    return path if path.suffix else path.with_name(path.name + wanted)
