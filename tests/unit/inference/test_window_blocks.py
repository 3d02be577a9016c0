from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from cellseg_app.core.blocks import Region, block_regions
from cellseg_app.core.progress import StageProgress
from cellseg_app.inference.balance import balanced_blocks, busiest, find_work, shared_blocks
from cellseg_app.inference.cards import ModelCard, OutputSpec
from cellseg_app.inference.emptiness import EmptyWindows, WindowLook
from cellseg_app.inference.engine import predict_slabs
from cellseg_app.inference.feed import WindowFeed
from cellseg_app.inference.normalize import IntensityScale
from cellseg_app.inference.predictor import WindowPredictor
from cellseg_app.inference.stitching import Placement
from cellseg_app.inference.window_blocks import block_grid, network_blocks
from cellseg_app.inference.windows import WindowGrid, layer_starts, window_grid, window_region

Forward = Callable[[torch.Tensor], torch.Tensor]


def _run(
    image: np.ndarray,
    forward: Forward,
    grid: WindowGrid,
    *,
    batch: int = 2,
    empty: EmptyWindows | None = None,
) -> np.ndarray:
    card = ModelCard(
        name="tiny",
        title="tiny",
        architecture="SegResNet",
        weights_file="tiny.safetensors",
        weights_sha256="0" * 64,
        output=OutputSpec(activation="identity"),
    )
    slabs = predict_slabs(
        image,
        lambda device: WindowPredictor(forward, card, IntensityScale(0, 1, rescale=True), device),
        grid,
        placement=Placement("cpu", batch, "cpu"),
        stage=StageProgress(None, "network", grid.n_windows),
        empty=empty,
    )
    return np.concatenate([slab.probability for slab in slabs], axis=1)


def _by_blocks(image: np.ndarray, grid: WindowGrid, blocks: list[Region], run: Callable) -> tuple:
    parts = [(core, run(image, block_grid(grid, core))) for core in blocks]
    result = np.full((parts[0][1].shape[0], *image.shape), np.nan, np.float16)
    for core, part in parts:
        result[(slice(None), *core)] = part
    return result, sum(block_grid(grid, core).n_windows for core in blocks)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    image = np.random.default_rng(0).random((61, 53, 71), dtype=np.float32)
    image[:, :, 45:] = 0.25  # padded, as stitched volumes are
    return image


