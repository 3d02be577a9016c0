"""What was found in each block, on disk: a run that is taken up again does not look there again."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from cellseg_app.atomic import atomic_path
from cellseg_app.core.blocks import Region, region_origin

Arrays = Mapping[str, npt.NDArray[Any]]


class Packable(Protocol):
    """What can be taken apart into arrays and put together again."""

    def arrays(self) -> dict[str, npt.NDArray[Any]]: ...


Kept = TypeVar("Kept", bound=Packable)


@dataclass(frozen=True, slots=True)
class KeptBlocks:
    """A folder of results, one file per stage and block.

    Attributes
    ----------
    folder
        Belongs to one set of choices: whatever changes a result must change the folder.
    """

    folder: Path

    def keeping(
        self,
        stage: str,
        work: Callable[[Region], Kept],
        unpacked: Callable[[Arrays], Kept],
    ) -> Callable[[Region], Kept]:
        """The same work, but done once per block, whoever asks.

        Parameters
        ----------
        stage
            Tells the results of different work apart.
        work
            What to do for a block; its other effects must be on disk when it returns.
        unpacked
            Puts a result together again.
        """
        folder = self.folder / stage

        def once(core: Region) -> Kept:
            path = folder / ("_".join(map(str, region_origin(core))) + ".npz")
            known = _read(path)
            if known is not None:
                return unpacked(known)
            result = work(core)
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **result.arrays())
            return result

        return once


def _read(path: Path) -> Arrays | None:
    if not os.path.exists(path):
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            return dict(stored)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def part_of(arrays: Arrays, prefix: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays whose names begin with a prefix, without it."""
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def prefixed(prefix: str, arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
    """The opposite of `part_of`."""
    return {prefix + name: array for name, array in arrays.items()}
