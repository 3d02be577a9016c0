"""Images without any cell, scaled as a network sees them: noise, slopes, clouds, nothing."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

from cellseg_app.training.samples import HIGH_QUANTILE, LOW_QUANTILE


def draw_empty(edge: int) -> torch.Tensor:
    """Draw an empty image (1, 1, edge, edge, edge), scaled by its own quantiles as volumes are.

    Chance comes from torch's own generator.
    """
    kind = _KINDS[int(torch.randint(len(_KINDS), ()))]
    image = kind(edge)
    marks = torch.tensor([LOW_QUANTILE, HIGH_QUANTILE])
    low, high = torch.quantile(image.flatten(), marks)
    scaled: torch.Tensor = (image - low) / torch.where(high > low, high - low, torch.ones(()))
    return scaled


def _white(edge: int) -> torch.Tensor:
    return torch.randn(1, 1, edge, edge, edge)


def _shot(edge: int) -> torch.Tensor:
    photons = 10 ** _between(-0.5, 2)
    return torch.poisson(torch.full((1, 1, edge, edge, edge), photons))


def _blurred(edge: int) -> torch.Tensor:
    """Noise as a smoothing detector or a resampling leaves it, finer than any cell."""
    smooth = functional.avg_pool3d(_white(edge + 2), 3, stride=1)
    share = _between(0, 1)
    return share * smooth / smooth.std() + (1 - share) * 0.3 * _white(edge)


def _slope(edge: int) -> torch.Tensor:
    ramp = torch.linspace(0, 1, edge)
    z, y, x = (_between(-1, 1) for _ in range(3))
    field = z * ramp[:, None, None] + y * ramp[:, None] + x * ramp
    return field[None, None] + 10 ** _between(-2.5, 0) * _white(edge)


def _clouds(edge: int) -> torch.Tensor:
    """Background that varies over several cells."""
    shape = (edge, edge, edge)
    coarse = functional.interpolate(torch.randn(1, 1, 3, 3, 3), shape, mode="trilinear")
    return coarse + 10 ** _between(-2, 0.3) * _white(edge)


def _flat(edge: int) -> torch.Tensor:
    return torch.zeros(1, 1, edge, edge, edge)


def _between(low: float, high: float) -> float:
    return float(low + (high - low) * torch.rand(()))


_KINDS: tuple[Callable[[int], torch.Tensor], ...] = (
    _white,
    _shot,
    _blurred,
    _slope,
    _clouds,
    _flat,
)
