from __future__ import annotations

import numpy as np
import pytest
import torch

from cellseg_app.core.settings import Precision
from cellseg_app.inference import precision as precision_module
from cellseg_app.inference.cards import ModelCard, OutputSpec
from cellseg_app.inference.normalize import IntensityScale
from cellseg_app.inference.precision import choose_precision
from cellseg_app.inference.predictor import WindowPredictor

CARD = ModelCard(
    name="net",
    title="net",
    architecture="SegResNet",
    weights_file="net.safetensors",
    weights_sha256="0" * 64,
    output=OutputSpec(activation="identity"),
)


@pytest.fixture
def windows() -> np.ndarray:
    return np.random.default_rng(0).random((2, 16, 16, 16), dtype=np.float32)


@pytest.fixture(autouse=True)
def _bfloat16_is_native(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision_module, "native_half_precision", lambda device: "bfloat16")


def _choose(windows: np.ndarray, change_by: float, threshold: float = 0.5) -> tuple[str, str]:
    """A network that is off by `change_by` in half precision."""

    def make(precision: Precision) -> WindowPredictor:
        shift = 0.0 if precision == "float32" else change_by

        def forward(batch: torch.Tensor) -> torch.Tensor:
            return batch + shift

        scale = IntensityScale(0.0, 1.0, rescale=True)
        return WindowPredictor(forward, CARD, scale, "cpu", "float32")

    return choose_precision("auto", "cpu", make, windows, threshold)


def test_half_precision_is_taken_where_it_draws_the_same_foreground(windows: np.ndarray) -> None:
    assert _choose(windows, 0.001)[0] == "bfloat16"


def test_half_precision_is_refused_where_it_would_change_cells(windows: np.ndarray) -> None:
    chosen, why = _choose(windows, 0.05)
    assert chosen == "float32"
    assert "Dice" in why


def test_without_foreground_there_is_nothing_to_compare(windows: np.ndarray) -> None:
    assert _choose(windows, 0.0, threshold=2.0)[0] == "float32"


def test_what_the_user_asks_for_is_not_questioned(windows: np.ndarray) -> None:
    def never(precision: Precision) -> WindowPredictor:
        raise AssertionError

    assert choose_precision("float16", "cuda:0", never, windows, 0.5)[0] == "float16"
