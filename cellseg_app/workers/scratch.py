"""Folders for what is kept only as long as it is looked at."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import psutil

from cellseg_app.core.volume import LazyArray

_PREFIX: Final = "cellseg-live-"
_NAME: Final = re.compile(rf"^{_PREFIX}(\d+)-")


def make_scratch_folder() -> Path:
    """A new folder among the system's temporary ones; its name tells whose it is."""
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    folder = make_scratch_folder()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_dead_scratch() -> None:
    """Remove the folders that killed processes left behind."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        match = _NAME.match(folder.name)
        if match and not psutil.pid_exists(int(match[1])):
            shutil.rmtree(folder, ignore_errors=True)


class HeldArray:
    """A lazy array (Z, Y, X) in a scratch folder that goes with the last who looks at it."""

    def __init__(self, data: LazyArray, folder: Path) -> None:
        self._data = data
        self.shape: tuple[int, ...] = tuple(data.shape)
        self.dtype: np.dtype[Any] = data.dtype
        self.ndim = len(self.shape)
        self._finalizer = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)

    def __getitem__(self, key: tuple[slice, ...], /) -> npt.NDArray[Any]:
        return self._data[key]
