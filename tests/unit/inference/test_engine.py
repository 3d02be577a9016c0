from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.inferers import sliding_window_inference

from cellseg_app.core.errors import Cancelled
from cellseg_app.core.progress import CancelToken, Progress, StageProgress
from cellseg_app.inference.cards import ModelCard, OutputSpec
from cellseg_app.inference.engine import predict_slabs, windows_to_run
from cellseg_app.inference.normalize import IntensityScale
from cellseg_app.inference.predictor import Forward, WindowPredictor
from cellseg_app.inference.stitching import Placement
from cellseg_app.inference.windows import WindowGrid, window_grid

UNSCALED = IntensityScale(0.0, 1.0, rescale=True)


def _card(**output: object) -> ModelCard:
    return ModelCard(
        name="tiny",
        title="tiny",
        architecture="SegResNet",
        weights_file="tiny.safetensors",
        weights_sha256="0" * 64,
        output=OutputSpec.model_validate({"activation": "identity", **output}),
    )


def _predictor(forward: Forward, card: ModelCard | None = None) -> Callable[..., WindowPredictor]:
    return lambda device: WindowPredictor(forward, card or _card(), UNSCALED, device)


def _run(
    image: np.ndarray,
    forward: Forward,
    grid: WindowGrid,
    *,
    batch: int = 2,
    first_slab: int = 0,
    cancel: CancelToken | None = None,
    card: ModelCard | None = None,
    reports: list[Progress] | None = None,
) -> np.ndarray:
    stage = StageProgress(
        None if reports is None else reports.append, "network", windows_to_run(grid), cancel=cancel
    )
    slabs = predict_slabs(
        image,
        _predictor(forward, card),
        grid,
        placement=Placement("cpu", batch, "cpu"),
        stage=stage,
        first_slab=first_slab,
    )
    return np.concatenate([slab.probability for slab in slabs], axis=1)


@pytest.fixture(scope="module")
def conv() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Conv3d(1, 2, 5, padding=2).eval()


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).random((37, 29, 41), dtype=np.float32)


@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (1, 50, 3), (7, 11, 13), (37, 29, 41), (16, 16, 16), (17, 31, 16)]
)
@pytest.mark.parametrize("window", [16, "whole"])
def test_a_network_that_copies_gives_the_volume_back(
    shape: tuple[int, int, int], window: int
) -> None:
    image = np.random.default_rng(1).random(shape, dtype=np.float32)
    grid = window_grid(shape, window, 0.25, divisor=8, margin=2)
    result = _run(image, lambda batch: batch, grid)
    assert result.shape == (1, *shape)
    np.testing.assert_allclose(result[0], image, atol=1e-3)


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.6])
def test_equals_monai_where_monai_blends_the_same_way(
    conv: torch.nn.Module, image: np.ndarray, overlap: float
) -> None:
    grid = window_grid(image.shape, 16, overlap, blend_sigma=None)
    with torch.inference_mode():
        expected = sliding_window_inference(
            torch.from_numpy(image)[None, None], (16, 16, 16), 3, conv, overlap, mode="constant"
        )[0].numpy()
    np.testing.assert_allclose(_run(image, conv, grid), expected, atol=2e-3)


def test_blending_leaves_no_seams(conv: torch.nn.Module, image: np.ndarray) -> None:
    tiled = _run(image, conv, window_grid(image.shape, 24, 0.5, margin=4))
    whole = _run(image, conv, window_grid(image.shape, "whole", 0.0, margin=4))
    inner = (slice(None), *[slice(3, -3)] * 3)
    assert np.abs(tiled.astype(float) - whole)[inner].max() < 0.15
    assert np.abs(tiled.astype(float) - whole)[inner].mean() < 0.004


def test_an_interrupted_run_goes_on_with_identical_values(
    conv: torch.nn.Module, image: np.ndarray
) -> None:
    grid = window_grid(image.shape, 16, 0.5, margin=3)
    complete = _run(image, conv, grid)
    for first_slab in range(1, len(grid.axes[0].starts)):
        rest = _run(image, conv, grid, first_slab=first_slab)
        np.testing.assert_array_equal(rest, complete[:, -rest.shape[1] :])


def test_every_window_is_reported(image: np.ndarray) -> None:
    grid = window_grid(image.shape, 16, 0.25)
    reports: list[Progress] = []
    _run(image, lambda batch: batch, grid, reports=reports)
    assert reports[-1].done == reports[-1].total == grid.n_windows
    assert len(reports) > grid.n_windows // 2
    assert reports[-1].seconds_per_step is not None


