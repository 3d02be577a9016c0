"""An OME-Zarr of any size from a few chunks: every chunk is a hard link to one of them.

A volume of 2048³ voxels takes some tens of megabytes. Programs see an ordinary OME-Zarr with
a pyramid; nothing of ours has to know that it is made up.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_app.io.zarr_arrays import HAS_ZARR_3, create_array, write_group
from tests.simulated_volume import crowded_volume, exposed

CHUNK = 128
_TILE = 256
_LEVELS = 4
_NOISES = 4
Chunk = tuple[int, int, int]


def write_virtual_volume(path: Path, edge: int, *, tissue: float = 0.05) -> int:
    """Write a volume (edge, edge, edge), uint16, of noise with a ball of crowded cells in it.

    Parameters
    ----------
    path
        The folder to be made, `….zarr`.
    edge
        A multiple of 128.
    tissue
        Share of the volume, in the middle of it, that is filled with cells.

    Returns
    -------
    How many chunks hold cells.
    """
    n = edge // CHUNK
    image, _ = crowded_volume(_TILE)
    noise = np.zeros((_NOISES * CHUNK, CHUNK, CHUNK), np.float32)
    # Where there is no tissue there is less light, and so less noise.
    levels = [(image, exposed(noise, np.random.default_rng(1), noise_counts=15))]
    for _ in range(1, _LEVELS):
        levels.append((_halved(levels[-1][0]), _halved(levels[-1][1])))
    path.mkdir(parents=True)
    filled = set(_ball(n, tissue))
    for level, (cells, empty) in enumerate(levels):
        _write_level(path, level, n, filled, sources=(cells, empty))
    write_group(path, {"multiscales": [_multiscale()]})
    return len(filled)


def _write_level(
    path: Path,
    level: int,
    n: int,
    filled: set[Chunk],
    *,
    sources: tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint16]],
) -> None:
    step = CHUNK >> level
    tiles = [path.parent / f".{path.name}-{name}{level}" for name in ("cells", "noise")]
    for folder, values in zip(tiles, sources, strict=True):
        _array(folder, values.shape, step)[...] = values
    folder = path / str(level)
    _array(folder, (n * step,) * 3, step)
    per_tile = _TILE // CHUNK
    for chunk in itertools.product(range(n), repeat=3):
        if chunk in filled:
            source = _chunk_path(tiles[0], tuple(i % per_tile for i in chunk))
        else:
            source = _chunk_path(tiles[1], ((chunk[0] + 3 * chunk[1] + chunk[2]) % _NOISES, 0, 0))
        target = _chunk_path(folder, chunk)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, target)


def _array(folder: Path, shape: tuple[int, ...], step: int) -> Any:
    return create_array(folder, shape, chunks=(step,) * 3, dtype=np.dtype(np.uint16), axes="zyx")


def _chunk_path(folder: Path, chunk: tuple[int, ...]) -> Path:
    return (folder / "c" if HAS_ZARR_3 else folder).joinpath(*map(str, chunk))


def _ball(n: int, share: float) -> Iterator[Chunk]:
    """The chunks nearest to the middle, as many as the share asks for."""
    chunks = itertools.product(range(n), repeat=3)
    middle = (n - 1) / 2
    near = sorted(chunks, key=lambda chunk: (sum((i - middle) ** 2 for i in chunk), chunk))
    return iter(near[: max(1, round(share * n**3))])


def _halved(values: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    z, y, x = (size // 2 for size in values.shape)
    mean = values.reshape(z, 2, y, 2, x, 2).mean(axis=(1, 3, 5))
    return np.rint(mean).astype(np.uint16)


def _multiscale() -> dict[str, Any]:
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    datasets = [
        {
            "path": str(level),
            "coordinateTransformations": [{"type": "scale", "scale": [float(2**level)] * 3}],
        }
        for level in range(_LEVELS)
    ]
    return {"axes": axes, "datasets": datasets, "type": "mean"}
