"""Sums over the cells of every block, and whole cells from them, a range of ids at a time.

A cell may have parts in any blocks, and only all of them together make it whole. But every block
holds its cells in the order of their ids: a range of ids is picked out of all blocks, joined, and
forgotten before the next one. Ids follow the first voxels of cells, so that a range lies in few
layers of blocks, and of the others nothing has to be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_app.analysis.kept import Arrays, part_of, prefixed
from cellseg_app.analysis.moments import (
    Doubles,
    Integers,
    Moments,
    Values,
    join_moments,
    join_values,
)
from cellseg_app.core.blocks import Region

# Joined together, some 100 MB with everything that is computed from them.
_CELLS_AT_ONCE = 200_000
# Held, in 210 bytes each, where one of the next ranges needs them, instead of being read again.
_MOST_HELD_CELLS = 2_000_000
_RANGES_AHEAD = 8
_LANDMARK_EVERY = 64
_NO_MORE = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class BlockSums:
    """Of the cells of a block, or of whole cells; rows ascend by id."""

    moments: Moments
    surface: Doubles | None
    intensity: Values | None
    probability: Values | None

    def __len__(self) -> int:
        return len(self.moments.ids)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """For keeping on disk."""
        packed = prefixed("moments_", self.moments.arrays())
        if self.surface is not None:
            packed["surface"] = self.surface
        if self.intensity is not None:
            packed |= prefixed("intensity_", self.intensity.arrays())
        if self.probability is not None:
            packed |= prefixed("probability_", self.probability.arrays())
        return packed

    @classmethod
    def of(cls, arrays: Arrays) -> BlockSums:
        """What `arrays` took apart."""
        intensity, probability = (
            part_of(arrays, prefix) for prefix in ("intensity_", "probability_")
        )
        return cls(
            Moments(**part_of(arrays, "moments_")),
            arrays.get("surface"),
            Values(**intensity) if intensity else None,
            Values(**probability) if probability else None,
        )

    @classmethod
    def none(
        cls, *, surface: bool = False, intensity: bool = False, probability: bool = False
    ) -> BlockSums:
        """Of no cells, with what is measured of others."""
        empty = np.zeros(0)
        values = Values(empty, empty, empty, empty)
        return cls(
            join_moments([])[0],
            empty if surface else None,
            values if intensity else None,
            values if probability else None,
        )

    def rows(self, part: slice) -> BlockSums:
        """A copy of some rows."""
        return BlockSums.of({name: array[part].copy() for name, array in self.arrays().items()})


@dataclass(frozen=True, slots=True)
class Landmarks:
    """What is remembered of the cells of a block.

    Attributes
    ----------
    ids
        Every 64th, and the last one.
    n_voxels
        Of all of them.
    """

    ids: Integers
    n_voxels: int

    @classmethod
    def of(cls, sums: BlockSums) -> Landmarks:
        """The landmarks of a block."""
        ids = sums.moments.ids
        n_voxels = int(sums.moments.sums[:, 0].sum())
        return cls(np.append(ids[::_LANDMARK_EVERY], ids[-1:]), n_voxels)


class CellSums:
    """Sums of all cells of a volume, block by block.

    Parameters
    ----------
    none
        Sums of no cells, with everything that blocks hold.
    blocks
        The blocks of the volume, and what is remembered of them.
    read
        Gives the sums of a block, as often as they are asked for.
    in_memory
        Whether it only looks them up, so that nothing is gained by holding them.
    """

    def __init__(
        self,
        none: BlockSums,
        blocks: Sequence[tuple[Region, Landmarks]],
        read: Callable[[Region], BlockSums],
        *,
        in_memory: bool,
    ) -> None:
        self._none, self._read = none, read
        self._most_held = 0 if in_memory else _MOST_HELD_CELLS
        self._blocks = [(core, marks) for core, marks in blocks if len(marks.ids)]

    @property
    def n_voxels(self) -> int:
        """How many voxels all cells have."""
        return sum(marks.n_voxels for _, marks in self._blocks)

    def count(self) -> int:
        """How many cells there are; reads all blocks."""
        ids = [self._read(core).moments.ids for core, _ in self._blocks]
        return len(np.unique(np.concatenate(ids))) if ids else 0

    def whole_cells(self) -> Iterator[BlockSums]:
        """The sums of whole cells, ascending by id, some at a time; at least once."""
        if not self._blocks:
            yield self._none
            return
        held: dict[int, BlockSums] = {}
        n_held = 0
        following = np.array([marks.ids[0] for _, marks in self._blocks])
        ends = self._ends()
        for n, end in enumerate(ends):
            soon = ends[min(n + _RANGES_AHEAD, len(ends) - 1)]
            parts = [self._none]
            for number in np.flatnonzero(following <= end).tolist():
                sums = held.pop(number, None)
                if sums is None:
                    sums = self._read(self._blocks[number][0])
                else:
                    n_held -= len(sums)
                ids = sums.moments.ids
                begin = int(np.searchsorted(ids, following[number]))
                stop = int(np.searchsorted(ids, end, side="right"))
                parts.append(sums.rows(slice(begin, stop)))
                following[number] = ids[stop] if stop < len(ids) else _NO_MORE
                if following[number] <= soon and n_held < self._most_held:
                    held[number] = sums.rows(slice(stop, None))
                    n_held += len(held[number])
            yield _joined(parts)

    def _ends(self) -> list[int]:
        """The last id of every range; a range has few more than `_CELLS_AT_ONCE` cells."""
        marks = np.sort(np.concatenate([marks.ids for _, marks in self._blocks]))
        step = _CELLS_AT_ONCE // _LANDMARK_EVERY
        ends: list[int] = np.unique(np.append(marks[step - 1 :: step], marks[-1])).tolist()
        return ends


def _joined(parts: Sequence[BlockSums]) -> BlockSums:
    """Sums of whole cells; the first of the parts tells what they hold."""
    moments, place = join_moments([part.moments for part in parts])
    n, first = len(moments.ids), parts[0]

    def values(of: Sequence[Values | None]) -> Values:
        return join_values([v for v in of if v is not None], place, n)

    area = None
    if first.surface is not None:
        areas = [part.surface for part in parts if part.surface is not None]
        area = np.bincount(place, np.concatenate(areas), minlength=n).astype(np.float64)
    return BlockSums(
        moments,
        area,
        None if first.intensity is None else values([part.intensity for part in parts]),
        None if first.probability is None else values([part.probability for part in parts]),
    )
