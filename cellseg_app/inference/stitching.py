"""Where windows are computed and stitched, and the stitching itself."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from cellseg_app.core.volume import ShapeZYX
from cellseg_app.inference.windows import WindowGrid


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the work is done: device of the network, windows at once, where they are stitched."""

    device: str
    batch: int
    stitch: Literal["device", "cpu", "disk"]

    def smaller(self) -> Placement | None:
        """The next thing to try when memory ran out; None when nothing is left to try."""
        if self.batch > 1:
            return replace(self, batch=self.batch // 2)
        if self.stitch == "device" and self.device != "cpu":
            return replace(self, stitch="cpu")
        if self.stitch != "disk":
            return replace(self, stitch="disk")
        if self.device != "cpu":
            return replace(self, device="cpu")
        return None


class Stitcher:
    """Adds weighted windows into a buffer one window deep that moves down the volume."""

    def __init__(self, grid: WindowGrid, placement: Placement, spill_folder: Path | None) -> None:
        self.grid = grid
        self._on_disk = placement.stitch == "disk"
        self._device = placement.device if placement.stitch == "device" else "cpu"
        self._spill_folder = spill_folder
        self._buffer: torch.Tensor | None = None
        self._top = grid.axes[0].starts[0]

    def begin_layer(self, number: int) -> None:
        """Move the buffer down to a layer, keeping what overlaps with it."""
        top = self.grid.axes[0].starts[number]
        shift, self._top = top - self._top, top
        if self._buffer is None or shift == 0:
            return
        kept = self._buffer.shape[1] - shift
        if kept > 0:
            self._buffer[:, :kept] = self._buffer[:, shift:].clone()
        self._buffer[:, max(kept, 0) :] = 0

    def add(self, index: ShapeZYX, probability: torch.Tensor) -> None:
        """Add a window (C, Z, Y, X), weighted by its place in the grid."""
        target, source = [slice(None)], [slice(None)]
        weights = []
        for dim, (axis, i) in enumerate(zip(self.grid.axes, index, strict=True)):
            # The buffer is as deep as a window; along Y and X it holds the volume alone.
            start = 0 if dim == 0 else axis.starts[i]
            stop = axis.window if dim == 0 else axis.size
            low, high = max(0, start), min(stop, start + axis.window)
            target.append(slice(low, high))
            source.append(slice(low - start, high - start))
            own = torch.from_numpy(axis.weights[i][low - start : high - start])
            weights.append(own.to(self._device))
        z, y, x = weights
        weighted = probability.to(self._device)[tuple(source)] * z.view(1, -1, 1, 1)
        part = self._ready(probability.shape[0])[tuple(target)]
        part.addcmul_(weighted, torch.outer(y, x))

    def add_constant(self, index: ShapeZYX, values: tuple[float, ...]) -> None:
        """Add a window that holds one value per class throughout."""
        self._ready(len(values))
        if any(values):
            constant = torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1)
            self.add(index, constant.expand((len(values), *self.grid.window_zyx)))

    def finished(self, begin: int, end: int, *, classes: int) -> npt.NDArray[np.float16]:
        """Planes begin…end of the volume, which no later layer reaches; 0 where no window was."""
        part = self._ready(classes)[:, begin - self._top : end - self._top]
        planes: npt.NDArray[np.float16] = part.to(torch.float16).cpu().numpy()
        return planes

    def _ready(self, classes: int) -> torch.Tensor:
        if self._buffer is None:
            depth, (_, height, width) = self.grid.window_zyx[0], self.grid.shape_zyx
            shape = (classes, depth, height, width)
            self._buffer = self._on_spill(shape) if self._on_disk else self._zeros(shape)
        return self._buffer

    def _zeros(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.zeros(shape, dtype=torch.float32, device=self._device)

    def _on_spill(self, shape: tuple[int, ...]) -> torch.Tensor:
        with tempfile.TemporaryFile(dir=self._spill_folder) as file:
            return torch.from_numpy(np.memmap(file, np.float32, "w+", shape=shape))
