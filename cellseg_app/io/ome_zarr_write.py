"""OME-Zarr folders out: block by block, with coarser levels, labels inside their image if wanted.

Blocks are whole files. They can be written by many processes beside each other, in any order
within a level, and again; a level needs the one before it. Version 0.5 (Zarr format 3) or 0.4
(format 2), which is all that Python 3.10's zarr writes.
"""

from __future__ import annotations

import itertools
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cellseg_app.atomic import atomic_path, output_error
from cellseg_app.core.blocks import at_most, block_regions, holds_nothing
from cellseg_app.core.settings import OmeVersion
from cellseg_app.core.volume import LazyArray, SpacingZYX
from cellseg_app.io.casts import ImageKind, cast_exactly, probability_bytes
from cellseg_app.io.chunked import ChunkedArray
from cellseg_app.io.ome_zarr_layout import Block, Level, image_metadata, levels_of
from cellseg_app.io.ome_zarr_place import (
    name_image,
    own_version,
    refuse_existing,
    register_labels,
)
from cellseg_app.io.zarr_arrays import create_array, version_to_write, write_group

# Coarse voxels made at a time: what they come from has up to eight times as many.
_COARSENED_ZYX: Final = (32, 128, 128)


@dataclass(frozen=True)
class OmeZarrImage:
    """An OME-Zarr in the making, in a folder that many processes may write to.

    Attributes
    ----------
    folder
        Where its levels lie.
    shape
        (Z, Y, X) or (C, Z, Y, X).
    dtype
        NumPy's name of the voxel type; a probability as uint8 means 0 to 255.
    spacing_um_zyx
        Voxel size; None writes the scale in voxels, without a unit.
    kind
        Coarser levels are means of images, and nearest voxels of labels.
    version
        Of OME-Zarr, not auto.
    """

    folder: Path
    shape: tuple[int, ...]
    dtype: str
    spacing_um_zyx: SpacingZYX | None
    kind: ImageKind
    version: OmeVersion

    @classmethod
    def planned(
        cls,
        folder: Path,
        shape: tuple[int, ...],
        *,
        dtype: npt.DTypeLike,
        spacing_um_zyx: SpacingZYX | None,
        kind: ImageKind = "image",
        version: OmeVersion = "auto",
    ) -> OmeZarrImage:
        """An image of which nothing is on disk yet; bool is stored as uint8.

        Raises
        ------
        SettingsError
            This version is not written here.
        """
        if len(shape) not in (3, 4):
            msg = f"a volume has axes ZYX or CZYX, not {len(shape)} axes"
            raise ValueError(msg)
        stored = np.dtype(np.uint8) if np.dtype(dtype).kind == "b" else np.dtype(dtype)
        return cls(folder, shape, stored.name, spacing_um_zyx, kind, version_to_write(version))

    @property
    def levels(self) -> list[Level]:
        """The finest first."""
        return levels_of(self.shape, self.spacing_um_zyx, self.version)

    def begin(self) -> None:
        """Make every level, empty; levels that an interrupted process has made are kept.

        Raises
        ------
        OutputError
            The place cannot be written.
        """
        for number, level in enumerate(self.levels):
            folder = self.folder / str(number)
            if folder.exists():
                continue
            try:
                with atomic_path(folder) as temporary:
                    create_array(
                        temporary,
                        level.shape,
                        chunks=level.chunks,
                        shards=level.shards,
                        dtype=np.dtype(self.dtype),
                        axes="czyx"[-len(level.shape) :],
                        version=self.version,
                    )
            except OSError as error:
                raise output_error(self.folder, error) from error

    def write(self, number: int, block: Block, source: LazyArray) -> None:
        """Write one block of a level; those above the finest come from the level before.

        Raises
        ------
        OutputError
            The disk is full, or a value does not fit.
        """
        array = ChunkedArray(self.folder / str(number))
        if number:
            fine = ChunkedArray(self.folder / str(number - 1))
            array[block] = self._coarsened(fine, block, self.levels[number].step_zyx)
        elif not self._is_empty(source, block):
            array[block] = self._stored(np.asarray(source[block]))

    def fill(self, source: LazyArray) -> None:
        """Write everything, one block after the other."""
        for number, level in enumerate(self.levels):
            for block in level.blocks():
                self.write(number, block, source)

    def describe(self) -> None:
        """Write the metadata that make the folder an image."""
        in_bytes = self.kind == "probability" and self.dtype == "uint8"
        metadata = image_metadata(
            self.levels,
            self.spacing_um_zyx,
            kind=self.kind,
            in_bytes=in_bytes,
            version=self.version,
        )
        write_group(self.folder, metadata, self.version)

    def _is_empty(self, source: LazyArray, block: Block) -> bool:
        if holds_nothing(source, block):
            return True
        return self.kind == "probability" and at_most(source, block) <= 0

    def _stored(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if self.kind == "probability" and self.dtype == "uint8":
            values = probability_bytes(values)
        return cast_exactly(values, np.dtype(self.dtype), self.kind, path=self.folder)

    def _coarsened(
        self, fine: ChunkedArray, block: Block, step: tuple[int, int, int]
    ) -> npt.NDArray[Any]:
        lead, shape = block[:-3], tuple(part.stop - part.start for part in block)
        result = np.zeros(shape, self.dtype)
        for piece in block_regions((shape[-3], shape[-2], shape[-1]), _COARSENED_ZYX):
            wide = tuple(
                slice((outer.start + part.start) * s, min((outer.start + part.stop) * s, n))
                for outer, part, s, n in zip(block[-3:], piece, step, fine.shape[-3:], strict=True)
            )
            if fine.holds_nothing((*lead, *wide)):
                continue
            values = fine[(*lead, *wide)]
            if self.kind == "labels":
                result[(..., *piece)] = values[..., :: step[0], :: step[1], :: step[2]]
            else:
                result[(..., *piece)] = _mean(values, step)
        return result


@contextmanager
def new_ome_zarr(
    path: Path | str,
    shape: tuple[int, ...],
    *,
    dtype: npt.DTypeLike,
    spacing_um_zyx: SpacingZYX | None,
    kind: ImageKind = "image",
    labels_name: str | None = None,
    version: OmeVersion = "auto",
) -> Iterator[OmeZarrImage]:
    """Lend an image to be filled; its folder appears when the block ends well.

    Parameters
    ----------
    path
        The image's folder, which must not exist; with `labels_name`, the image to add labels to.
    shape, dtype, spacing_um_zyx, kind
        See `OmeZarrImage`.
    labels_name
        The name in the labels group of the existing image `path`.
    version
        Of OME-Zarr; labels inside an image have that of the image.

    Raises
    ------
    OutputError
        If the place cannot be written or is taken, the disk is full, or a value does not fit.
    """
    path = Path(path)
    target = path / "labels" / labels_name if labels_name else path
    image = OmeZarrImage.planned(
        target,
        shape,
        dtype=dtype,
        spacing_um_zyx=spacing_um_zyx,
        kind=kind,
        version=own_version(path) if labels_name else version,
    )
    refuse_existing(target)
    with atomic_path(target, replace=False) as folder:
        image = replace(image, folder=folder)
        image.begin()
        yield image
        image.describe()
        name_image(folder, image.version, target, in_image=labels_name is not None)
    if labels_name:
        register_labels(path, labels_name)


def remove_unfinished_chunks(folder: Path) -> None:
    """Remove what processes that were killed while they wrote a chunk have left."""
    for leftover in folder.rglob("*.partial"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def _mean(part: npt.NDArray[Any], step: tuple[int, int, int]) -> npt.NDArray[Any]:
    """Means of blocks; at the far border the last voxels are repeated to fill the block."""
    lead = part.ndim - 3
    short = [-n % s for n, s in zip(part.shape[-3:], step, strict=True)]
    padded = np.pad(part, [(0, 0)] * lead + [(0, n) for n in short], mode="edge")
    wide = np.dtype(np.float32 if part.dtype.itemsize <= 2 or part.dtype == "f4" else np.float64)
    shape = [n // s for n, s in zip(padded.shape[-3:], step, strict=True)]
    mean: npt.NDArray[Any] = np.zeros((*part.shape[:lead], *shape), wide)
    for z, y, x in itertools.product(*(range(s) for s in step)):
        mean += padded[..., z :: step[0], y :: step[1], x :: step[2]]
    mean /= math.prod(step)
    if part.dtype.kind in "iu":
        mean = np.rint(mean)
    cast: npt.NDArray[Any] = mean.astype(part.dtype)
    return cast
