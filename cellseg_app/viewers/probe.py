"""The values under the mouse, read off the GUI thread."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QObject, Qt, Signal, Slot

from cellseg_app.core.errors import UserError
from cellseg_app.core.volume import ShapeZYX, SpacingZYX
from cellseg_app.state.display import Layer
from cellseg_app.state.slicing import voxel_at


@dataclass(frozen=True, slots=True, eq=False)
class Readout:
    """What lies at a point.

    Attributes
    ----------
    point_um
        Where, Z, Y, X.
    voxel_zyx
        Its voxel in the first layer.
    values
        Layers that reach there, with their value.
    """

    point_um: SpacingZYX
    voxel_zyx: ShapeZYX
    values: tuple[tuple[Layer, float], ...]

    @property
    def label(self) -> int:
        """Id of the cell there; 0 where there is none."""
        ids = [int(value) for layer, value in self.values if layer.kind == "labels"]
        return ids[-1] if ids else 0

    def text(self) -> str:
        """The line a user reads."""
        z, y, x = self.voxel_zyx
        parts = [f"Z {z}  Y {y}  X {x}"]
        if self.values and self.values[0][0].spacing_um_zyx is not None:
            parts.append(" × ".join(f"{um:.1f}" for um in self.point_um) + " µm")
        for layer, value in self.values:
            if layer.kind == "labels":
                parts.append(f"cell {int(value)}" if value else "no cell")
            elif layer.kind == "probability":
                parts.append(f"{layer.title} {value:.3f}")
            else:
                parts.append(f"{layer.title} {value:g}")
        return "   ·   ".join(parts)


class Probe(QObject):
    """Reads one voxel of every layer; of many hovers only the newest, of clicks each."""

    hovered = Signal(object)
    clicked = Signal(object, bool)
    _read_hover = Signal(int, object)
    _read_click = Signal(object, bool)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="probe")
        self._newest = 0
        self._read_hover.connect(self._on_hover, Qt.ConnectionType.QueuedConnection)
        self._read_click.connect(self.clicked, Qt.ConnectionType.QueuedConnection)

    def hover(self, layers: Sequence[Layer], point_um: SpacingZYX, class_index: int) -> None:
        """Ask for the values at a point; they come by `hovered`."""
        self._newest += 1
        self._thread.submit(self._hover, self._newest, tuple(layers), point_um, class_index)

    def click(
        self, layers: Sequence[Layer], point_um: SpacingZYX, class_index: int, *, adds: bool = False
    ) -> None:
        """Ask for the values where the user clicked; they come by `clicked`, `adds` with them."""
        self._thread.submit(self._click, tuple(layers), point_um, class_index, adds)

    def leave(self) -> None:
        """The mouse is over nothing: what is being read is not wanted any more."""
        self._newest += 1

    def close(self) -> None:
        """Stop the thread."""
        self._newest += 1
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _hover(
        self, number: int, layers: tuple[Layer, ...], point_um: SpacingZYX, class_index: int
    ) -> None:
        if number == self._newest:
            readout = read_point(layers, point_um, class_index)
            if readout is not None:
                self._read_hover.emit(number, readout)

    def _click(
        self, layers: tuple[Layer, ...], point_um: SpacingZYX, class_index: int, adds: bool
    ) -> None:
        readout = read_point(layers, point_um, class_index)
        if readout is not None:
            self._read_click.emit(readout, adds)

    @Slot(int, object)
    def _on_hover(self, number: int, readout: Readout) -> None:
        if number == self._newest:
            self.hovered.emit(readout)


def read_point(layers: Sequence[Layer], point_um: SpacingZYX, class_index: int) -> Readout | None:
    """The value of every layer at a point of the world; None outside of the first."""
    values: list[tuple[Layer, float]] = []
    first = voxel_at(layers[0], point_um) if layers else None
    if first is None:
        return None
    for layer in layers:
        voxel = voxel_at(layer, point_um)
        if voxel is None:
            continue
        key: tuple[slice, ...] = tuple(slice(i, i + 1) for i in voxel)
        if layer.data.ndim == 4:
            channel = min(class_index, layer.n_classes - 1)
            key = (slice(channel, channel + 1), *key)
        try:
            values.append((layer, float(np.asarray(layer.data[key]).ravel()[0])))
        except UserError:
            # The pane that cannot be read says so; under the mouse nothing is better than that.
            continue
    return Readout(point_um, first, tuple(values))
