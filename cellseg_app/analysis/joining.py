"""From the pieces of objects in each block to whole objects, whatever the blocks.

Every block labels its core and one more voxel on the high side of each axis (its *reach*), so
that every cube of 2×2×2 voxels, and with it every pair of neighbouring voxels, lies wholly inside
at least one reach. The voxels of the extra layer also belong to the core of a later block: a piece
there and the later block's piece at the same voxel are one object. Uniting those pairs
(union-find over block faces) is therefore exact, and the result does not depend on the blocks.

Only faces wait in memory for their neighbour, at most one layer of blocks at a time.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

import numpy as np
import numpy.typing as npt

from cellseg_app.analysis.blockwise import BlockPlan, Ids, Labels, WritableArray, shape_zyx
from cellseg_app.analysis.pieces import PieceStatistics, measure_pieces, unite
from cellseg_app.core.blocks import Region, region_shape
from cellseg_app.core.errors import SettingsError
from cellseg_app.core.volume import ShapeZYX

Extra = TypeVar("Extra")
Offset = tuple[int, int, int]

_MOST_PIECES = 2**32 - 2
_NONE: Labels = np.zeros((0, 0), np.uint32)
_LATER: tuple[Offset, ...] = (
    (0, 0, 1),
    (0, 1, 0),
    (0, 1, 1),
    (1, 0, 0),
    (1, 0, 1),
    (1, 1, 0),
    (1, 1, 1),
)


@dataclass(frozen=True, slots=True)
class BlockPieces(Generic[Extra]):
    """What one block found.

    Attributes
    ----------
    labels
        Over the block's reach: 0 outside, pieces 1…n.
    n
        Number of pieces.
    extra
        What the method needs later, in terms of these ids.
    """

    labels: Labels
    n: int
    extra: Extra


@dataclass(frozen=True, slots=True)
class JoinedPieces(Generic[Extra]):
    """Pieces of all blocks, united.

    Attributes
    ----------
    group
        For every piece id written to the label array, the whole it belongs to, 1…n_groups.
    n_groups
        Number of wholes. Their numbering has no meaning.
    statistics
        Of the wholes.
    extras
        What every block handed on, and what to add to its piece ids.
    """

    group: Ids
    n_groups: int
    statistics: PieceStatistics
    extras: list[tuple[int, Extra]]


@dataclass(frozen=True, slots=True)
class _Faces(Generic[Extra]):
    """What stays in memory of a block: its first planes, its extra layers, its measurements."""

    grid: Offset
    offset: int
    statistics: PieceStatistics
    low: tuple[Labels, Labels, Labels]
    handed_on: dict[Offset, Labels]
    extra: Extra | None = None
    found: bool = False


@dataclass(slots=True)
class _Counter:
    total: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, n: int) -> int:
        with self.lock:
            offset = self.total
            if offset + n > _MOST_PIECES:
                raise SettingsError(
                    "More than four thousand million parts were found.",
                    "Raise the threshold or restrict the run to a region.",
                )
            self.total += n
        return offset


def reach_of(core: Region, shape: ShapeZYX) -> Region:
    """The core and one more voxel on the high side of each axis."""
    z, y, x = (slice(s.start, min(s.stop + 1, n)) for s, n in zip(core, shape, strict=True))
    return z, y, x


def join_pieces(
    label_block: Callable[[Region], BlockPieces[Extra] | None],
    labels_out: WritableArray,
    *,
    plan: BlockPlan,
    stage: str,
) -> JoinedPieces[Extra]:
    """Label every block and find out which pieces are one object.

    Parameters
    ----------
    label_block
        Labels one reach (see the module); None if nothing is there. What it says about a voxel and
        its 26 neighbours must not depend on the region.
    labels_out
        uint32 array of the volume's shape; receives unique piece ids.
    plan, stage
        How the volume is cut, and the name progress is reported under.

    Raises
    ------
    SettingsError
        If the pieces outnumber what uint32 can tell apart.
    """
    shape = shape_zyx(labels_out)
    counter = _Counter()

    def work(core: Region) -> _Faces[Extra]:
        grid = _grid(core, plan.block_zyx)
        pieces = label_block(reach_of(core, shape))
        if pieces is None or pieces.n == 0:
            labels_out[core] = np.zeros(region_shape(core), labels_out.dtype)
            return _Faces(grid, 0, PieceStatistics.empty(0), (_NONE, _NONE, _NONE), {})
        offset = counter.take(pieces.n)
        size = region_shape(core)
        local = pieces.labels[: size[0], : size[1], : size[2]]
        statistics = measure_pieces(local, pieces.n, core, shape=shape)
        labels = _shifted(pieces.labels, offset)
        own = labels[: size[0], : size[1], : size[2]]
        labels_out[core] = own.astype(labels_out.dtype, copy=False)
        low = (own[0].copy(), own[:, 0].copy(), own[:, :, 0].copy())
        handed_on = _extra_layers(labels, size)
        return _Faces(grid, offset, statistics, low, handed_on, pieces.extra, found=True)

    seams = _Seams()
    statistics: list[tuple[int, PieceStatistics]] = []
    extras: list[tuple[int, Extra]] = []
    for faces in plan.map(shape, work, stage=stage):
        seams.add(faces)
        if faces.found:
            statistics.append((faces.offset, faces.statistics))
            extras.append((faces.offset, cast(Extra, faces.extra)))
    return _join(counter.total, seams.links(), statistics, extras=extras)


class _Seams:
    """Pairs of pieces found to be one; blocks arrive in raster order."""

    def __init__(self) -> None:
        self._waiting: dict[Offset, list[tuple[Offset, Labels]]] = defaultdict(list)
        self._links: list[npt.NDArray[np.uint64]] = []

    def add(self, faces: _Faces[Any]) -> None:
        for offset, theirs in self._waiting.pop(faces.grid, ()):
            if faces.found:
                self._pair(theirs, _low_part(faces.low, offset))
        for (dz, dy, dx), layer in faces.handed_on.items():
            z, y, x = faces.grid
            self._waiting[z + dz, y + dy, x + dx].append(((dz, dy, dx), layer))

    def links(self) -> tuple[Ids, Ids]:
        packed = np.concatenate([np.zeros(0, np.uint64), *self._links])
        low = packed & np.uint64(0xFFFFFFFF)
        return (packed >> np.uint64(32)).astype(np.intp), low.astype(np.intp)

    def _pair(self, theirs: Labels, ours: Labels) -> None:
        both = (theirs > 0) & (ours > 0)
        if both.any():
            packed = theirs[both].astype(np.uint64) << np.uint64(32) | ours[both]
            self._links.append(np.unique(packed))


def _grid(core: Region, block_zyx: ShapeZYX) -> Offset:
    z, y, x = (s.start // step for s, step in zip(core, block_zyx, strict=True))
    return z, y, x


def _shifted(labels: Labels, offset: int) -> Labels:
    if offset == 0:
        return labels
    return np.where(labels > 0, labels + np.uint32(offset), np.uint32(0))


def _extra_layers(labels: Labels, core_shape: ShapeZYX) -> dict[Offset, Labels]:
    """The layers beyond the core, by the neighbour they belong to."""
    layers: dict[Offset, Labels] = {}
    for offset in _LATER:
        part = tuple(
            slice(n, n + 1) if o else slice(0, n) for o, n in zip(offset, core_shape, strict=True)
        )
        layer = labels[part]
        if layer.size:
            layers[offset] = np.take(layer, 0, axis=offset.index(1))
    return layers


def _low_part(low: tuple[Labels, Labels, Labels], offset: Offset) -> Labels:
    """The voxels of a block's first planes that an earlier neighbour handed on."""
    axis = offset.index(1)
    first, second = (slice(0, 1) if o else slice(None) for i, o in enumerate(offset) if i != axis)
    return low[axis][first, second]


def _join(
    total: int,
    links: tuple[Ids, Ids],
    statistics: list[tuple[int, PieceStatistics]],
    *,
    extras: list[tuple[int, Extra]],
) -> JoinedPieces[Extra]:
    pieces = PieceStatistics.empty(total)
    for offset, part in statistics:
        ids = slice(offset + 1, offset + len(part.count))
        pieces.count[ids] = part.count[1:]
        pieces.first[ids] = part.first[1:]
        pieces.border[ids] = part.border[1:]
    n_groups, group = unite(total + 1, links)
    # Nothing is ever linked to the background, so it is a group of its own; make that group 0.
    group = np.where(group == 0, group[0], group)
    group[0] = 0
    return JoinedPieces(group, n_groups - 1, pieces.by_group(group, n_groups - 1), extras)
