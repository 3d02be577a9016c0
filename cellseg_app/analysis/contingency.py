"""How many voxels every pair of labels of two volumes shares: what all comparisons start from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cellseg_app.analysis.blockwise import DEFAULT_BLOCK_ZYX, Ids, shape_zyx
from cellseg_app.analysis.pair_keys import pair_keys, pairs_of
from cellseg_app.core.blocks import block_regions
from cellseg_app.core.errors import InputError
from cellseg_app.core.volume import LazyArray, ShapeZYX

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Contingency:
    """Overlaps of two label volumes, background (row or column 0) included.

    Attributes
    ----------
    ids_a, ids_b
        Labels in use, 0 first.
    a, b, count
        For every pair that shares voxels: places in `ids_a` and `ids_b`, and how many.
    """

    ids_a: Counts
    ids_b: Counts
    a: Ids
    b: Ids
    count: Counts

    def sizes_a(self) -> Counts:
        """Voxels of each label of the first volume."""
        return self._sizes(self.a, len(self.ids_a))

    def sizes_b(self) -> Counts:
        """Voxels of each label of the second volume."""
        return self._sizes(self.b, len(self.ids_b))

    def _sizes(self, side: Ids, n: int) -> Counts:
        total = np.zeros(n, np.int64)
        np.add.at(total, side, self.count)
        return total


def contingency(
    a: LazyArray, b: LazyArray, *, block_zyx: ShapeZYX = DEFAULT_BLOCK_ZYX
) -> Contingency:
    """Count the overlaps of two label volumes of one shape, block by block.

    Parameters
    ----------
    a, b
        (Z, Y, X), integers from 0 to 2³²−1.
    block_zyx
        What is read at a time.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    shape = shape_zyx(a)
    if shape != shape_zyx(b):
        raise InputError(
            f"The volumes to compare have shapes {shape} and {tuple(b.shape)}.",
            "Compare results of the same image at the same resolution.",
        )
    keys: list[npt.NDArray[np.uint64]] = []
    counts: list[Counts] = []
    for region in block_regions(shape, block_zyx):
        pairs = pair_keys(np.asarray(a[region]), np.asarray(b[region]))
        unique, number = np.unique(pairs, return_counts=True)
        keys.append(unique)
        counts.append(number.astype(np.int64))
    return _from_pairs(np.concatenate(keys), np.concatenate(counts))


def _from_pairs(keys: npt.NDArray[np.uint64], counts: Counts) -> Contingency:
    pairs, inverse = np.unique(keys, return_inverse=True)
    total = np.zeros(len(pairs), np.int64)
    np.add.at(total, inverse, counts)
    (ids_a, a), (ids_b, b) = (_numbered(labels.astype(np.int64)) for labels in pairs_of(pairs))
    return Contingency(ids_a, ids_b, a, b, total)


def _numbered(labels: Counts) -> tuple[Counts, Ids]:
    """Labels in use with 0 in front, and the place of each among them."""
    ids = np.union1d(np.zeros(1, np.int64), labels)
    return ids, np.searchsorted(ids, labels)
