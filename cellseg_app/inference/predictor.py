"""A loaded network as a function from raw windows to probabilities, on one device."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from cellseg_app.inference.cards import ModelCard
from cellseg_app.inference.normalize import IntensityScale, intensity_scale
from cellseg_app.inference.runtime import Forward

_CHANNEL_AND_BATCH: Final = 2


@dataclass(frozen=True)
class WindowPredictor:
    """Runs windows through a network the way its model card says.

    Attributes
    ----------
    forward
        The network, from windows on `device`: (N, 1, Z, Y, X) float32 → (N, C, Z, Y, X).
    card
        Says how to scale intensities, which axis order the network knows, and what its output is.
    scale
        The volume's intensity scale; None where the card scales each window by itself.
    device
        Where the windows are given to the network.
    flip_averaging
        Average over the eight mirrored views.
    """

    forward: Forward
    card: ModelCard
    scale: IntensityScale | None
    device: str
    flip_averaging: bool = False

    def __call__(self, windows: npt.NDArray[Any]) -> torch.Tensor:
        """Return probabilities (N, C, Z, Y, X), float32 on the device, of raw windows (N, Z, Y, X).

        Raises
        ------
        torch.OutOfMemoryError, MemoryError
            The windows do not fit; see `engine.predict_slabs`.
        """
        with torch.inference_mode():
            seen = torch.from_numpy(np.stack([self._scaled(window) for window in windows]))
            batch = seen.unsqueeze(1).to(self.device)
            if not self.flip_averaging:
                return self._activated(batch)
            total = torch.zeros(())
            for axes in _mirrorings():
                mirrored = torch.flip(self._activated(torch.flip(batch, axes)), axes)
                total = mirrored if total.ndim == 0 else total + mirrored
            return total / len(_mirrorings())

    def _scaled(self, window: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        if self.scale is not None:
            return self.scale.apply(window)
        normalization = self.card.normalization
        if normalization.kind == "none":
            return np.asarray(window, dtype=np.float32)
        values = np.asarray(window, dtype=np.float32)
        return intensity_scale(
            values.ravel(),
            normalization.low_quantile,
            normalization.high_quantile,
            rescale=normalization.kind == "quantile_scale",
        ).apply(values)

    def _activated(self, batch: torch.Tensor) -> torch.Tensor:
        swap = self.card.input_axes == "XYZ"
        raw = self.forward(_swapped(batch) if swap else batch).float()
        raw = _swapped(raw) if swap else raw
        activation = self.card.output.activation
        if activation == "sigmoid":
            return torch.sigmoid(raw)
        if activation == "softmax":
            return torch.softmax(raw, dim=1)
        if activation == "stretch_per_window":
            return _stretched(raw)
        return raw


def _swapped(batch: torch.Tensor) -> torch.Tensor:
    # The networks of CellSeg3D were trained on X, Y, Z arrays; everything else here is Z, Y, X.
    return batch.transpose(-1, -3).contiguous()


def _stretched(raw: torch.Tensor) -> torch.Tensor:
    axes = tuple(range(1, raw.ndim))
    low, high = raw.amin(axes, keepdim=True), raw.amax(axes, keepdim=True)
    span = high - low
    return (raw - low) / torch.where(span > 0, span, torch.ones_like(span))


def _mirrorings() -> list[tuple[int, ...]]:
    axes = range(_CHANNEL_AND_BATCH, _CHANNEL_AND_BATCH + 3)
    return [chosen for n in range(4) for chosen in itertools.combinations(axes, n)]
