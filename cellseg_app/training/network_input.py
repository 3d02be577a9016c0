"""From a sample, which every network shares, to what one network sees, as its card says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import torch

from cellseg_app.inference.cards import Normalization
from cellseg_app.training.settings import OWN_NORMALIZATION


class Batch(NamedTuple):
    """Patches of samples: (N, 1, Z, Y, X) each, and (N,) the counts at 0 and from 0 to 1."""

    image: torch.Tensor
    target: torch.Tensor
    low: torch.Tensor
    span: torch.Tensor


@dataclass(frozen=True)
class NetworkInput:
    """Scale and axis order that a network knows.

    Samples are kept scaled to 0…1 by the quantiles of the card, so that they can be varied alike;
    networks that know camera counts get them back here.
    """

    normalization: Normalization = OWN_NORMALIZATION
    axes: Literal["ZYX", "XYZ"] = "ZYX"

    def __call__(
        self,
        network: Callable[[torch.Tensor], torch.Tensor],
        batch: Batch,
    ) -> torch.Tensor:
        """Return what a network gives for a batch, axes (N, C, Z, Y, X)."""
        seen = self._turned(self._scaled(batch))
        return self._turned(network(seen))

    def _turned(self, batch: torch.Tensor) -> torch.Tensor:
        return batch.transpose(-1, -3).contiguous() if self.axes == "XYZ" else batch

    def _scaled(self, batch: Batch) -> torch.Tensor:
        spec = self.normalization
        if spec.kind == "quantile_scale" and spec.scope == "volume":
            return batch.image
        shape = (-1, 1, 1, 1, 1)
        counts = batch.image * batch.span.view(shape) + batch.low.view(shape)
        if spec.kind == "none":
            return counts
        low, high = batch.low.view(shape), (batch.low + batch.span).view(shape)
        if spec.scope == "window":
            ends = torch.tensor([spec.low_quantile, spec.high_quantile], dtype=counts.dtype)
            low, high = torch.quantile(counts.flatten(1), ends, dim=1).view(2, *shape)
        if spec.kind == "quantile_clip":
            return torch.minimum(torch.maximum(counts, low), high)
        span = high - low
        return (counts - low) / torch.where(span > 0, span, torch.ones_like(span))


OWN_INPUT: Final = NetworkInput()
