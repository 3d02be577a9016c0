"""How good labels are, held against labels or points made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from scipy.spatial import cKDTree

from cellseg_app.analysis.blockwise import Bools
from cellseg_app.analysis.contingency import Contingency, Counts, contingency
from cellseg_app.core.errors import InputError
from cellseg_app.core.volume import LazyArray, SpacingZYX

Points = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Match:
    """How many objects found and true objects are the same, by one criterion.

    Attributes
    ----------
    criterion
        The least overlap (intersection over union) or the largest distance that counted.
    n_matched
        Pairs, each object in at most one of them; as many as possible.
    n_found, n_true
        Objects that were compared.
    quality
        Mean overlap or mean distance of the pairs; NaN without any.
    """

    criterion: float
    n_matched: int
    n_found: int
    n_true: int
    quality: float

    @property
    def precision(self) -> float:
        """Share of the objects found that are true; 1 if nothing was found."""
        return self.n_matched / self.n_found if self.n_found else 1.0

    @property
    def recall(self) -> float:
        """Share of the true objects that were found; 1 if there are none."""
        return self.n_matched / self.n_true if self.n_true else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 1 if there is nothing on either side."""
        total = self.n_found + self.n_true
        return 2 * self.n_matched / total if total else 1.0

    @property
    def average_precision(self) -> float:
        """TP / (TP + FP + FN), as in the Data Science Bowl 2018 and StarDist."""
        total = self.n_found + self.n_true - self.n_matched
        return self.n_matched / total if total else 1.0


@dataclass(frozen=True, slots=True)
class LabelComparison:
    """Labels against true labels.

    Attributes
    ----------
    matches
        One per overlap asked for, in that order.
    dice
        Of the foreground, all objects included; 1 if both are empty.
    adjusted_rand
        Adjusted Rand index over all voxels, background as one class.
    """

    matches: tuple[Match, ...]
    dice: float
    adjusted_rand: float

    def as_dict(self) -> dict[str, float | int]:
        """Flat, for a table or a record: f1@0.5, ap@0.5, …"""
        row: dict[str, float | int] = {}
        for match in self.matches:
            at = f"@{match.criterion:g}"
            row |= {
                f"f1{at}": match.f1,
                f"ap{at}": match.average_precision,
                f"precision{at}": match.precision,
                f"recall{at}": match.recall,
                f"n_matched{at}": match.n_matched,
            }
        first = self.matches[0] if self.matches else None
        if first is not None:
            row |= {"n_found": first.n_found, "n_true": first.n_true}
        return row | {"dice": self.dice, "adjusted_rand": self.adjusted_rand}


