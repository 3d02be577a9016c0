"""What is known about a piece of an object in one block, and adding it up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cellseg_app.analysis.blockwise import Bools, Ids, Labels
from cellseg_app.core.blocks import Region, region_origin
from cellseg_app.core.errors import SettingsError
from cellseg_app.core.volume import ShapeZYX

_NO_VOXEL = np.iinfo(np.int64).max
# Ids worked on together, so that what is made of them does not count.
AT_ONCE = 2**20
_MOST_IN_32_BITS = np.iinfo(np.int32).max
_MOST_NODES = _MOST_IN_32_BITS - 1


@dataclass(frozen=True, slots=True)
class PieceStatistics:
    """Additive measurements, one value per id; index 0 is the background and stays empty.

    Attributes
    ----------
    count
        Number of voxels.
    first
        Raster index of the first voxel in the volume.
    border
        Whether a voxel lies on a face of the volume; axes of one voxel have no faces.
    """

    count: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    border: Bools

    @classmethod
    def empty(cls, n: int) -> PieceStatistics:
        """Measurements of ids 1…n of which nothing was seen yet."""
        first = np.full(n + 1, _NO_VOXEL, np.int64)
        return cls(np.zeros(n + 1, np.int64), first, np.zeros(n + 1, np.bool_))

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """For keeping on disk."""
        return {"count": self.count, "first": self.first, "border": self.border}

    def add(self, ids: Ids, part: PieceStatistics) -> None:
        """Count what one block saw; `ids` translates its ids to these, each at most once."""
        self.count[ids] += part.count
        self.first[ids] = np.minimum(self.first[ids], part.first)
        self.border[ids] |= part.border

    def collect(self, ids: Ids, part: PieceStatistics) -> None:
        """The same where `ids` may name one id often, 0 for what is dropped."""
        np.add.at(self.count, ids, part.count)
        np.minimum.at(self.first, ids, part.first)
        np.logical_or.at(self.border, ids, part.border)
        self._clear(0)

    def by_group(self, group: Ids, n_groups: int) -> PieceStatistics:
        """The same measurements of groups 1…n_groups, where `group` is 0 for what is dropped."""
        total = PieceStatistics.empty(n_groups)
        # NumPy copies the indices it is given in other types than its own.
        for start in range(0, len(group), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            total.collect(group[part], self.part(part))
        return total

    def part(self, ids: slice | Ids) -> PieceStatistics:
        """Of some ids."""
        return PieceStatistics(self.count[ids], self.first[ids], self.border[ids])

    def lead(self, to: Ids) -> None:
        """Give each id's measurements to `to[id]`; where that is another one, that one stays."""
        for start in range(0, len(to), AT_ONCE):
            part = to[start : start + AT_ONCE]
            leaving = start + np.flatnonzero(part != np.arange(start, start + len(part)))
            self.collect(to[leaving], self.part(leaving))
            self._clear(leaving)

    def _clear(self, ids: int | Ids) -> None:
        self.count[ids], self.first[ids], self.border[ids] = 0, _NO_VOXEL, False


def measure_pieces(labels: Labels, n: int, core: Region, *, shape: ShapeZYX) -> PieceStatistics:
    """Measure labels 1…n of one block.

    Parameters
    ----------
    labels
        Of the block.
    n
        Largest label.
    core
        Where the block lies.
    shape
        Of the volume.
    """
    flat = labels.ravel()
    where = np.flatnonzero(flat)
    ids = flat[where].astype(np.intp)
    count = np.bincount(ids, minlength=n + 1).astype(np.int64)
    first_local = np.zeros(n + 1, np.intp)
    # Assigned from the back: what stays is the first voxel.
    first_local[ids[::-1]] = where[::-1]
    z, y, x = np.unravel_index(first_local, labels.shape)
    z0, y0, x0 = region_origin(core)
    first = ((z + z0) * shape[1] + (y + y0)) * shape[2] + (x + x0)
    first = np.where(count > 0, first.astype(np.int64), _NO_VOXEL)
    return PieceStatistics(count, first, touching_border(labels, n, core, shape=shape))


def touching_border(labels: Labels, n: int, core: Region, *, shape: ShapeZYX) -> Bools:
    """Which of the labels 1…n of one block have a voxel on a face of the volume.

    Parameters
    ----------
    labels, n, core, shape
        As for `measure_pieces`. An axis of one voxel has no faces, or every cell would touch them.
    """
    border = np.zeros(n + 1, np.bool_)
    for axis, (part, size) in enumerate(zip(core, shape, strict=True)):
        if size == 1:
            continue
        # `take` would copy all of an array that is not contiguous.
        planes = np.moveaxis(labels, axis, 0)
        if part.start == 0:
            border[planes[0]] = True
        if part.stop == size:
            border[planes[-1]] = True
    border[0] = False
    return border


def unite(n: int, links: tuple[Ids, Ids]) -> tuple[int, Ids]:
    """Number of connected parts of a graph on nodes 0…n−1, and the part of each node.

    Raises
    ------
    SettingsError
        More nodes are linked than the graph's 32-bit indices can tell apart.
    """
    linked, ends = np.unique(np.concatenate(links), return_inverse=True)
    refuse_too_many(len(linked))
    a, b = ends[: len(links[0])], ends[len(links[0]) :]
    graph = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(len(linked), len(linked)))
    n_linked, part = connected_components(graph, directed=False) if len(linked) else (0, linked)
    group: Ids = np.empty(n, np.int32 if n <= _MOST_IN_32_BITS else np.int64)
    alone = np.ones(n, np.bool_)
    alone[linked] = False
    n_parts = int(n_linked) + int(np.count_nonzero(alone))
    group[alone] = np.arange(n_linked, n_parts, dtype=group.dtype)
    group[linked] = part
    return n_parts, group


def refuse_too_many(n: int) -> None:
    """Refuse a graph of more nodes than SciPy's graphs, whose indices have 32 bits, can hold.

    Raises
    ------
    SettingsError
        It has more.
    """
    if n > _MOST_NODES:
        raise SettingsError(
            f"{n} parts of cells were found, more than can be joined to cells ({_MOST_NODES}).",
            "Raise the threshold, or restrict the run to a region.",
        )
