"""Results in the window: loading them, table and viewer together, results side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from PySide6.QtCore import QObject

from cellseg_app.core.cell_columns import CellColumns
from cellseg_app.state.display import Layer
from cellseg_app.ui.cells import centroid_voxel, values_of
from cellseg_app.ui.controllers.scene import SceneController, with_levels
from cellseg_app.ui.desk import Desk
from cellseg_app.ui.latest import MANY_ROWS, Latest
from cellseg_app.ui.panels.table_panel import TablePanel
from cellseg_app.ui.plots.comparison import ImageCells
from cellseg_app.ui.plots.plot_panel import PlotPanel
from cellseg_app.viewers.colors import colors_by_value
from cellseg_app.viewers.grid_view import GridTile
from cellseg_app.workers.corrections import CorrectedCells
from cellseg_app.workers.lane import JobHandle
from cellseg_app.workers.live import LiveCells
from cellseg_app.workers.preview import Preview
from cellseg_app.workers.results import LoadedResult, loading_result, loading_results

_COLORMAP = "viridis"


class ResultsController(QObject):
    """Connects records, table, plots and viewer; cells are known by their label id."""

    def __init__(
        self, desk: Desk, scene: SceneController, *, table: TablePanel, plots: PlotPanel
    ) -> None:
        super().__init__()
        self._desk, self._scene, self._plots = desk, scene, plots
        self._loading: JobHandle | None = None
        scene.viewer.cell_clicked.connect(self._on_cell_clicked)
        scene.viewer.cell_toggled.connect(self._on_cell_toggled)
        desk.cells.chosen_changed.connect(scene.viewer.highlight)
        desk.cells.looked_at.connect(self._on_looked_at)
        desk.cells.filters_changed.connect(self._show_kept)
        desk.cells.table_changed.connect(self._show_kept)
        self._coloring, self._looking, self._showing = Latest(), Latest(), Latest()
        desk.cells.table_changed.connect(self._looking.forget)
        for source in (self._coloring, self._looking, desk.cells):
            source.failed.connect(desk.warn)
        table.color_by_asked.connect(self.color_by)

    # ---- Loading ----

    def show_record(self, record: Path) -> None:
        """Load a result of the current volume and show it."""
        if self._loading is not None:
            self._loading.blockSignals(True)
        handle = self._desk.lanes.files.submit("Loading results", loading_result(record))
        self._loading = handle
        handle.ended.connect(self._on_loading_ended)
        self._desk.watch(handle, self._on_loaded)

    def show_result(self, result: LoadedResult) -> None:
        """Show a result of the current volume."""
        self._scene.show_result(result)
        self._show_table(result.table)

    def show_corrected(self, cells: CorrectedCells) -> None:
        """Show the cells after corrections by hand; those of the last one are chosen."""
        self._scene.show_corrected(cells)
        self._show_table(cells.table, is_same_image=True, chosen=cells.named)

    def show_preview(self, preview: Preview) -> None:
        """Show the cells of a crop."""
        self._scene.show_preview(preview)
        self._show_table(preview.cells.table)

    def show_live(self, cells: LiveCells) -> None:
        """Show the table of cells told apart with other settings."""
        self._show_table(cells.table, is_same_image=True)

    def compare(self) -> None:
        """Show the results of the list side by side, and plot them against each other."""
        if self._scene.viewer.state.mode == "grid":
            self._scene.viewer.state.mode = "ortho"
            self._scene.viewer.set_grid(None)
            return
        shown = self._desk.session.form.display.max_results
        records = self._records()[:shown]
        handle = self._desk.lanes.files.submit("Loading results", loading_results(records))
        self._desk.watch(handle, self._on_compared)

    def compare_tables(self) -> None:
        """Plot the images of a batch against each other."""
        handle = self._desk.lanes.files.submit("Loading tables", loading_results(self._records()))
        self._desk.watch(handle, self._on_tables)

    def color_by(self, column: str) -> None:
        """Colour the labels by a column; "" for their own colours."""
        if not column:
            self._coloring.forget()
            self._scene.viewer.set_label_colors(None)
            return
        table = self._desk.cells.table
        self._coloring.ask(
            lambda: colors_by_value(values_of(table, column), _COLORMAP),
            self._scene.viewer.set_label_colors,
            at_once=table.in_memory and len(table) <= MANY_ROWS,
        )

    # ---- Private ----

    def _records(self) -> list[Path]:
        return [item.record for item in self._desk.session.items if item.record is not None]

    def _on_loading_ended(self) -> None:
        self._loading = None

    def _on_loaded(self, result: object) -> None:
        assert isinstance(result, LoadedResult)
        item = self._desk.session.current_item
        if item is None or item.record != result.record_path:
            return
        self.show_result(result)

    def _show_table(
        self,
        table: CellColumns | pd.DataFrame | None,
        *,
        is_same_image: bool = False,
        chosen: tuple[int, ...] = (),
    ) -> None:
        cells, turns = self._desk.cells, self._desk.turns
        turns.later("table", lambda: cells.set_table(table, is_same_image=is_same_image))
        turns.later("choice", lambda: cells.choose_all(chosen))

    def _on_compared(self, results: object) -> None:
        assert isinstance(results, list)
        with_image = self._desk.session.form.display.with_original
        tiles = [_tile(result, with_image=with_image) for result in results]
        if len(tiles) == 1 and with_image:
            # One result is compared with its image alone.
            image = GridTile("Image", tiles[0].layers[:1])
            tiles = [image, *tiles]
        if tiles:
            self._scene.viewer.set_grid(tiles)
            self._scene.viewer.state.mode = "grid"
        self._on_tables(results)

    def _on_tables(self, results: object) -> None:
        assert isinstance(results, list)
        self._plots.comparison.set_images(_image_cells(results))
        if self._scene.is_corrected:
            self._desk.messages.tell(
                "Results are compared as their files are, without your corrections that are not "
                "saved yet."
            )

    def _show_kept(self) -> None:
        cells, viewer = self._desk.cells, self._scene.viewer
        if not cells.filters:
            self._showing.forget()
            viewer.show_only(None)
            return
        kept = cells.kept_cells
        self._showing.ask(
            lambda: kept.labels, viewer.show_only, at_once=len(cells.table) <= MANY_ROWS
        )

    def _on_cell_clicked(self, label: int) -> None:
        self._desk.cells.choose(label or None)

    def _on_cell_toggled(self, label: int) -> None:
        if label:
            self._desk.cells.toggle(label)

    def _on_looked_at(self, label: int) -> None:
        table = self._desk.cells.table
        self._looking.ask(
            lambda: centroid_voxel(table, label), self._center_on, at_once=table.in_memory
        )

    def _center_on(self, voxel: tuple[int, int, int] | None) -> None:
        if voxel is not None and self._scene.viewer.layers:
            self._scene.viewer.center_on(self._on_first_layer(voxel))

    def _on_first_layer(self, voxel_zyx: tuple[int, int, int]) -> Sequence[float]:
        """A voxel of the labels, in voxels of the image."""
        if self._scene.preview is not None:
            return voxel_zyx
        tunable = self._scene.tunable
        shape = self._scene.viewer.layers[0].shape_zyx
        own = shape if tunable is None else tunable.shape_zyx
        return [(v + 0.5) * n / m for v, n, m in zip(voxel_zyx, shape, own, strict=True)]


def _tile(result: LoadedResult, *, with_image: bool) -> GridTile:
    name = Path(result.record.input.path).name
    key = str(result.record_path)
    layers = []
    image = None if result.map is None else result.map.image
    if with_image and image is not None:
        layer = Layer(f"image {key}", name, "image", image, result.spacing_um_zyx)
        layers.append(with_levels(layer, result.coarser_image))
    if result.labels is not None:
        layer = Layer(f"labels {key}", name, "labels", result.labels, result.spacing_um_zyx)
        layers.append(with_levels(layer, result.coarser_labels))
    n = result.record.n_cells
    title = name if n is None else f"{name}: {n:,} cells, {result.record.network.name}"
    return GridTile(title, tuple(layers))


def _image_cells(results: list[LoadedResult]) -> list[ImageCells]:
    return [
        ImageCells(Path(result.record.input.path).name, result.table)
        for result in results
        if result.table is not None
    ]