@pytest.fixture(scope="module")
def network() -> Forward:
    torch.manual_seed(0)
    layers = (torch.nn.Conv3d(1, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv3d(8, 2, 3))
    return torch.nn.Sequential(*layers, torch.nn.ConstantPad3d(1, 0.0)).eval()


@pytest.mark.parametrize("block", [(16, 16, 16), (61, 20, 71), (30, 53, 33), (7, 9, 71)])
@pytest.mark.parametrize("overlap", [0.25, 0.6])
def test_blocks_come_out_as_in_the_whole_to_the_last_bit(
    image: np.ndarray, network: Forward, block: tuple[int, int, int], overlap: float
) -> None:
    grid = window_grid(image.shape, 16, overlap, margin=3)
    whole = _run(image, network, grid)
    blocks = block_regions(image.shape, block)
    parts, _ = _by_blocks(image, grid, blocks, lambda i, g: _run(i, network, g))
    np.testing.assert_array_equal(parts, whole)


def test_skipped_windows_change_nothing_about_it(image: np.ndarray, network: Forward) -> None:
    grid = window_grid(image.shape, 16, 0.25, margin=3)
    empty = EmptyWindows(WindowLook(1.0, (0.07, 0.5)), (0.125, 0.5))

    def run(image: np.ndarray, grid: WindowGrid) -> np.ndarray:
        return _run(image, network, grid, batch=3, empty=empty)

    whole = run(image, grid)
    assert 0 < empty.n_skipped < grid.n_windows
    parts, _ = _by_blocks(image, grid, block_regions(image.shape, (20, 20, 20)), run)
    np.testing.assert_array_equal(parts, whole)


def test_windows_of_one_value_run_once(image: np.ndarray, network: Forward) -> None:
    grid = window_grid(image.shape, 16, 0.25, margin=0)
    plain = _run(image, network, grid, batch=1)
    seen: list[bool] = []

    def counted(batch: torch.Tensor) -> torch.Tensor:
        seen.append(bool((batch == batch.flatten()[0]).all()))
        return network(batch)

    np.testing.assert_array_equal(_run(image, counted, grid, batch=1), plain)
    assert sum(seen) == 1
    assert len(seen) < 0.8 * grid.n_windows


def test_blocks_end_with_chunks_and_keep_to_the_memory() -> None:
    grid = window_grid((2048, 2048, 2048), 64, 0.25, margin=8)
    chunk, limit = (64, 128, 128), 300 * 1024**2
    blocks = network_blocks(grid, chunk, classes=1, layer_bytes=limit)
    assert sum(np.prod([s.stop - s.start for s in core]) for core in blocks) == 2048**3
    for core in blocks:
        assert core[0] == slice(0, 2048)
        assert all(s.start % c == 0 for s, c in zip(core, chunk, strict=True))
        assert 64 * 4 * np.prod([s.stop - s.start for s in core[1:]]) <= limit


def _feed_of(image: np.ndarray, grid: WindowGrid) -> WindowFeed:
    return WindowFeed(image, grid, 1, None)


def _tile_once(blocks: list[Region], shape: tuple[int, ...]) -> bool:
    seen = np.zeros([-(-n // 8) for n in shape], np.uint8)
    for core in blocks:
        seen[tuple(slice(s.start // 8, -(-s.stop // 8)) for s in core)] += 1
    return bool((seen == 1).all())


def _windows_with_something(image: np.ndarray, grid: WindowGrid) -> int:
    regions = (
        window_region(grid, start)
        for layer in range(len(grid.axes[0].starts))
        for _, start in layer_starts(grid, layer)
    )
    return sum(image[region].min() != image[region].max() for region in regions)


@pytest.mark.parametrize(("workers", "more"), [(2, 1.25), (3, 1.65), (4, 1.65)])
@pytest.mark.parametrize("layout", ["layer", "ball", "corner"])
def test_more_workers_end_sooner_wherever_the_tissue_lies(
    workers: int, more: float, layout: str
) -> None:
    shape = (160, 160, 160)
    image = np.full(shape, 7, np.uint16)
    tissue = np.zeros(shape, bool)
    if layout == "layer":
        tissue[:38] = True
    elif layout == "corner":
        tissue[80:, 64:, :90] = True
    else:
        tissue[np.linalg.norm(np.indices(shape) - 80, axis=0) < 56] = True
    image[tissue] += np.random.default_rng(0).integers(1, 9, tissue.sum(), np.uint16)
    grid = window_grid(shape, 16, 0.25, margin=2)
    blocks = shared_blocks(
        grid, (16, 32, 32), find_work(_feed_of(image, grid)), workers, classes=1, layer_bytes=2**30
    )
    assert _tile_once(blocks, shape)
    each = [_windows_with_something(image, block_grid(grid, core)) for core in blocks]
    alone = _windows_with_something(image, grid)
    # Windows that reach over a cut run twice.
    assert busiest(each, workers) < more * alone / workers


@pytest.mark.parametrize("n", [2, 4, 8])
def test_blocks_for_several_processes_hold_as_much_work_each(n: int) -> None:
    shape = (192, 160, 176)
    image = np.full(shape, 7, np.uint16)
    tissue = slice(96, 192), slice(16, 120), slice(0, 100)
    image[tissue] += np.random.default_rng(0).integers(1, 9, image[tissue].shape, np.uint16)
    grid = window_grid(shape, 16, 0.25)
    work = find_work(_feed_of(image, grid))
    blocks = balanced_blocks(grid, (8, 8, 8), work, n, classes=1, layer_bytes=2**30)
    assert len(blocks) == n
    assert _tile_once(blocks, shape)
    filled = [_windows_with_something(image, block_grid(grid, core)) for core in blocks]
    even = block_regions(shape, (96, 160, 176))
    assert max(filled) < 1.4 * sum(filled) / n
    # Windows over the border of the tissue count for both sides.
    assert work.within(even[0]) < 0.3 * work.within(even[1])


def test_shared_blocks_end_with_chunks_keep_to_the_memory_and_are_not_thin() -> None:
    grid = window_grid((2048, 2048, 2048), 64, 0.25, margin=8)
    work = find_work(WindowFeed(np.broadcast_to(np.arange(2048), (2048,) * 3), grid, 1, None))
    chunk, limit = (64, 128, 128), 64 * 1024**2
    blocks = balanced_blocks(grid, chunk, work, 40, classes=1, layer_bytes=limit)
    assert len(blocks) >= 40
    assert sum(np.prod([s.stop - s.start for s in core]) for core in blocks) == 2048**3
    for core in blocks:
        assert all(s.start % c == 0 for s, c in zip(core, chunk, strict=True))
        assert all(s.stop - s.start >= 128 for s in core)
        assert 64 * 4 * np.prod([s.stop - s.start for s in core[1:]]) <= limit


def test_small_volumes_are_one_block() -> None:
    grid = window_grid((100, 300, 300), 64, 0.25)
    blocks = network_blocks(grid, (64, 128, 128), classes=2, layer_bytes=2**29)
    assert blocks == [(slice(0, 100), slice(0, 300), slice(0, 300))]
