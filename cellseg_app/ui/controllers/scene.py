"""What the viewer shows: the volume, its result, what is being tuned, the preview."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Literal

from PySide6.QtCore import QObject, Signal

from cellseg_app.core.blocks import Region, region_shape, whole
from cellseg_app.core.box import on_other_lattice
from cellseg_app.core.volume import LazyArray, ShapeZYX, Volume
from cellseg_app.state.display import Change, Layer
from cellseg_app.viewers.viewer import Viewer
from cellseg_app.workers.corrections import CorrectedCells
from cellseg_app.workers.files import CoarserLevel, VolumeReading
from cellseg_app.workers.live import LiveCells, PatchedLabels, TunableMap
from cellseg_app.workers.preview import Preview
from cellseg_app.workers.results import LoadedResult

# Small enough for an answer while a slider moves, and for a preview in seconds on a laptop.
_CROP_VOXELS: Final = 144**3


class SceneController(QObject):
    """Turns volumes and results into the viewer's layers.

    Signals
    -------
    map_changed
        There is another map to tune on, or none.
    cells_corrected
        The cells shown are those after another correction by hand.
    """

    map_changed = Signal()
    cells_corrected = Signal()

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self.viewer = viewer
        self.reading: VolumeReading | None = None
        self.result: LoadedResult | None = None
        self.preview: Preview | None = None
        self._layers: dict[str, Layer] = {}
        self.corrected: CorrectedCells | None = None
        # Cells of everything, under the crop that is ahead of them.
        self._all_labels: LazyArray | None = None
        self._region: Callable[[ShapeZYX], Region | None] | None = None
        viewer.class_changed.connect(self._on_class_changed)

    @property
    def is_corrected(self) -> bool:
        """Whether the cells shown were corrected and are of no file yet."""
        return self.corrected is not None and bool(self.corrected.edits)

    @property
    def tunable(self) -> TunableMap | None:
        """The map that sliders act on: the preview's if it is the newest, else the result's."""
        if self.preview is not None:
            return self.preview.map
        return None if self.result is None else self.result.map

    def clear(self, reason: str = "") -> None:
        """Show nothing, and say why if it is not because nothing is open."""
        self.viewer.ortho.set_empty_message(reason)
        self.reading = self.result = self.preview = self._all_labels = self.corrected = None
        self._layers = {}
        self._show()
        self.map_changed.emit()

    def show_volume(self, reading: VolumeReading) -> None:
        """Show a volume; result and preview of another one go."""
        self.reading, self.result, self.preview, self._all_labels = reading, None, None, None
        self.corrected = None
        self.viewer.highlight(())
        self.viewer.ortho.set_empty_message(reading.info.problem)
        self._layers = {}
        volume = reading.volume
        if volume is not None:
            self._layers["image"] = _image_layer(reading, volume)
        self._show()
        self._frame_region()
        self.map_changed.emit()

    def show_result(self, result: LoadedResult) -> None:
        """Show a run's result over its volume; a preview goes."""
        self.result, self.preview, self.corrected = result, None, None
        self._frame_region()
        self._drop("preview", "labels", "probability")
        if result.probability is not None:
            self._put("probability", "Probability", "probability", result.probability)
            self._add_levels("probability", result.coarser_probability)
            self.viewer.state.class_index = result.foreground_class
        self._all_labels = result.labels
        if result.labels is not None:
            self._put("labels", "Cells", "labels", result.labels)
            self._add_levels("labels", result.coarser_labels)
        self._show()
        self.map_changed.emit()

    def show_preview(self, preview: Preview) -> None:
        """Show the cells of a crop; the result of an earlier run goes out of sight."""
        self.preview, self.corrected = preview, None
        self._drop("labels", "probability")
        self.viewer.set_preview_box(preview.region)
        origin = preview.map.origin_zyx
        spacing = preview.map.spacing_um_zyx
        self._layers["probability"] = Layer(
            "probability",
            "Probability (preview)",
            "probability",
            preview.map.probability,
            spacing,
            origin,
        )
        self.viewer.state.class_index = preview.map.foreground_class
        self._show_preview_cells(preview.cells)
        self.map_changed.emit()

    def set_region(self, region: Callable[[ShapeZYX], Region | None] | None) -> None:
        """Frame the part of a volume that runs are restricted to; None for all of it."""
        self._region = region
        if self.preview is None:
            self._frame_region()

    def show_live(self, cells: LiveCells) -> None:
        """Show cells told apart with other settings, of a crop or of everything."""
        self.corrected = None
        if self.preview is not None:
            self._show_preview_cells(cells)
            return
        map_shape = self.tunable.shape_zyx if self.tunable is not None else cells.labels.shape
        if region_shape(cells.region) == tuple(map_shape):
            self._all_labels = cells.labels
            self._put("labels", "Cells", "labels", cells.labels)
        elif self._all_labels is not None:
            patched = PatchedLabels(self._all_labels, cells.labels, cells.region)
            self._put("labels", "Cells", "labels", patched)
        self._show()

    def show_corrected(self, cells: CorrectedCells) -> None:
        """Show the cells of the result after corrections by hand."""
        self.corrected, self._all_labels = cells, cells.labels
        self._put("labels", "Cells", "labels", cells.labels, change=cells.change)
        self._add_levels("labels", cells.coarser)
        self._show()
        self.cells_corrected.emit()

    def visible_crop(self) -> Region | None:
        """The visible part of the volume, at most so large that work on it takes seconds."""
        if not self.viewer.layers:
            return None
        cursor = self.viewer.state.cursor_zyx
        return limited(self.viewer.visible_region(), cursor, _CROP_VOXELS)

    def visible_map_crop(self) -> Region | None:
        """The visible crop in voxels of the map to tune on."""
        source, crop = self.tunable, self.visible_crop()
        if source is None or crop is None:
            return None
        if self.preview is not None:
            return whole(source.shape_zyx)
        return on_other_lattice(crop, self.viewer.layers[0].shape_zyx, source.shape_zyx)

    def _frame_region(self) -> None:
        layers = self.viewer.layers
        is_framed = self._region is not None and bool(layers)
        box = self._region(layers[0].shape_zyx) if is_framed and self._region else None
        self.viewer.set_preview_box(box)

    def _show_preview_cells(self, cells: LiveCells) -> None:
        preview = self.preview
        if preview is None:
            return
        self._layers["preview"] = Layer(
            "preview",
            "Cells (preview)",
            "labels",
            cells.labels,
            preview.map.spacing_um_zyx,
            preview.map.origin_zyx,
        )
        self._show()

    def _put(
        self,
        key: str,
        title: str,
        kind: Literal["labels", "probability"],
        data: LazyArray,
        *,
        change: Change | None = None,
    ) -> None:
        spacing = None if self.result is None else self.result.spacing_um_zyx
        self._layers[key] = Layer(key, title, kind, data, spacing, change=change)

    def _add_levels(self, key: str, coarser: Sequence[CoarserLevel]) -> None:
        self._layers[key] = with_levels(self._layers[key], coarser)

    def _on_class_changed(self, _index: int) -> None:
        if "probability" in self._layers:
            self.viewer.state.set_look("probability", visible=True)

    def _drop(self, *keys: str) -> None:
        for key in keys:
            self._layers.pop(key, None)

    def _show(self) -> None:
        order = ("image", "probability", "labels", "preview")
        self.viewer.set_layers([self._layers[key] for key in order if key in self._layers])


