"""Growing seeds within a mask, step by step in turns by a cube and an octahedron of one voxel."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from cellseg_app.analysis.blockwise import Bools, Ids, Labels
from cellseg_app.analysis.instances.job import InstanceJob
from cellseg_app.core.blocks import Region, block_regions, grow, region_shape, relative_to, whole

# An even number: every round of steps begins with the cube.
_STEPS = 12
_NEW = np.uint32(2**31)
# Voxels looked at together, few enough for the processor's cache.
_CACHED_VOXELS = 2**14


def flood_labels(job: InstanceJob, mask_of: Callable[[Region], Bools]) -> None:
    """Grow the labels in `job.labels_out` until nothing within the mask can be reached any more.

    Parameters
    ----------
    job
        Its label array holds seeds 1…n (n < 2³¹).
    mask_of
        Where labels may grow to, by region; deterministic.

    Notes
    -----
    Blocks take `_STEPS` steps at a time with a halo of as many voxels. What a block adds carries
    `_NEW` until the round ends and counts as empty for its neighbours, so that all blocks of
    a round start from the same state and the result is that of growing the whole volume at once.
    """
    blocks = block_regions(job.shape_zyx, job.plan.block_zyx)
    halo = 0 if len(blocks) == 1 else _STEPS
    while blocks:
        grown = _one_round(job, mask_of, blocks, halo=halo)
        if halo == 0 or not any(added for added, _ in grown):
            return
        _settle(job, [block for block, (added, _) in zip(blocks, grown, strict=True) if added])
        blocks = [block for block, (_, open_) in zip(blocks, grown, strict=True) if open_]


def _one_round(
    job: InstanceJob, mask_of: Callable[[Region], Bools], blocks: list[Region], *, halo: int
) -> list[tuple[bool, bool]]:
    """Per block, whether something was added and whether something is still open."""
    steps = _STEPS if halo else sum(region_shape(whole(job.shape_zyx)))

    def work(core: Region) -> tuple[bool, bool]:
        region = grow(core, (halo, halo, halo), job.shape_zyx)
        labels = np.array(job.labels_out[region], dtype=np.uint32)
        labels[labels >= _NEW] = 0
        is_open = mask_of(region) & (labels == 0)
        inner = relative_to(core, region)
        if not is_open[inner].any():
            return False, False
        before = labels[inner].copy()
        after = grow_labels(labels, is_open, steps)[inner]
        added = (before == 0) & (after > 0)
        marked = after | np.where(added, _NEW if halo else np.uint32(0), np.uint32(0))
        job.labels_out[core] = marked.astype(job.labels_out.dtype, copy=False)
        return bool(added.any()), bool((is_open[inner] & (after == 0)).any())

    return list(job.plan.map_items(blocks, work, stage="Growing cells"))


def _settle(job: InstanceJob, blocks: list[Region]) -> None:
    for core in blocks:
        labels = np.asarray(job.labels_out[core], dtype=np.uint32)
        job.labels_out[core] = (labels & ~_NEW).astype(job.labels_out.dtype, copy=False)


def grow_labels(labels: Labels, is_open: Bools, steps: int) -> Labels:
    """Grow labels into the open voxels for so many steps; of two arriving, the larger wins."""
    padded = np.pad(labels, 1)
    flat = padded.ravel()
    shape = padded.shape
    cube, octahedron = _neighbours((shape[0], shape[1], shape[2]))
    where = np.flatnonzero(np.pad(is_open, 1))
    for step in range(steps):
        offsets = cube if step % 2 == 0 else octahedron
        arriving = _highest(flat, where, offsets)
        reached = arriving > 0
        if reached.any():
            flat[where[reached]] = arriving[reached]
            where = where[~reached]
        elif step % 2 == 0:
            break
    return flat.reshape(shape)[1:-1, 1:-1, 1:-1]


def _highest(flat: Labels, where: Ids, offsets: list[int]) -> Labels:
    """The largest label among the neighbours of each voxel, 0 if none has one."""
    # Seen from the first neighbour, none has a negative index.
    views = [flat[offset - offsets[0] :] for offset in offsets]
    result = np.zeros(len(where), np.uint32)
    for start in range(0, len(where), _CACHED_VOXELS):
        seen_from = where[start : start + _CACHED_VOXELS] + offsets[0]
        best = result[start : start + _CACHED_VOXELS]
        label = np.empty_like(best)
        for view in views:
            # All indices are valid: "clip" only spares the copy that "raise" needs.
            np.take(view, seen_from, out=label, mode="clip")
            np.maximum(best, label, out=best)
    return result


def _neighbours(shape: tuple[int, int, int]) -> tuple[list[int], list[int]]:
    cube = [
        (dz * shape[1] + dy) * shape[2] + dx
        for dz, dy, dx in itertools.product((-1, 0, 1), repeat=3)
        if (dz, dy, dx) != (0, 0, 0)
    ]
    plane, row = shape[1] * shape[2], shape[2]
    return cube, [-plane, -row, -1, 1, row, plane]