def test_cancel_takes_effect_before_the_next_batch(image: np.ndarray) -> None:
    cancel, calls = CancelToken(), 0

    def forward(batch: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 3:
            cancel.cancel()
        return batch

    with pytest.raises(Cancelled):
        _run(image, forward, window_grid(image.shape, 16, 0.25), batch=1, cancel=cancel)
    assert calls == 3


def test_lack_of_memory_makes_batches_smaller_then_spills_and_never_loses_a_slab(
    image: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[int] = []

    def forward(batch: torch.Tensor) -> torch.Tensor:
        seen.append(batch.shape[0])
        if batch.shape[0] > 1 or len(seen) == 9:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return batch

    grid = window_grid(image.shape, 16, 0.25)
    with caplog.at_level(logging.WARNING):
        result = _run(image, forward, grid, batch=4)
    np.testing.assert_allclose(result[0], image, atol=1e-3)
    assert seen[:3] == [4, 2, 1]
    assert "stitching on disk" in caplog.text


def test_placement_ladder_ends_with_the_cpu() -> None:
    steps, placement = [], Placement("cuda:0", 4, "device")
    while placement is not None:
        steps.append((placement.device, placement.batch, placement.stitch))
        placement = placement.smaller()
    assert steps == [
        ("cuda:0", 4, "device"),
        ("cuda:0", 2, "device"),
        ("cuda:0", 1, "device"),
        ("cuda:0", 1, "cpu"),
        ("cuda:0", 1, "disk"),
        ("cpu", 1, "disk"),
    ]


def test_a_bug_in_the_network_is_not_taken_for_lack_of_memory(image: np.ndarray) -> None:
    def forward(batch: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        _run(image, forward, window_grid(image.shape, 16, 0.25))


def test_stretching_belongs_to_each_window_alone() -> None:
    image = np.zeros((16, 16, 32), np.float32)
    image[..., :16] = np.linspace(0, 10, 16)
    image[..., 16:] = np.linspace(0, 0.1, 16)
    grid = window_grid(image.shape, 16, 0.0)
    card = _card(activation="stretch_per_window")
    result = _run(image, lambda batch: batch, grid, batch=2, card=card)
    assert result[..., :16].max() == pytest.approx(1.0)
    assert result[..., 16:].max() == pytest.approx(1.0)


def test_network_of_the_plugin_sees_the_optical_axis_last(image: np.ndarray) -> None:
    shapes = []

    def forward(batch: torch.Tensor) -> torch.Tensor:
        shapes.append(tuple(batch.shape[2:]))
        return batch

    card = _card().model_copy(update={"input_axes": "XYZ"})
    result = _run(image, forward, window_grid(image.shape, "whole", 0.0), card=card)
    assert shapes == [(41, 29, 37)]
    np.testing.assert_allclose(result[0], image, atol=1e-3)


def test_flip_averaging_cancels_a_one_sided_network(image: np.ndarray) -> None:
    def shifted(batch: torch.Tensor) -> torch.Tensor:
        return torch.roll(batch, 1, dims=-1)

    predictor = WindowPredictor(shifted, _card(), UNSCALED, "cpu", flip_averaging=True)
    window = image[None, :16, :16, :16]
    both = predictor(window).numpy()[0, 0]
    expected = (np.roll(window[0], 1, -1) + np.roll(window[0], -1, -1)) / 2
    np.testing.assert_allclose(both, expected, atol=1e-5)


def test_flip_averaging_gives_the_mirrored_answer_for_a_mirrored_volume() -> None:
    torch.manual_seed(0)
    network = torch.nn.Conv3d(1, 1, 3, padding=1).eval()
    window = np.random.default_rng(3).random((16, 16, 16)).astype(np.float32)

    def answer(volume: np.ndarray, *, averaged: bool) -> np.ndarray:
        predictor = WindowPredictor(network, _card(), UNSCALED, "cpu", flip_averaging=averaged)
        return predictor(np.ascontiguousarray(volume)[None]).numpy()[0, 0]

    for axes in [(0,), (1,), (2,), (0, 1, 2)]:
        mirrored = np.flip(window, axes)
        averaged = np.flip(answer(mirrored, averaged=True), axes)
        np.testing.assert_allclose(averaged, answer(window, averaged=True), atol=1e-5)
        plain = np.flip(answer(mirrored, averaged=False), axes)
        assert np.abs(plain - answer(window, averaged=False)).max() > 0.01


def test_spill_folder_is_left_empty(image: np.ndarray, tmp_path: Path) -> None:
    grid = window_grid(image.shape, 16, 0.25)
    stage = StageProgress(None, "network", grid.n_windows)
    slabs = list(
        predict_slabs(
            image,
            _predictor(lambda batch: batch),
            grid,
            placement=Placement("cpu", 1, "disk"),
            stage=stage,
            spill_folder=tmp_path,
        )
    )
    np.testing.assert_allclose(
        np.concatenate([s.probability for s in slabs], 1)[0], image, atol=1e-3
    )
    assert list(tmp_path.iterdir()) == []
