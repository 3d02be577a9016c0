"""Corrections of cells by hand, as values: a list of them is the log that is kept and replayed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator, model_validator

# Far more than anybody corrects by hand; a file that holds more is none of ours.
MOST_EDITS: Final = 100_000
MOST_CELLS: Final = 100_000
MOST_PARTS: Final = 100

Label = Annotated[int, Field(ge=1, lt=2**63)]
_Voxel = Annotated[int, Field(ge=0, lt=2**31)]
Seed = tuple[_Voxel, _Voxel, _Voxel]
_Named = TypeVar("_Named")


class _Edit(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DeleteCells(_Edit):
    """Cells that are none: their voxels become background."""

    kind: Literal["delete"] = "delete"
    labels: tuple[Label, ...] = Field(min_length=1, max_length=MOST_CELLS)

    @field_validator("labels")
    @classmethod
    def _each_once(cls, labels: tuple[int, ...]) -> tuple[int, ...]:
        return _distinct(labels)


class MergeCells(_Edit):
    """Pieces of one cell: all get the smallest of their ids."""

    kind: Literal["merge"] = "merge"
    labels: tuple[Label, ...] = Field(min_length=2, max_length=MOST_CELLS)

    @field_validator("labels")
    @classmethod
    def _each_once(cls, labels: tuple[int, ...]) -> tuple[int, ...]:
        return _distinct(labels)

    @property
    def kept(self) -> int:
        """The id that the merged cell has."""
        return min(self.labels)


class SplitCell(_Edit):
    """A cell that is several.

    Attributes
    ----------
    seeds_zyx
        One voxel of each part; they decide where it is divided, so that a replay divides it alike.
    new_labels
        Ids of the parts after the first, which keeps that of the cell.
    """

    kind: Literal["split"] = "split"
    label: Label
    seeds_zyx: tuple[Seed, ...] = Field(min_length=2, max_length=MOST_PARTS)
    new_labels: tuple[Label, ...] = Field(min_length=1, max_length=MOST_PARTS - 1)

    @model_validator(mode="after")
    def _fits_together(self) -> SplitCell:
        _distinct(self.seeds_zyx)
        if len(_distinct((self.label, *self.new_labels))) != len(self.seeds_zyx):
            msg = "there must be one new label for each seed after the first"
            raise ValueError(msg)
        return self


Edit = Annotated[DeleteCells | MergeCells | SplitCell, Field(discriminator="kind")]
EDIT_LOG: Final[TypeAdapter[tuple[Edit, ...]]] = TypeAdapter(
    Annotated[tuple[Edit, ...], Field(max_length=MOST_EDITS)]
)


def edits_sentence(edits: Sequence[Edit]) -> str:
    """What was done, for people: `5 cells were corrected by hand: 2 deleted, …`."""
    deleted = sum(len(edit.labels) for edit in edits if isinstance(edit, DeleteCells))
    merges = [edit for edit in edits if isinstance(edit, MergeCells)]
    merged = sum(len(edit.labels) for edit in merges)
    splits = [edit for edit in edits if isinstance(edit, SplitCell)]
    parts = sum(len(edit.seeds_zyx) for edit in splits)
    said = [
        f"{deleted:,} deleted" if deleted else "",
        f"{merged:,} merged into {len(merges):,}" if merges else "",
        f"{len(splits):,} split into {parts:,}" if splits else "",
    ]
    total = deleted + merged + len(splits)
    noun = "cell was" if total == 1 else "cells were"
    return f"{total:,} {noun} corrected by hand: {', '.join(part for part in said if part)}."


def _distinct(values: tuple[_Named, ...]) -> tuple[_Named, ...]:
    if len(set(values)) != len(values):
        msg = "each may be named only once"
        raise ValueError(msg)
    return values
