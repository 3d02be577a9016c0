"""Corrections of cells by hand, done and undone on labels that stay where they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from cellseg_app.analysis.edited_labels import EditedLabels, Rewrite
from cellseg_app.analysis.moments import Integers
from cellseg_app.analysis.splitting import divide, find_seeds
from cellseg_app.core.blocks import Region, box_of, region_origin, region_shape
from cellseg_app.core.edits import MOST_PARTS, DeleteCells, Edit, MergeCells, SplitCell
from cellseg_app.core.errors import InputError
from cellseg_app.core.volume import LazyArray, ShapeZYX, SpacingZYX

# Some forty bytes each while a cell is divided.
MOST_SPLIT_VOXELS: Final = 16_000_000
_NO_SPACING: Final[SpacingZYX] = (1.0, 1.0, 1.0)
_GONE: Final = None


@dataclass(frozen=True, slots=True)
class CellBoxes:
    """Bounding boxes of cells, half-open, in voxels; row k belongs to `ids[k]`, ids ascend."""

    ids: Integers
    low: Integers
    high: Integers

    def box(self, label: int) -> Region | None:
        """The box of a cell; None if there is no such cell."""
        row = int(np.searchsorted(self.ids, label))
        if row == len(self.ids) or self.ids[row] != label:
            return None
        z, y, x = (
            slice(int(a), int(b)) for a, b in zip(self.low[row], self.high[row], strict=True)
        )
        return z, y, x


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """An edit with what undoes it."""

    edit: Edit
    n_rewrites: int
    before: dict[int, Region | None]


class LabelEdits:
    """A list of edits on labels that are never changed themselves.

    Parameters
    ----------
    labels
        (Z, Y, X), one id per cell.
    boxes
        Of every cell.
    spacing_um_zyx
        Voxel size; None if it is not known.
    """

    def __init__(
        self, labels: LazyArray, boxes: CellBoxes, spacing_um_zyx: SpacingZYX | None
    ) -> None:
        self._labels, self._boxes = labels, boxes
        self._spacing = spacing_um_zyx or _NO_SPACING
        self._rewrites: list[Rewrite] = []
        self._steps: list[_Step] = []
        # Cells whose box is another one than at first; None for those that are gone.
        self._now: dict[int, Region | None] = {}

    @property
    def edits(self) -> tuple[Edit, ...]:
        """What was done, in order."""
        return tuple(step.edit for step in self._steps)

    @property
    def labels(self) -> EditedLabels:
        """The labels after all edits; later edits do not change it."""
        return EditedLabels(self._labels, tuple(self._rewrites))

    @property
    def touched(self) -> tuple[int, ...]:
        """Ids of cells that are others than they were, or new; those that are gone left out."""
        return tuple(sorted(label for label, box in self._now.items() if box is not None))

    @property
    def gone(self) -> tuple[int, ...]:
        """Ids of the labels that are no cells any more."""
        return tuple(
            sorted(
                label
                for label, box in self._now.items()
                if box is None and self._boxes.box(label) is not None
            )
        )

    @property
    def n_cells(self) -> int:
        """Number of cells after all edits."""
        new = sum(
            1
            for label, box in self._now.items()
            if box is not None and self._boxes.box(label) is None
        )
        return len(self._boxes.ids) + new - len(self.gone)

    @property
    def next_label(self) -> int:
        """The smallest id that no cell has or had."""
        last = int(self._boxes.ids[-1]) if len(self._boxes.ids) else 0
        return max((last, *self._now)) + 1

    def box(self, label: int) -> Region:
        """The bounding box of a cell as it is now.

        Raises
        ------
        InputError
            There is no such cell, or no longer.
        """
        first = self._boxes.box(label)
        now = self._now.get(label, first)
        if now is not None:
            return now
        if first is None and label not in self._now:
            raise InputError(f"There is no cell {label}.", "Use the ids of the label image.")
        raise InputError(
            f"Cell {label} is gone: it was deleted or merged before.",
            "Leave it out, or take the earlier edit back.",
        )

    def has(self, label: int) -> bool:
        """Whether there is such a cell now."""
        return self._now.get(label, self._boxes.box(label)) is not None

    def split(self, label: int, n: int = 2) -> SplitCell:
        """Return the edit that divides a cell at its narrowest places; nothing is changed.

        Raises
        ------
        InputError
            There is no such cell, or it has too few or too many voxels.
        """
        if not 2 <= n <= MOST_PARTS:
            raise InputError(f"A cell is split into 2 to {MOST_PARTS} parts, not {n}.")
        box = self.box(label)
        seeds = find_seeds(self._inside(label, box), self._spacing, n)
        if seeds is None:
            raise InputError(
                f"Cell {label} has fewer than {n} voxels and cannot be split into {n}.",
                "Delete it if it is none.",
            )
        z, y, x = region_origin(box)
        moved = tuple((z + a, y + b, x + c) for a, b, c in seeds)
        first = self.next_label
        return SplitCell(
            label=label, seeds_zyx=moved, new_labels=tuple(range(first, first + n - 1))
        )

    def apply(self, edit: Edit) -> None:
        """Do an edit.

        Raises
        ------
        InputError
            It names a cell that is not there, or seeds outside of the cell; nothing is changed.
        """
        if isinstance(edit, SplitCell):
            rewrites, boxes = self._divided(edit)
        elif isinstance(edit, MergeCells):
            rewrites, boxes = self._merged(edit)
        else:
            rewrites, boxes = self._deleted(edit)
        before = {label: self._now[label] for label in boxes if label in self._now}
        self._steps.append(_Step(edit, len(self._rewrites), before))
        self._rewrites += rewrites
        self._now |= boxes

    def undo(self) -> Edit:
        """Take the last edit back, and return it.

        Raises
        ------
        IndexError
            There is none.
        """
        step = self._steps.pop()
        del self._rewrites[step.n_rewrites :]
        for label in concerned(step.edit):
            if label in step.before:
                self._now[label] = step.before[label]
            else:
                self._now.pop(label, None)
        return step.edit

    def _deleted(self, edit: DeleteCells) -> tuple[list[Rewrite], dict[int, Region | None]]:
        rewrites = [Rewrite(self.box(label), label, (0,)) for label in edit.labels]
        return rewrites, dict.fromkeys(edit.labels, _GONE)

    def _merged(self, edit: MergeCells) -> tuple[list[Rewrite], dict[int, Region | None]]:
        boxes = {label: self.box(label) for label in edit.labels}
        kept = edit.kept
        rewrites = [Rewrite(box, old, (kept,)) for old, box in boxes.items() if old != kept]
        after: dict[int, Region | None] = dict.fromkeys(edit.labels, _GONE)
        after[kept] = _around(list(boxes.values()))
        return rewrites, after

    def _divided(self, edit: SplitCell) -> tuple[list[Rewrite], dict[int, Region | None]]:
        box = self.box(edit.label)
        first_free = self.next_label
        taken = [label for label in edit.new_labels if label < first_free]
        if taken:
            raise InputError(
                f"Part of cell {edit.label} cannot be called {taken[0]}: that id is or was a "
                "cell's.",
                f"Number new cells from {first_free} on.",
            )
        inside = self._inside(edit.label, box)
        seeds = [_local_seed(seed, box, inside, edit.label) for seed in edit.seeds_zyx]
        parts = divide(inside, seeds, self._spacing)
        labels = (edit.label, *edit.new_labels)
        after: dict[int, Region | None] = {
            label: _extent(parts == number, box) for number, label in enumerate(labels, start=1)
        }
        return [Rewrite(box, edit.label, edit.new_labels, parts)], after

    def _inside(self, label: int, box: Region) -> npt.NDArray[np.bool_]:
        shape = region_shape(box)
        if math.prod(shape) > MOST_SPLIT_VOXELS:
            size = " × ".join(str(n) for n in shape)
            raise InputError(
                f"Cell {label} reaches over {size} voxels, too many to split it by hand.",
                "Run again with another threshold or method.",
            )
        inside: npt.NDArray[np.bool_] = self.labels[box] == label
        return inside


def concerned(edit: Edit) -> tuple[int, ...]:
    """Every id that an edit names."""
    return (edit.label, *edit.new_labels) if isinstance(edit, SplitCell) else edit.labels


def replay(
    labels: LazyArray,
    boxes: CellBoxes,
    edits: Sequence[Edit],
    spacing_um_zyx: SpacingZYX | None,
) -> LabelEdits:
    """Apply edits in order.

    Raises
    ------
    InputError
        One of them cannot be applied; it is named by its place from 1.
    """
    done = LabelEdits(labels, boxes, spacing_um_zyx)
    for number, edit in enumerate(edits, start=1):
        try:
            done.apply(edit)
        except InputError as error:
            raise InputError(f"Edit {number}: {error.problem}", error.remedy) from error
    return done


def _local_seed(seed: ShapeZYX, box: Region, inside: npt.NDArray[np.bool_], label: int) -> ShapeZYX:
    z, y, x = (v - part.start for v, part in zip(seed, box, strict=True))
    within = all(0 <= v < n for v, n in zip((z, y, x), inside.shape, strict=True))
    if not within or not inside[z, y, x]:
        raise InputError(
            f"The seed {seed} (Z, Y, X) lies outside of cell {label}.",
            "Give a voxel of the cell for each of its parts.",
        )
    return z, y, x


def _around(boxes: list[Region]) -> Region:
    z, y, x = (
        slice(min(part.start for part in parts), max(part.stop for part in parts))
        for parts in zip(*boxes, strict=True)
    )
    return z, y, x


def _extent(inside: npt.NDArray[np.bool_], box: Region) -> Region:
    found = box_of(inside)
    assert found is not None
    z, y, x = (slice(b.start + f.start, b.start + f.stop) for b, f in zip(box, found, strict=True))
    return z, y, x
