"""Whether an OME-Zarr at an address is still what it was, told without fetching it."""

from __future__ import annotations

import hashlib
import json
import math
from random import Random
from typing import Any, Final

from cellseg_app.core.sources import shown
from cellseg_app.io.addresses import told_of, told_of_all
from cellseg_app.io.axes import StoredImage
from cellseg_app.io.zarr_arrays import ZarrArray, read_json

# So many are all looked at where the place lists them, which takes one request for a thousand.
_MOST_LISTED: Final = 10_000
# Else so many, each of which takes a request.
_SAMPLES: Final = 64


def remote_identity(image: StoredImage) -> str:
    """SHA-256 of an image's metadata and of what its place tells of the files of its voxels.

    That is the tag of the content (ETag), or else size and time of change: of all files where
    there are up to 10,000 and the place lists them; else of 64, always the same, drawn at random.
    A change that touches none of these, or that the place does not tell, is not noticed.

    Parameters
    ----------
    image
        As `read_ome_zarr` has opened it at an address; only its own level is looked at.

    Raises
    ------
    InputError
        The place does not answer.
    """
    assert isinstance(image.array, ZarrArray)
    folder = image.array.folder
    metadata = read_json(folder / "zarr.json") or read_json(folder / ".zarray") or {}
    meaning = [image.kind, image.axes, str(image.size), metadata]
    digest = hashlib.sha256(json.dumps(meaning, sort_keys=True).encode())
    address, chunks = shown(folder), _ChunkFiles(metadata)
    found = told_of_all(address) if chunks.count <= _MOST_LISTED else None
    if found is None:
        names = chunks.some()
        told = list(zip(names, told_of(address, names), strict=True))
    else:
        told = sorted(found.items())
    for name, state in told:
        digest.update(f"{name}\0{state}\0".encode())
    return digest.hexdigest()


class _ChunkFiles:
    """The names of the files in which an array of format 2 or 3 keeps its voxels."""

    def __init__(self, metadata: dict[str, Any]) -> None:
        if metadata.get("zarr_format") == 3:
            # Where chunks share a file, a chunk of the grid is a file.
            size = metadata["chunk_grid"]["configuration"]["chunk_shape"]
            encoding = metadata["chunk_key_encoding"]
            is_default = encoding["name"] == "default"
            self._begin = ["c"] if is_default else []
            usual = "/" if is_default else "."
            self._separator = encoding.get("configuration", {}).get("separator", usual)
        else:
            size, self._begin = metadata["chunks"], []
            self._separator = metadata.get("dimension_separator", ".")
        self._grid = [-(-n // step) for n, step in zip(metadata["shape"], size, strict=True)]
        self.count = math.prod(self._grid)

    def some(self) -> list[str]:
        """The names of a few, always the same; of those there may be, for empty ones are none."""
        drawn = Random(0).sample(range(self.count), min(self.count, _SAMPLES))
        return [self._name(number) for number in sorted(drawn)]

    def _name(self, number: int) -> str:
        place = []
        for n in reversed(self._grid):
            number, index = divmod(number, n)
            place.append(str(index))
        return str(self._separator).join([*self._begin, *reversed(place)])
