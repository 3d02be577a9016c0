"""Taking away what is no cell: large artefacts before cells are told apart, cells by size after."""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from typing import Any

import cc3d
import numpy as np
import numpy.typing as npt

from cellseg_app.analysis.blockwise import (
    DEFAULT_BLOCK_ZYX,
    BlockPlan,
    BlockRunner,
    Bools,
    Labels,
    WritableArray,
    check_labels_array,
    read_probability,
    shape_zyx,
)
from cellseg_app.analysis.joining import BlockPieces, JoinedPieces, join_pieces, reach_of
from cellseg_app.analysis.numbering import count_labels, kept_objects, raster_numbers, relabel
from cellseg_app.core.blocks import (
    Region,
    at_most,
    block_regions,
    intersect,
    region_shape,
    relative_to,
)
from cellseg_app.core.progress import CancelToken, ProgressSink
from cellseg_app.core.volume import LazyArray, ShapeZYX

Corner = tuple[int, int, int]

_CONNECTIVITY = 26
_CACHED_BLOCKS = 32


def without_large_parts(
    probability: LazyArray,
    threshold: float,
    max_voxels: int,
    *,
    block_zyx: ShapeZYX | None = None,
    workers: int = 1,
    progress: ProgressSink | None = None,
    cancel: CancelToken | None = None,
    runner: BlockRunner | None = None,
) -> LazyArray:
    """The probability map with 0 in every connected part of the foreground that is too large.

    Parameters
    ----------
    probability
        (Z, Y, X), 0…1.
    threshold
        Foreground lies above it; voxels sharing a face, an edge or a corner are connected.
    max_voxels
        Parts with more voxels are cleared.
    block_zyx, workers
        How the volume is cut and on how many threads; the result does not depend on it.
    progress, cancel
        Where to report every block, and how to stop.
    runner
        Where blocks are worked on instead of on threads here.

    Returns
    -------
    `probability` itself if nothing is too large, else a view on it: nothing is copied, blocks with
    cleared voxels are looked up again as they are read.
    """
    shape = shape_zyx(probability)
    plan = BlockPlan(block_zyx or DEFAULT_BLOCK_ZYX, workers, progress, cancel, runner)

    def label_block(reach: Region) -> BlockPieces[tuple[Corner, int]] | None:
        if at_most(probability, reach) <= threshold:
            return None
        labels, n = _connected(probability, reach, threshold)
        return BlockPieces(labels, n, (_corner(reach), n)) if n else None

    joined = join_pieces(label_block, _Nowhere(shape), plan=plan, stage="Looking for large parts")
    too_large = joined.statistics.count > max_voxels
    if not too_large.any():
        return probability
    return _Cleared(probability, threshold, _cleared_pieces(joined, too_large), plan)


def filter_labels(
    labels: WritableArray,
    *,
    min_size_voxels: int = 0,
    remove_border: bool = False,
    block_zyx: ShapeZYX | None = None,
    workers: int = 1,
    progress: ProgressSink | None = None,
    cancel: CancelToken | None = None,
) -> int:
    """Drop labels that are too small or cut by the border, in place; renumber the rest 1…N.

    Parameters
    ----------
    labels
        (Z, Y, X), integers of 32 or 64 bits.
    min_size_voxels
        Smaller labels are dropped.
    remove_border
        Drop labels that touch a face of the volume; axes of one voxel have none.
    block_zyx, workers
        How the volume is cut and on how many threads; the result does not depend on it.
    progress, cancel
        Where to report every block, and how to stop.

    Returns
    -------
    N. Ids follow the raster order of first voxels.
    """
    shape = shape_zyx(labels)
    check_labels_array(labels, shape)
    plan = BlockPlan(block_zyx or DEFAULT_BLOCK_ZYX, workers, progress, cancel)
    largest = max(
        int(np.asarray(labels[region]).max()) for region in block_regions(shape, plan.block_zyx)
    )
    statistics = count_labels(labels, largest, plan=plan)
    keep = kept_objects(statistics, min_size_voxels=min_size_voxels, remove_border=remove_border)
    n, numbers = raster_numbers(statistics, keep)
    relabel(labels, numbers, plan=plan)
    return n


