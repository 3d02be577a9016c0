"""A volume that other processes open for themselves."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_app.core.settings import DataSettings
from cellseg_app.core.sources import absolute, as_source
from cellseg_app.core.volume import LazyArray
from cellseg_app.io.open import open_volume


class SharedArray:
    """The voxels of a file (Z, Y, X); pickled, it is the file's name and the choices made for it.

    Parameters
    ----------
    source, settings
        As for `open_volume`; the file must be reachable by this name wherever it is unpickled.
    data
        The voxels, as opened here.
    allow_2d
        As for `open_volume`.
    """

    def __init__(
        self, source: Path, settings: DataSettings, data: LazyArray, *, allow_2d: bool = False
    ) -> None:
        self._source, self._settings, self._data = as_source(absolute(source)), settings, data
        self._allow_2d = allow_2d
        self.shape: tuple[int, ...] = tuple(data.shape)
        self.dtype: np.dtype[Any] = data.dtype
        self.ndim = data.ndim

    def __getitem__(self, key: tuple[slice, ...], /) -> npt.NDArray[Any]:
        return self._data[key]

    def __reduce__(self) -> tuple[object, tuple[Path, str, bool]]:
        return _opened, (self._source, self._settings.model_dump_json(), self._allow_2d)


@lru_cache(maxsize=4)
def _opened(source: Path, settings_json: str, allow_2d: bool) -> SharedArray:
    settings = DataSettings.model_validate_json(settings_json)
    data = open_volume(source, settings, allow_2d=allow_2d).data
    return SharedArray(source, settings, data, allow_2d=allow_2d)
