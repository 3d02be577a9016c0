"""Watershed from seeds: where the network is very sure, a cell begins; floods divide the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cc3d
import numpy as np
import numpy.typing as npt

from cellseg_app.analysis.blockwise import Bools, Floats, Ids, Labels
from cellseg_app.analysis.instances.basin_graph import build_graph, merge_from_seeds
from cellseg_app.analysis.instances.basins import Passes, find_basins
from cellseg_app.analysis.instances.job import (
    InstanceJob,
    InstanceResult,
    MethodSpec,
    framed,
    with_halo,
)
from cellseg_app.analysis.joining import BlockPieces, JoinedPieces, join_pieces
from cellseg_app.analysis.kept import Arrays, part_of, prefixed
from cellseg_app.analysis.numbering import finish_pieces, kept_objects
from cellseg_app.analysis.pair_keys import pair_keys, pairs_of
from cellseg_app.analysis.pieces import unite
from cellseg_app.core.blocks import Region
from cellseg_app.core.volume import ShapeZYX

_THRESHOLD = 0.5
_SEED_THRESHOLD = 0.9
_MIN_SIZE = 30
_MIN_SEED = 3
_NO_HALO = (0, 0, 0)
# Offset of a block; seed voxels of its pieces; pairs of them that share a seed.
_SeedParts = tuple[int, npt.NDArray[np.int64], tuple[Ids, Ids]]


@dataclass(frozen=True, slots=True)
class _Found:
    """Per block: peak heights, passes, seed voxels of each piece, pieces that share a seed."""

    peak: Floats
    passes: Passes
    seed_count: npt.NDArray[np.int64]
    same_seed: tuple[Ids, Ids]

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        first, second = self.same_seed
        return {
            "peak": self.peak,
            "seed_count": self.seed_count,
            "same_a": first,
            "same_b": second,
            **prefixed("passes_", self.passes.arrays()),
        }

    @classmethod
    def of(cls, arrays: Arrays) -> _Found:
        same = (arrays["same_a"], arrays["same_b"])
        passes = Passes(**part_of(arrays, "passes_"))
        return cls(arrays["peak"], passes, arrays["seed_count"], same)


def segment(job: InstanceJob) -> InstanceResult:
    """Flood the foreground downhill in probability from its seeds.

    Foreground lies above `threshold`, seeds are the parts above `seed_threshold` (26-connected, at
    least `min_seed_voxels` large). Foreground that no flood reaches is dropped. The floods run on
    the graph of basins (see `basin_graph`) instead of voxel by voxel: the objects are those of
    a priority-queue watershed, up to voxels of equal height between two cells, and the same for
    every block size.
    """
    options = job.options
    threshold = _THRESHOLD if job.threshold is None else job.threshold
    seed_threshold = _SEED_THRESHOLD if options.seed_threshold is None else options.seed_threshold
    min_seed = _MIN_SEED if options.min_seed_voxels is None else options.min_seed_voxels
    min_size = _MIN_SIZE if options.min_size_voxels is None else options.min_size_voxels

    def label_block(reach: Region) -> BlockPieces[_Found] | None:
        return _label_block(job, reach, threshold=threshold, seed_threshold=seed_threshold)

    joined = join_pieces(
        label_block,
        job.pieces,
        plan=job.plan,
        stage="Finding basins",
        extra_of=_Found.of,
    )
    parts = [(offset, *_of_seeds(read())) for offset, read in joined.extras]
    graph = build_graph(joined)
    seed = _seeds(joined, parts, min_seed)
    owner = merge_from_seeds(graph, seed)
    objects = joined.statistics.by_group(owner, int(seed.max(initial=0)))
    n_cells = finish_pieces(
        job.pieces,
        job.labels_out,
        joined.offsets,
        owner[joined.group],
        objects,
        keep=kept_objects(objects, min_size_voxels=min_size, remove_border=options.remove_border),
        plan=job.plan,
    )
    used = {
        "seed_threshold": seed_threshold,
        "min_seed_voxels": min_seed,
        "min_size_voxels": min_size,
        "remove_border": options.remove_border,
    }
    return InstanceResult(n_cells, threshold, used)


def _label_block(
    job: InstanceJob, reach: Region, *, threshold: float, seed_threshold: float
) -> BlockPieces[_Found] | None:
    if job.nothing_above(reach, threshold):
        return None
    region = with_halo(reach, _NO_HALO, job.shape_zyx)
    values = job.read(region)
    foreground = values > threshold
    if not foreground.any():
        return None
    landscape = framed(values * foreground, region, reach)
    basins = find_basins(landscape)
    if basins is None:
        return None
    inner = landscape[1:-1, 1:-1, 1:-1]
    is_seed = inner > max(threshold, seed_threshold)
    core = tuple(
        slice(0, min(n, b)) for n, b in zip(is_seed.shape, job.plan.block_zyx, strict=True)
    )
    seed_pieces = basins.labels[core][is_seed[core]].astype(np.intp)
    found = _Found(
        basins.peak,
        basins.passes,
        np.bincount(seed_pieces, minlength=basins.n + 1).astype(np.int64),
        _sharing_a_seed(is_seed, basins.labels),
    )
    return BlockPieces(basins.labels, basins.n, found)


def _sharing_a_seed(is_seed: Bools, pieces: Labels) -> tuple[Ids, Ids]:
    """Pairs of pieces that belong to one 26-connected seed."""
    seeds = cc3d.connected_components(is_seed, connectivity=26, out_dtype=np.uint32)
    seed, piece_key = pairs_of(np.unique(pair_keys(seeds[is_seed], pieces[is_seed])))
    piece = piece_key.astype(np.intp)
    same = seed[1:] == seed[:-1]
    return piece[:-1][same], piece[1:][same]


def _of_seeds(found: _Found) -> tuple[npt.NDArray[np.int64], tuple[Ids, Ids]]:
    return found.seed_count, found.same_seed


def _seeds(joined: JoinedPieces[_Found], parts: Sequence[_SeedParts], min_seed: int) -> Ids:
    """Number of the seed within each basin; 0 where there is none or it is too small."""
    piece_basin = joined.group
    size = np.zeros(joined.n_groups + 1, np.int64)
    links: tuple[list[Ids], list[Ids]] = ([np.zeros(0, np.intp)], [np.zeros(0, np.intp)])
    for offset, count, same_seed in parts:
        own = piece_basin[offset + 1 : offset + len(count)]
        np.add.at(size, own, count[1:])
        for side, part in zip(links, same_seed, strict=True):
            side.append(piece_basin[part + offset])
    n, group = unite(joined.n_groups + 1, (np.concatenate(links[0]), np.concatenate(links[1])))
    total = np.zeros(n, np.int64)
    np.add.at(total, group, size)
    return np.where((size > 0) & (total[group] >= min_seed), group + 1, 0)


def _halo(_options: object, _spacing: object) -> ShapeZYX:
    return 1, 1, 1


SPEC = MethodSpec(
    title="Watershed",
    help="Cells grow from where the probability is very high; as in CellSeg3D.",
    run=segment,
    options=("min_size_voxels", "seed_threshold", "min_seed_voxels", "remove_border"),
    defaults={
        "threshold": _THRESHOLD,
        "seed_threshold": _SEED_THRESHOLD,
        "min_seed_voxels": _MIN_SEED,
        "min_size_voxels": _MIN_SIZE,
    },
    halo=_halo,
)
