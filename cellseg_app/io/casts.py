"""Voxel types of results: only casts that keep every value."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from cellseg_app.core.errors import OutputError

ImageKind = Literal["probability", "labels", "image"]


# What a probability of one is where it is stored in bytes.
BYTE_ONE: Final = 255


def probability_bytes(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Probabilities as whole numbers from 0 to `BYTE_ONE`."""
    scaled = np.rint(np.asarray(values, np.float32) * BYTE_ONE)
    whole: npt.NDArray[np.uint8] = np.clip(scaled, 0, BYTE_ONE).astype(np.uint8)
    return whole


def cast_exactly(
    values: npt.NDArray[Any], dtype: np.dtype[Any], kind: ImageKind, *, path: Path
) -> npt.NDArray[Any]:
    """The values as `dtype`, or an error if one would change.

    Floating-point images may be rounded to the precision of a narrower floating type; labels
    never change.

    Raises
    ------
    OutputError
        If a value does not fit; `path` names the result.
    """
    if values.dtype == dtype:
        return values
    if kind == "labels" and (values.dtype.kind not in "bui" or dtype.kind not in "ui"):
        msg = f"labels are integers, not {values.dtype} stored as {dtype}"
        raise TypeError(msg)
    if np.can_cast(values.dtype, dtype, "safe") or values.size == 0:
        return values.astype(dtype)
    if values.dtype.kind == "f" and dtype.kind == "f":
        cast = _narrowed(values, dtype)
        if cast is not None:
            return cast
    elif dtype.kind in "ui" and values.dtype.kind in "ui":
        limits = np.iinfo(dtype)
        if limits.min <= int(values.min()) and int(values.max()) <= limits.max:
            return values.astype(dtype)
    elif dtype.kind == "f" and values.dtype.kind in "ui":
        cast = values.astype(dtype)
        if np.array_equal(cast.astype(np.float64), values.astype(np.float64)):
            return cast
    raise _lossy(values, dtype, kind, path)


def _narrowed(values: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any] | None:
    with np.errstate(over="ignore"):
        cast = values.astype(dtype)
    return None if np.any(np.isinf(cast) & np.isfinite(values)) else cast


def _lossy(
    values: npt.NDArray[Any], dtype: np.dtype[Any], kind: ImageKind, path: Path
) -> OutputError:
    if kind == "labels":
        return OutputError(
            f"Label {int(values.max())} does not fit into {dtype}, which ends at "
            f"{np.iinfo(dtype).max}.",
            "Write the labels as uint32." if dtype.itemsize < 4 else "Write them as OME-Zarr.",
            path=path,
        )
    return OutputError(
        f"Values of type {values.dtype} do not fit into {dtype} unchanged.",
        "Choose a wider voxel type.",
        path=path,
    )
