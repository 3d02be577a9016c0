"""A run's folder of unfinished work: the network's output so far and the ledger of what is done.

Small volumes lie in one flat file, large ones in chunks, of which only those exist that hold
something. The ledger counts slabs, or, where a volume is worked on in blocks, planes per block.

Its name holds a fingerprint of input, settings and weights. A run that was killed finds it again
and goes on; a run with anything changed never sees it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cellseg_app.analysis.kept import KeptBlocks
from cellseg_app.atomic import write_text_atomic
from cellseg_app.core.blocks import Region
from cellseg_app.core.errors import InputError
from cellseg_app.core.sources import address_of
from cellseg_app.core.volume import ShapeZYX
from cellseg_app.io.chunked import CHUNK_ZYX, BoundedArray, ChunkedArray
from cellseg_app.io.hashing import identity_sha256
from cellseg_app.io.open import read_stored
from cellseg_app.io.remote_identity import remote_identity

FOLDER_NAME: Final = ".cellseg-work"
_LEDGER: Final = "ledger.json"
_PROBABILITY: Final = "probability.npy"
_LABELS: Final = "labels.npy"
_PIECES: Final = "pieces.npy"
_BLOCKS: Final = "blocks"
# Beyond this, flat files would fill memory with their pages and the disk with zeros.
MOST_FLAT_VOXELS: Final = 2**28


def fingerprint(*parts: object) -> str:
    """Return a hash of values that JSON can hold."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def input_identity(path: Path, *, level: int = 0) -> list[Any]:
    """Return what tells that a file or folder is still the same: names, sizes, change times.

    Of an address, what `remote_identity` tells of a level.

    Raises
    ------
    InputError
        It is not there or cannot be looked at.
    """
    address = address_of(path)
    if address is not None:
        return [address, remote_identity(read_stored(path, level=level))]
    resolved = path.resolve()
    try:
        return [str(resolved), identity_sha256(resolved)]
    except OSError as error:
        raise InputError(
            f"It cannot be read ({error.strerror}).", "Check the name and the disk.", path=path
        ) from error


@dataclass(frozen=True, slots=True)
class BlockProgress:
    """How far one block of the probability has come.

    Attributes
    ----------
    planes
        So many planes of the block, from its first on, stand on disk.
    maxima
        (C, nz, ny, nx) float16: the largest probability of every chunk of these planes.
    """

    planes: int
    maxima: npt.NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class CellStore:
    """Pieces and labels of a large volume, and what was found in its blocks."""

    pieces: ChunkedArray
    labels: ChunkedArray
    found: KeptBlocks


