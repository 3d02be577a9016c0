"""From the pieces of objects in each block to whole objects, whatever the blocks.

Every block labels its core and one more voxel on the high side of each axis (its *reach*), so
that every cube of 2×2×2 voxels, and with it every pair of neighbouring voxels, lies wholly inside
at least one reach. The voxels of the extra layer also belong to the core of a later block: a piece
there and the later block's piece at the same voxel are one object. Uniting those pairs
(union-find over block faces) is therefore exact, and the result does not depend on the blocks.

Only faces wait in memory for their neighbour, at most one layer of blocks at a time. A block
numbers its pieces from 1, so that it does not matter who labels it and when; what to add to them
follows from the order of the blocks in the volume.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Generic, TypeVar, cast

import numpy as np
import numpy.typing as npt

from cellseg_app.analysis.blockwise import BlockPlan, Ids, Labels, WritableArray, shape_zyx
from cellseg_app.analysis.kept import Arrays, part_of, prefixed
from cellseg_app.analysis.pair_keys import pair_keys, pairs_of
from cellseg_app.analysis.pieces import PieceStatistics, measure_pieces, unite
from cellseg_app.core.blocks import Region, block_regions, region_origin, region_shape
from cellseg_app.core.volume import ShapeZYX

Extra = TypeVar("Extra")
Offset = tuple[int, int, int]

_NONE: Labels = np.zeros((0, 0), np.uint32)
_NO_IDS: Ids = np.zeros(0, np.intp)
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
        For every piece, the whole it belongs to, 1…n_groups. Pieces of all blocks are counted
        through: a block's own number plus its offset.
    n_groups
        Number of wholes. Their numbering has no meaning.
    statistics
        Of the wholes.
    extras
        The offset of every block that has pieces, and what gives what it handed on: where results
        of blocks are kept, that is read again.
    offsets
        Offset and number of pieces of the blocks that have any, by first voxel.
    """

    group: Ids
    n_groups: int
    statistics: PieceStatistics
    extras: list[tuple[int, Callable[[], Extra]]]
    offsets: dict[Offset, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Faces(Generic[Extra]):
    """What is left of a block: its first planes, its extra layers, its measurements."""

    n: int
    statistics: PieceStatistics | None
    low: tuple[Labels, Labels, Labels]
    handed_on: dict[Offset, Labels]
    extra: Extra | None = None

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """For keeping on disk."""
        packed: dict[str, npt.NDArray[Any]] = {"n": np.asarray(self.n)}
        if self.statistics is not None:
            packed |= prefixed("statistics_", self.statistics.arrays())
        packed |= {f"low_{axis}": plane for axis, plane in enumerate(self.low)}
        packed |= {f"on_{_LATER.index(to)}": layer for to, layer in self.handed_on.items()}
        if self.extra is not None:
            packed |= prefixed("extra_", self.extra.arrays())  # type: ignore[attr-defined]
        return packed

    @classmethod
    def none(cls) -> _Faces[Extra]:
        """Of a block in which nothing is."""
        return cls(0, PieceStatistics.empty(0), (_NONE, _NONE, _NONE), {})


def _unpacked(extra_of: Callable[[Arrays], Extra] | None) -> Callable[[Arrays], _Faces[Extra]]:
    def faces(arrays: Arrays) -> _Faces[Extra]:
        n = int(arrays["n"])
        return _Faces(
            n,
            PieceStatistics(**part_of(arrays, "statistics_")),
            (arrays["low_0"], arrays["low_1"], arrays["low_2"]),
            {_LATER[int(to)]: layer for to, layer in part_of(arrays, "on_").items()},
            None if extra_of is None or not n else extra_of(part_of(arrays, "extra_")),
        )

    return faces


def reach_of(core: Region, shape: ShapeZYX) -> Region:
    """The core and one more voxel on the high side of each axis."""
    z, y, x = (slice(s.start, min(s.stop + 1, n)) for s, n in zip(core, shape, strict=True))
    return z, y, x


def join_pieces(
    label_block: Callable[[Region], BlockPieces[Extra] | None],
    pieces_out: WritableArray,
    *,
    plan: BlockPlan,
    stage: str,
    extra_of: Callable[[Arrays], Extra] | None = None,
) -> JoinedPieces[Extra]:
    """Label every block and find out which pieces are one object.

    Parameters
    ----------
    label_block
        Labels one reach (see the module); None if nothing is there. What it says about a voxel and
        its 26 neighbours must not depend on the region.
    pieces_out
        uint32 array of the volume's shape; receives the pieces, every block's from 1 on.
    plan, stage
        How the volume is cut, and the name progress is reported under.
    extra_of
        Puts what blocks hand on together again where the plan keeps results; needed if there is
        something, which then must have `arrays()`.
    """
    shape = shape_zyx(pieces_out)

    def work(core: Region) -> _Faces[Extra]:
        pieces = label_block(reach_of(core, shape))
        size = region_shape(core)
        if pieces is None or pieces.n == 0:
            pieces_out[core] = np.broadcast_to(np.zeros((), pieces_out.dtype), size)
            return _Faces.none()
        labels = pieces.labels
        own = labels[: size[0], : size[1], : size[2]]
        pieces_out[core] = own.astype(pieces_out.dtype, copy=False)
        return _Faces(
            pieces.n,
            measure_pieces(own, pieces.n, core, shape=shape),
            (own[0].copy(), own[:, 0].copy(), own[:, :, 0].copy()),
            _extra_layers(labels, size),
            pieces.extra,
        )

    kept = plan.kept
    once = work if kept is None else kept.keeping(stage, work, _unpacked(extra_of))

    def faces_of(core: Region) -> _Faces[Extra]:
        # What can be read again does not wait in memory.
        return once(core) if kept is None else replace(once(core), extra=None, statistics=None)

    def statistics_of(core: Region, known: PieceStatistics | None) -> PieceStatistics:
        return cast(PieceStatistics, known if kept is None else once(core).statistics)

    def handed_on(core: Region, extra: Extra | None) -> Extra:
        return cast(Extra, extra if kept is None else once(core).extra)

    seams, total = _Seams(), 0
    joined: JoinedPieces[Extra] = JoinedPieces(_NO_IDS, 0, PieceStatistics.empty(0), [])
    statistics: list[tuple[int, Callable[[], PieceStatistics]]] = []
    blocks = block_regions(shape, plan.block_zyx)
    for core, faces in zip(blocks, plan.map(shape, faces_of, stage=stage), strict=True):
        seams.add(_grid(core, plan.block_zyx), faces, total)
        if faces.n:
            statistics.append((total, partial(statistics_of, core, faces.statistics)))
            joined.extras.append((total, partial(handed_on, core, faces.extra)))
            joined.offsets[region_origin(core)] = (total, faces.n)
        total += faces.n
    return _join(total, seams, statistics, joined)


class _Seams:
    """Pairs of pieces found to be one; blocks arrive in raster order."""

    def __init__(self) -> None:
        self._waiting: dict[Offset, list[tuple[Offset, Labels, int]]] = defaultdict(list)
        self._links: list[tuple[Ids, Ids]] = [(_NO_IDS, _NO_IDS)]

    def add(self, grid: Offset, faces: _Faces[Any], offset: int) -> None:
        for to, theirs, their_offset in self._waiting.pop(grid, ()):
            if faces.n:
                self._pair(theirs, their_offset, _low_part(faces.low, to), offset)
        for (dz, dy, dx), layer in faces.handed_on.items():
            z, y, x = grid
            if layer.any():
                self._waiting[z + dz, y + dy, x + dx].append(((dz, dy, dx), layer, offset))

    def links(self) -> tuple[Ids, Ids]:
        """All pairs; they are taken away, so that none is there twice."""
        first, second = zip(*self._links, strict=True)
        self._links.clear()
        return np.concatenate(first), np.concatenate(second)

    def _pair(self, theirs: Labels, their_offset: int, ours: Labels, our_offset: int) -> None:
        both = (theirs > 0) & (ours > 0)
        if both.any():
            # A block's own numbers fit into 32 bits, however many pieces all blocks have.
            first, second = pairs_of(np.unique(pair_keys(theirs[both], ours[both])))
            self._links.append(
                (first.astype(np.intp) + their_offset, second.astype(np.intp) + our_offset)
            )


def _grid(core: Region, block_zyx: ShapeZYX) -> Offset:
    z, y, x = (s.start // step for s, step in zip(core, block_zyx, strict=True))
    return z, y, x


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
    seams: _Seams,
    statistics: list[tuple[int, Callable[[], PieceStatistics]]],
    joined: JoinedPieces[Extra],
) -> JoinedPieces[Extra]:
    n_groups, group = unite(total + 1, seams.links())
    # Nothing is ever linked to the background, so it is a group of its own; make that group 0.
    group[group == 0] = group[0]
    group[0] = 0
    wholes = PieceStatistics.empty(n_groups - 1)
    while statistics:
        offset, read = statistics.pop()
        part = read().part(slice(1, None))
        wholes.collect(group[offset + 1 : offset + 1 + len(part.count)], part)
    return replace(joined, group=group, n_groups=n_groups - 1, statistics=wholes)