def compare_labels(
    found: LazyArray,
    true: LazyArray,
    *,
    iou: Sequence[float] = (0.5, 0.7),
    min_voxels: int = 50,
) -> LabelComparison:
    """Compare labels with true labels of the same shape.

    Parameters
    ----------
    found, true
        (Z, Y, X), one integer per object, 0 is background; ids need not be consecutive.
    iou
        Overlaps (intersection over union) from which on two objects count as the same.
    min_voxels
        Smaller objects on either side are not counted, neither as right nor as wrong.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    table = contingency(found, true)
    overlap = _overlaps(table, min_voxels)
    matches = tuple(_match_labels(overlap, least) for least in iou)
    return LabelComparison(matches, _dice(table), _adjusted_rand(table))


def adjusted_rand_index(a: LazyArray, b: LazyArray, *, foreground_only: bool = False) -> float:
    """Agreement of two label volumes whatever the ids: 1 is the same partition, 0 is chance.

    Hubert and Arabie, "Comparing partitions" (1985).

    Parameters
    ----------
    a, b
        (Z, Y, X) of one shape; background counts as one class.
    foreground_only
        Leave out voxels that are background in both: much more sensitive, as background is most
        of a volume.
    """
    return _adjusted_rand(contingency(a, b), foreground_only=foreground_only)


def detection_scores(
    found_zyx: Points,
    true_zyx: Points,
    *,
    tolerance: float,
    spacing_um_zyx: SpacingZYX | None = None,
) -> Match:
    """Compare positions found with true positions.

    Parameters
    ----------
    found_zyx, true_zyx
        (N, 3) in voxels; centroids of labels come from `measure_cells` or `centroids`.
    tolerance
        Largest distance of a pair: in µm if the voxel size is given, else in voxels.
    spacing_um_zyx
        Voxel size.

    Returns
    -------
    The largest one-to-one matching within the tolerance (Hopcroft and Karp), `quality` being the
    mean distance.
    """
    scale = np.asarray(spacing_um_zyx or (1.0, 1.0, 1.0))
    found = _as_points(found_zyx) * scale
    true = _as_points(true_zyx) * scale
    if not len(found) or not len(true):
        return Match(tolerance, 0, len(found), len(true), float("nan"))
    near = cKDTree(found).sparse_distance_matrix(cKDTree(true), tolerance, output_type="ndarray")
    # A distance of 0 would read as "no pair" in a sparse matrix: ones stand for the pairs.
    graph = coo_array(
        (np.ones(len(near), np.int8), (near["i"], near["j"])), shape=(len(found), len(true))
    )
    partner = maximum_bipartite_matching(graph.tocsr(), perm_type="column")
    paired = np.flatnonzero(partner >= 0)
    distance = np.linalg.norm(found[paired] - true[partner[paired]], axis=1)
    quality = float(distance.mean()) if len(paired) else float("nan")
    return Match(tolerance, len(paired), len(found), len(true), quality)


def centroids(labels: LazyArray) -> npt.NDArray[np.float64]:
    """Centroids (N, 3) in voxels of the labels in use, in the order of their ids."""
    volume = np.asarray(labels[slice(None), slice(None), slice(None)])
    where = np.nonzero(volume)
    ids, place = np.unique(volume[where], return_inverse=True)
    count = np.bincount(place, minlength=len(ids))
    sums = [np.bincount(place, weights=axis, minlength=len(ids)) for axis in where]
    return np.stack(sums, axis=1) / np.maximum(count, 1)[:, None]


@dataclass(frozen=True, slots=True)
class _Overlaps:
    a: npt.NDArray[np.intp]
    b: npt.NDArray[np.intp]
    iou: npt.NDArray[np.float64]
    large_a: Bools
    large_b: Bools


def _overlaps(table: Contingency, min_voxels: int) -> _Overlaps:
    sizes_a, sizes_b = table.sizes_a(), table.sizes_b()
    large_a, large_b = sizes_a >= max(1, min_voxels), sizes_b >= max(1, min_voxels)
    large_a[0] = large_b[0] = False
    both = large_a[table.a] & large_b[table.b]
    a, b, shared = table.a[both], table.b[both], table.count[both]
    return _Overlaps(a, b, shared / (sizes_a[a] + sizes_b[b] - shared), large_a, large_b)


def _match_labels(overlap: _Overlaps, least: float) -> Match:
    good = overlap.iou >= least
    a, b, iou = overlap.a[good], overlap.b[good], overlap.iou[good]
    n_a, n_b = len(overlap.large_a), len(overlap.large_b)
    n_found, n_true = int(overlap.large_a.sum()), int(overlap.large_b.sum())
    if not len(a):
        return Match(least, 0, n_found, n_true, float("nan"))
    graph = csr_array((np.ones(len(a), np.int8), (a, b)), shape=(n_a, n_b))
    partner = maximum_bipartite_matching(graph, perm_type="column")
    chosen = partner[a] == b
    return Match(least, int((partner >= 0).sum()), n_found, n_true, float(iou[chosen].mean()))


def _dice(table: Contingency) -> float:
    in_a, in_b = table.a > 0, table.b > 0
    total = int(table.count[in_a].sum() + table.count[in_b].sum())
    return 2 * int(table.count[in_a & in_b].sum()) / total if total else 1.0


def _adjusted_rand(table: Contingency, *, foreground_only: bool = False) -> float:
    count = table.count.copy()
    if foreground_only:
        count[(table.a == 0) & (table.b == 0)] = 0
    a = np.bincount(table.a, weights=count)
    b = np.bincount(table.b, weights=count)
    together, pairs_a, pairs_b = _pairs(count), _pairs(a), _pairs(b)
    all_pairs = float(_pairs(count.sum(keepdims=True)))
    if all_pairs == 0:
        return 1.0
    expected = pairs_a * pairs_b / all_pairs
    most = (pairs_a + pairs_b) / 2
    return float((together - expected) / (most - expected)) if most != expected else 1.0


def _pairs(count: Counts | npt.NDArray[np.float64]) -> float:
    n = count.astype(np.float64)
    return float((n * (n - 1) / 2).sum())


def _as_points(points: Points) -> npt.NDArray[np.float64]:
    array = np.asarray(points, dtype=np.float64)
    if not array.size:
        return np.zeros((0, 3))
    if array.ndim != 2 or array.shape[1] != 3:
        raise InputError(f"Points need 3 coordinates z, y, x; got an array of {array.shape}.")
    return array