class Workspace:
    """Folder and ledger of one volume's run.

    Parameters
    ----------
    output_folder
        Where the results go; the workspace is a hidden folder inside it.
    name
        The volume's name, for people who look into the folder.
    key
        The run's `fingerprint`.
    """

    def __init__(self, output_folder: Path, name: str, key: str) -> None:
        self.folder = output_folder / FOLDER_NAME / f"{name[:60]}-{key}"
        self.folder.mkdir(parents=True, exist_ok=True)

    @classmethod
    def at(cls, folder: Path) -> Workspace:
        """The workspace in a folder that another process has made."""
        found = cls.__new__(cls)
        found.folder = folder
        return found

    @property
    def slabs_done(self) -> int:
        """How many slabs of the probability an earlier run has finished."""
        return int(self._ledger().get("slabs_done", 0))

    def probability(self, classes: int, shape_zyx: ShapeZYX) -> npt.NDArray[np.float16]:
        """The network's output on disk, (C, Z, Y, X) float16, made on first use."""
        array: npt.NDArray[np.float16] = self._array(
            _PROBABILITY, (classes, *shape_zyx), np.dtype(np.float16)
        )
        return array

    def chunked_probability(self, classes: int, shape_zyx: ShapeZYX) -> ChunkedArray:
        """The same in chunks, for volumes that are worked on in blocks."""
        return ChunkedArray.create(
            self.folder / "probability", (classes, *shape_zyx), np.dtype(np.float16)
        )

    def bounded_probability(
        self, classes: int, shape_zyx: ShapeZYX, blocks: Sequence[Region]
    ) -> BoundedArray:
        """The finished probability of a volume that was worked on in blocks."""
        chunks = [-(-n // step) for n, step in zip(shape_zyx, CHUNK_ZYX, strict=True)]
        maxima = np.zeros((classes, *chunks), np.float16)
        for number, core in enumerate(blocks):
            z, y, x = (
                slice(part.start // step, -(-part.stop // step))
                for part, step in zip(core, CHUNK_ZYX, strict=True)
            )
            maxima[:, z, y, x] = self.block_progress(number).maxima
        return BoundedArray(self.chunked_probability(classes, shape_zyx), maxima)

    def labels(self, shape_zyx: ShapeZYX) -> npt.NDArray[np.uint32]:
        """Scratch space on disk for labels, (Z, Y, X) uint32, all zero."""
        return self._scratch(_LABELS, shape_zyx)

    def pieces(self, shape_zyx: ShapeZYX) -> npt.NDArray[np.uint32]:
        """The same for parts of cells, where they lie on a finer lattice than the labels."""
        return self._scratch(_PIECES, shape_zyx)

    def _scratch(self, name: str, shape_zyx: ShapeZYX) -> npt.NDArray[np.uint32]:
        (self.folder / name).unlink(missing_ok=True)
        array: npt.NDArray[np.uint32] = self._array(name, shape_zyx, np.dtype(np.uint32))
        return array

    def cells_folder(self, key: str) -> Path:
        """Where results of telling cells apart stand until the run has ended."""
        return self.folder / f"cells-{key}"

    def cell_store(self, key: str, shape_zyx: ShapeZYX, pieces_zyx: ShapeZYX) -> CellStore:
        """Where the cells of a large volume are told apart, as an interrupted run left it.

        Parameters
        ----------
        key
            `fingerprint` of everything that decides the cells beside the probability.
        shape_zyx, pieces_zyx
            Of the results, and of the lattice on which cells are told apart.
        """
        folder = self.cells_folder(key)
        pieces, labels = (
            ChunkedArray.create(folder / name, shape, np.dtype(np.uint32))
            for name, shape in (("pieces", pieces_zyx), ("labels", shape_zyx))
        )
        return CellStore(pieces, labels, KeptBlocks(folder / "found"))

    def slab_finished(self, count: int, probability: npt.NDArray[np.float16]) -> None:
        """Note that the first `count` slabs stand on disk."""
        if isinstance(probability, np.memmap):
            probability.flush()
        self._note(slabs_done=count)

    def block_progress(self, number: int) -> BlockProgress:
        """How far a block of the probability has come."""
        found = _read_json(self.folder / _BLOCKS / f"{number}.json")
        try:
            maxima = np.asarray(found["maxima"], np.float16)
            return BlockProgress(int(found["planes"]), maxima)
        except (KeyError, TypeError, ValueError):
            return BlockProgress(0, np.zeros((0, 0, 0, 0), np.float16))

    def block_advanced(self, number: int, progress: BlockProgress) -> None:
        """Note that the first planes of a block stand on disk."""
        content = {"planes": progress.planes, "maxima": progress.maxima.tolist()}
        write_text_atomic(self.folder / _BLOCKS / f"{number}.json", json.dumps(content))

    def remembered(self, key: str) -> Any:  # noqa: ANN401 - whatever JSON holds
        """A value kept by `remember`, or None."""
        return self._ledger().get(key)

    def remember(self, **values: object) -> None:
        """Keep choices that must not change when the run is resumed."""
        self._note(**values)

    def remove(self) -> None:
        """Delete the workspace; the parent too when nothing else is under way in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        remove_if_empty(self.folder.parent)

    def _array(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:  # noqa: ANN401
        path = self.folder / name
        if path.exists():
            array = np.lib.format.open_memmap(path, mode="r+")
            if array.shape == shape and array.dtype == dtype:
                return array
            self._note(slabs_done=0)
        return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)

    def _ledger(self) -> dict[str, Any]:
        return _read_json(self.folder / _LEDGER)

    def _note(self, **values: object) -> None:
        text = json.dumps({**self._ledger(), **values}, default=str)
        write_text_atomic(self.folder / _LEDGER, text)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def remove_if_empty(folder: Path) -> None:
    """Delete a folder unless it holds something."""
    try:
        folder.rmdir()
    except OSError:
        return
