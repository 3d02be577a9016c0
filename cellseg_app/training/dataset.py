"""Batches for training and the fixed samples it is judged by."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch

from cellseg_app.training.augment import Floats, draw_patch, draw_plain_patch
from cellseg_app.training.emptiness import draw_empty
from cellseg_app.training.network_input import Batch
from cellseg_app.training.samples import Sample, list_samples, read_sample
from cellseg_app.training.settings import TrainingSettings

_KEPT_IN_MEMORY = 64


def batches(settings: TrainingSettings, first_step: int) -> Iterator[Batch]:
    """Yield the patches of each step still to do.

    A batch depends on the seed and its step alone, so an interrupted run goes on exactly. One
    batch is prepared ahead while the network works.
    """
    folders = [list_samples([folder.path]) for folder in settings.data]
    shares = np.array([folder.share for folder in settings.data])
    read = lru_cache(maxsize=_KEPT_IN_MEMORY)(read_sample)
    draw = draw_plain_patch
    if settings.augment:
        draw = partial(draw_patch, coarse_share=settings.coarse_share)

    def prepare(step: int) -> Batch:
        rng = np.random.default_rng([settings.seed, step])
        images, targets, scales = [], [], []
        for _ in range(settings.batch):
            paths = folders[int(rng.choice(len(folders), p=shares / shares.sum()))]
            sample = read(paths[int(rng.integers(len(paths)))])
            image, target = draw(sample, settings.patch_voxels, rng)
            if settings.empty_share and rng.random() < settings.empty_share:
                image, target = _empty_patch(settings.patch_voxels, rng)
            images.append(image)
            targets.append(target)
            scales.append((sample.low, sample.span))
        stack = torch.from_numpy(np.stack(images))[:, None]
        if settings.channels_last:
            stack = stack.contiguous(memory_format=torch.channels_last_3d)
        low, span = torch.tensor(scales, dtype=torch.float32).T
        return Batch(stack, torch.from_numpy(np.stack(targets))[:, None], low, span)

    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(prepare, first_step)
        for step in range(first_step, settings.steps):
            batch = coming.result()
            coming = ahead.submit(prepare, step + 1)
            yield batch


def _empty_patch(edge: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    chance = torch.Generator().manual_seed(int(rng.integers(2**62)))
    image = draw_empty(edge, chance)[0, 0].numpy()
    return image, np.zeros_like(image)


@lru_cache(maxsize=2)
def validation_samples(folders: tuple[Path, ...], edge: int) -> tuple[Sample, ...]:
    """The middle of every validation volume."""
    if not folders:
        return ()
    samples = []
    for path in list_samples(folders):
        sample = read_sample(path)
        middle = tuple(
            slice(max(0, (size - edge) // 2), max(0, (size - edge) // 2) + edge)
            for size in sample.image.shape
        )
        samples.append(sample.cut(middle))
    return tuple(samples)
