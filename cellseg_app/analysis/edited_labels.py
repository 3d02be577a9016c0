"""Labels with corrections, read lazily: stored labels are rewritten on their way to the reader.

A rewrite is one id that becomes another within the bounding box of a cell, or the parts of a
divided cell that get their ids. Only divided cells are held in memory, as the number of each
voxel's part.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_app.analysis.splitting import Parts
from cellseg_app.core.blocks import Region, overlap
from cellseg_app.core.volume import LazyArray

_Factor = tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Rewrite:
    """One change of ids within a box.

    Attributes
    ----------
    box
        Where it is looked at.
    old, new
        Voxels of the one id get the other.
    parts
        Of a divided cell: number of the part of each voxel of the box; the first keeps `old`, part
        k + 2 gets `new[k]`.
    """

    box: Region
    old: int
    new: tuple[int, ...]
    parts: Parts | None = None

    def apply(self, labels: npt.NDArray[Any], parts: Parts | None) -> None:
        """Change labels of (a sample of) the box in place."""
        if parts is None:
            labels[labels == self.old] = self.new[0]
            return
        own = labels == self.old
        for number, label in enumerate(self.new, start=2):
            labels[own & (parts == number)] = label


class EditedLabels:
    """Labels (Z, Y, X) with rewrites, read lazily; at the labels' resolution or a lower one.

    Parameters
    ----------
    base
        The labels as they were, or a lower resolution of them.
    rewrites
        In order, in voxels of the labels.
    factor_zyx
        How many voxels of the labels are one of `base` along each axis.
    """

    def __init__(
        self,
        base: LazyArray,
        rewrites: tuple[Rewrite, ...],
        factor_zyx: _Factor = (1.0, 1.0, 1.0),
    ) -> None:
        self.base, self.rewrites, self._factor = base, rewrites, factor_zyx
        self.shape: tuple[int, ...] = tuple(base.shape)
        self.dtype: np.dtype[Any] = np.result_type(base.dtype, np.uint32)
        self.ndim = 3
        boxes = [self._own_box(rewrite.box) for rewrite in rewrites]
        self._boxes = boxes
        edges = [[(part.start, part.stop) for part in box] for box in boxes]
        self._edges = np.array(edges, np.int64).reshape(-1, 3, 2)

    def __getitem__(self, key: tuple[slice, ...], /) -> npt.NDArray[Any]:
        result = np.array(self.base[key], dtype=self.dtype)
        ranges = [range(*part.indices(n)) for part, n in zip(key, self.shape, strict=True)]
        if not all(len(r) for r in ranges):
            return result
        first, last = np.array([r[0] for r in ranges]), np.array([r[-1] for r in ranges])
        met = (self._edges[:, :, 0] <= last) & (self._edges[:, :, 1] > first)
        for place in np.flatnonzero(met.all(axis=1)):
            self._rewrite(result, key, self.rewrites[place], self._boxes[place])
        return result

    def changed_since(self, before: tuple[Rewrite, ...]) -> tuple[Region, ...]:
        """Boxes outside of which the labels are what they were after other rewrites."""
        pairs = zip(self.rewrites, before, strict=False)
        n = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] is pair[1], pairs))
        return tuple(rewrite.box for rewrite in (*self.rewrites[n:], *before[n:]))

    def _rewrite(
        self, result: npt.NDArray[Any], key: tuple[slice, ...], rewrite: Rewrite, box: Region
    ) -> None:
        target, origin = overlap(key, box, self.shape)
        part = result[target]
        if part.size == 0:
            return
        rewrite.apply(part, None if rewrite.parts is None else self._parts(rewrite, box, origin))

    def _parts(self, rewrite: Rewrite, box: Region, origin: tuple[slice, ...]) -> Parts:
        assert rewrite.parts is not None
        if self._factor == (1.0, 1.0, 1.0):
            return rewrite.parts[origin]
        places = []
        for axis, (part, own) in enumerate(zip(origin, box, strict=True)):
            coarse = np.arange(own.start, own.stop)[part]
            fine = np.floor((coarse + 0.5) * self._factor[axis]).astype(np.intp)
            first, size = rewrite.box[axis].start, rewrite.parts.shape[axis]
            places.append(np.clip(fine - first, 0, size - 1))
        return rewrite.parts[np.ix_(*places)]

    def _own_box(self, box: Region) -> Region:
        z, y, x = (
            slice(math.floor(part.start / f), min(n, math.ceil(part.stop / f)))
            for part, f, n in zip(box, self._factor, self.shape, strict=True)
        )
        return z, y, x