class _Nowhere:
    """A label array that keeps nothing: the pieces are found again when they are needed."""

    ndim = 3
    dtype: np.dtype[Any] = np.dtype(np.uint32)

    def __init__(self, shape: ShapeZYX) -> None:
        self.shape: tuple[int, ...] = shape

    def __getitem__(self, key: tuple[slice, ...], /) -> Labels:
        raise NotImplementedError

    def __setitem__(self, key: tuple[slice, ...], value: npt.NDArray[Any], /) -> None:
        pass


class _Cleared:
    """A probability map seen without some connected parts of its foreground."""

    def __init__(
        self,
        probability: LazyArray,
        threshold: float,
        cleared: dict[Corner, Bools],
        plan: BlockPlan,
    ) -> None:
        self._probability = probability
        self._threshold = threshold
        self._cleared = cleared
        self._shape_zyx = shape_zyx(probability)
        self._block_zyx = plan.block_zyx
        self._masks: OrderedDict[Corner, npt.NDArray[np.uint8]] = OrderedDict()
        self._lock = threading.Lock()
        self._plan = plan
        self.shape: tuple[int, ...] = self._shape_zyx
        self.ndim = 3
        self.dtype = probability.dtype

    def __reduce__(self) -> tuple[Any, ...]:
        return _Cleared, (self._probability, self._threshold, self._cleared, self._plan)

    def at_most(self, region: tuple[slice, ...]) -> float:
        """What the whole map says."""
        return at_most(self._probability, region)

    def __getitem__(self, key: tuple[slice, ...], /) -> npt.NDArray[Any]:
        z, y, x = (
            slice(*part.indices(n)[:2]) for part, n in zip(key, self._shape_zyx, strict=True)
        )
        region = (z, y, x)
        values = np.array(self._probability[region])
        for core in self._blocks_of(region):
            common = intersect(core, region)
            if common is None:
                continue
            mask = self._mask(core)[relative_to(common, core)]
            values[relative_to(common, region)][mask] = 0
        return values

    def _blocks_of(self, region: Region) -> list[Region]:
        """Blocks that meet the region and have something to clear."""
        corners = itertools.product(
            *(
                range(s.start // step * step, s.stop, step)
                for s, step in zip(region, self._block_zyx, strict=True)
            )
        )
        return [
            _block_at(corner, self._block_zyx, self._shape_zyx)
            for corner in corners
            if corner in self._cleared
        ]

    def _mask(self, core: Region) -> Bools:
        """What is cleared of a block; as bits, the masks of the latest blocks are kept."""
        corner, shape = _corner(core), region_shape(core)
        with self._lock:
            bits = self._masks.get(corner)
        if bits is None:
            reach = reach_of(core, self._shape_zyx)
            labels, _ = _connected(self._probability, reach, self._threshold)
            own = labels[: shape[0], : shape[1], : shape[2]]
            bits = np.packbits(self._cleared[corner][own])
            with self._lock:
                self._masks[corner] = bits
                while len(self._masks) > _CACHED_BLOCKS:
                    self._masks.popitem(last=False)
        mask = np.unpackbits(bits, count=shape[0] * shape[1] * shape[2])
        return mask.view(np.bool_).reshape(shape)


def _cleared_pieces(
    joined: JoinedPieces[tuple[Corner, int]], too_large: Bools
) -> dict[Corner, Bools]:
    """For every block with something to clear, by its corner: which of its pieces to clear."""
    found = {}
    for offset, read in joined.extras:
        corner, n = read()
        cleared = np.zeros(n + 1, np.bool_)
        cleared[1:] = too_large[joined.group[offset + 1 : offset + n + 1]]
        if cleared.any():
            found[corner] = cleared
    return found


def _connected(probability: LazyArray, reach: Region, threshold: float) -> tuple[Labels, int]:
    mask = read_probability(probability, reach) > threshold
    labels, n = cc3d.connected_components(
        mask, connectivity=_CONNECTIVITY, return_N=True, out_dtype=np.uint32
    )
    return labels, int(n)


def _block_at(corner: Corner, block_zyx: ShapeZYX, shape: ShapeZYX) -> Region:
    z, y, x = (
        slice(c, min(c + step, n)) for c, step, n in zip(corner, block_zyx, shape, strict=True)
    )
    return z, y, x


def _corner(region: Region) -> Corner:
    z, y, x = (s.start for s in region)
    return z, y, x
