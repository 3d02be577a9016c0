"""Images without any cell, scaled as a network sees them: noise, slopes, clouds, nothing."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

from cellseg_app.training.samples import HIGH_QUANTILE, LOW_QUANTILE

Chance = torch.Generator | None


def draw_empty(edge: int, chance: Chance = None) -> torch.Tensor:
    """Draw an empty image (1, 1, edge, edge, edge), scaled by its own quantiles as volumes are.

    Chance comes from torch's own generator if none is given.
    """
    kind = _KINDS[int(torch.randint(len(_KINDS), (), generator=chance))]
    image = kind(edge, chance)
    marks = torch.tensor([LOW_QUANTILE, HIGH_QUANTILE])
    low, high = torch.quantile(image.flatten(), marks)
    scaled: torch.Tensor = (image - low) / torch.where(high > low, high - low, torch.ones(()))
    return scaled


def _white(edge: int, chance: Chance) -> torch.Tensor:
    return torch.randn(1, 1, edge, edge, edge, generator=chance)


def _shot(edge: int, chance: Chance) -> torch.Tensor:
    photons = 10 ** _between(-0.5, 2, chance)
    return torch.poisson(torch.full((1, 1, edge, edge, edge), photons), chance)


def _blurred(edge: int, chance: Chance) -> torch.Tensor:
    """Noise as a smoothing detector or a resampling leaves it, finer than any cell."""
    smooth = functional.avg_pool3d(_white(edge + 2, chance), 3, stride=1)
    share = _between(0, 1, chance)
    return share * smooth / smooth.std() + (1 - share) * 0.3 * _white(edge, chance)


def _slope(edge: int, chance: Chance) -> torch.Tensor:
    ramp = torch.linspace(0, 1, edge)
    z, y, x = (_between(-1, 1, chance) for _ in range(3))
    field = z * ramp[:, None, None] + y * ramp[:, None] + x * ramp
    return field[None, None] + 10 ** _between(-2.5, 0, chance) * _white(edge, chance)


def _clouds(edge: int, chance: Chance) -> torch.Tensor:
    """Background that varies over several cells."""
    shape = (edge, edge, edge)
    coarse = functional.interpolate(
        torch.randn(1, 1, 3, 3, 3, generator=chance), shape, mode="trilinear"
    )
    return coarse + 10 ** _between(-2, 0.3, chance) * _white(edge, chance)


def _flat(edge: int, _chance: Chance) -> torch.Tensor:
    return torch.zeros(1, 1, edge, edge, edge)


def _between(low: float, high: float, chance: Chance) -> float:
    return float(low + (high - low) * torch.rand((), generator=chance))


_KINDS: tuple[Callable[[int, Chance], torch.Tensor], ...] = (
    _white,
    _shot,
    _blurred,
    _slope,
    _clouds,
    _flat,
)
