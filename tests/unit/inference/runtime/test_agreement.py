from __future__ import annotations

import pytest
import torch

from cellseg_app.core.settings import Precision
from cellseg_app.inference.runtime.agreement import agreement


@pytest.fixture
def probability() -> torch.Tensor:
    return torch.rand(2, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0))


def test_half_precision_is_taken_where_it_draws_the_same_foreground(
    probability: torch.Tensor,
) -> None:
    agrees, why = agreement(probability, probability + 0.001, "bfloat16", 0.5)
    assert agrees
    assert "same foreground" in why


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_is_refused_where_it_would_change_cells(
    probability: torch.Tensor, precision: Precision
) -> None:
    agrees, why = agreement(probability, probability + 0.05, precision, 0.5)
    assert not agrees
    assert "Dice" in why


def test_without_foreground_half_precision_cannot_be_judged(probability: torch.Tensor) -> None:
    agrees, why = agreement(probability, probability, "bfloat16", 2.0)
    assert not agrees
    assert "too few cells" in why


def test_another_float32_may_differ_by_rounding_only(probability: torch.Tensor) -> None:
    assert agreement(probability, probability + 1e-5, "float32", 2.0)[0]
    agrees, why = agreement(probability, probability + 0.01, "float32", 2.0)
    assert not agrees
    assert "0.01" in why