def _image_layer(reading: VolumeReading, volume: Volume) -> Layer:
    own = Layer("image", volume.name, "image", volume.data, volume.spacing_um_zyx)
    return with_levels(own, reading.coarser)


def with_levels(layer: Layer, coarser: Sequence[CoarserLevel]) -> Layer:
    """A layer with its lower resolutions."""
    levels = []
    for level in coarser:
        z, y, x = (um * n for um, n in zip(layer.scale_zyx, level.factor_zyx, strict=True))
        levels.append(Layer(layer.key, layer.title, layer.kind, level.data, (z, y, x)))
    return replace(layer, coarser=tuple(levels))


def limited(region: Region, center: ShapeZYX, most_voxels: int) -> Region:
    """The region, cut around a voxel to at most so many voxels; every axis shrinks alike."""
    shape = list(region_shape(region))
    n_voxels = shape[0] * shape[1] * shape[2]
    if n_voxels <= most_voxels:
        return region
    # Short axes stay whole: the cut is shared by the others.
    edge = 1
    while _voxels(shape, edge + 1) <= most_voxels:
        edge += 1
    parts = []
    for part, middle, size in zip(region, center, shape, strict=True):
        n = min(size, edge)
        start = min(max(part.start, middle - n // 2), part.stop - n)
        parts.append(slice(start, start + n))
    return parts[0], parts[1], parts[2]


def _voxels(shape: list[int], edge: int) -> int:
    return min(shape[0], edge) * min(shape[1], edge) * min(shape[2], edge)
