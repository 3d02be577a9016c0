"""How an OME-Zarr is laid out: its levels, their chunks and shards, and the metadata of all."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any, Final

from cellseg_app.core.settings import OmeVersion
from cellseg_app.core.volume import SpacingZYX
from cellseg_app.io.casts import BYTE_ONE, ImageKind

Block = tuple[slice, ...]

_CHUNK_VOXELS: Final = 2**21
_MOST_PLANES: Final = 32
_SMALLEST_TOP: Final = 256
# From here on chunks are smaller, for looking at, and many of them share a file.
_SHARDED_FROM_VOXELS: Final = 2**28
_SHARDED_CHUNK_EDGE: Final = 128
# What is written at a time, and what shares a file: some tens of megabytes.
_BLOCK_ZYX: Final = (64, 512, 512)


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution of an image.

    Attributes
    ----------
    shape
        (Z, Y, X) or (C, Z, Y, X).
    step_zyx
        How many voxels of the level before one voxel stands for.
    factor_zyx
        How many of the finest level.
    chunks, shards
        What is compressed together, and what shares a file; None for a file per chunk.
    """

    shape: tuple[int, ...]
    step_zyx: tuple[int, int, int]
    factor_zyx: tuple[float, float, float]
    chunks: tuple[int, ...]
    shards: tuple[int, ...] | None

    def blocks(self) -> list[Block]:
        """What is written at a time, in order: whole files, of one class."""
        unit = self.shards or self.chunks
        lead, sizes = len(unit) - 3, self.shape
        target = [step * max(1, n // step) for step, n in zip(unit[-3:], _BLOCK_ZYX, strict=True)]
        steps = [*(1 for _ in range(lead)), *target]
        axes = [
            [slice(start, min(start + step, size)) for start in range(0, size, step)]
            for size, step in zip(sizes, steps, strict=True)
        ]
        return list(itertools.product(*axes))


def levels_of(
    shape: tuple[int, ...], spacing_um_zyx: SpacingZYX | None, version: OmeVersion
) -> list[Level]:
    """Every level of an image, the finest first."""
    levels = [_level(shape, (1, 1, 1), (1.0, 1.0, 1.0), version)]
    while max(levels[-1].shape[-3:]) > (_SMALLEST_TOP if len(levels) > 1 else 1):
        fine = levels[-1]
        step = _step(fine.shape[-3:], spacing_um_zyx, fine.factor_zyx)
        coarse = [-(-n // s) for n, s in zip(fine.shape[-3:], step, strict=True)]
        z, y, x = (f * s for f, s in zip(fine.factor_zyx, step, strict=True))
        levels.append(_level((*shape[:-3], *coarse), step, (z, y, x), version))
    return levels


def _level(
    shape: tuple[int, ...],
    step: tuple[int, int, int],
    factor: tuple[float, float, float],
    version: OmeVersion,
) -> Level:
    """Chunks of about two million voxels; smaller ones in shards where there are very many."""
    z, y, x = (max(1, n) for n in shape[-3:])
    lead = tuple(1 for _ in shape[:-3])
    planes = min(z, _MOST_PLANES)
    if version == "0.5" and math.prod(shape[-3:]) >= _SHARDED_FROM_VOXELS:
        edge = _SHARDED_CHUNK_EDGE
        chunks = (planes, edge, edge)
        shards = tuple(
            chunk * max(1, min(most // chunk, -(-n // chunk)))
            for chunk, most, n in zip(chunks, _BLOCK_ZYX, (z, y, x), strict=True)
        )
        return Level(shape, step, factor, (*lead, *chunks), (*lead, *shards))
    edge = max(64, 2 ** round(math.log2(math.sqrt(_CHUNK_VOXELS / planes))))
    return Level(shape, step, factor, (*lead, planes, min(y, edge), min(x, edge)), None)


def _step(
    shape_zyx: tuple[int, ...], spacing: SpacingZYX | None, factor: tuple[float, float, float]
) -> tuple[int, int, int]:
    """2 along Y and X, and along Z unless its voxel edge is already the longer one by far."""
    z_um, y_um, x_um = (f * um for f, um in zip(factor, spacing or (1.0,) * 3, strict=True))
    halve_z = z_um < 1.5 * max(y_um, x_um) or max(shape_zyx[1:]) == 1
    z, y, x = (2 if n > 1 else 1 for n in shape_zyx)
    return (z if halve_z else 1), y, x


def image_metadata(
    levels: list[Level],
    spacing_um_zyx: SpacingZYX | None,
    *,
    kind: ImageKind,
    in_bytes: bool,
    version: OmeVersion,
) -> dict[str, Any]:
    """The OME metadata of an image; whoever names the image adds its name.

    Parameters
    ----------
    levels, spacing_um_zyx
        See `levels_of`; without voxel size the scale is in voxels and has no unit.
    kind
        Coarser levels are means of images, and nearest voxels of labels.
    in_bytes
        Whether a probability is stored as 0 to 255.
    version
        Of OME-Zarr.
    """
    axes = "czyx"[-len(levels[0].shape) :]
    image: dict[str, Any] = {
        "axes": [_axis(name, spacing_um_zyx is not None) for name in axes],
        "datasets": [
            {
                "path": str(number),
                "coordinateTransformations": _transformations(level, spacing_um_zyx, kind),
            }
            for number, level in enumerate(levels)
        ],
        "type": "nearest" if kind == "labels" else "mean",
    }
    if in_bytes:
        image["metadata"] = {"probability_one": BYTE_ONE}
    own_version = {} if version == "0.5" else {"version": version}
    ome: dict[str, Any] = {"multiscales": [{**own_version, **image}]}
    if kind == "labels":
        ome["image-label"] = own_version
    return ome


def _transformations(
    level: Level, spacing: SpacingZYX | None, kind: ImageKind
) -> list[dict[str, Any]]:
    lead, um_zyx = len(level.shape) - 3, spacing or (1.0, 1.0, 1.0)
    edges = [f * um for f, um in zip(level.factor_zyx, um_zyx, strict=True)]
    transformations: list[dict[str, Any]] = [{"type": "scale", "scale": [1.0] * lead + edges}]
    if kind != "labels" and max(level.factor_zyx) > 1:
        # The middle of a mean of n voxels lies (n - 1) / 2 voxels behind that of the first.
        shift = [(f - 1) / 2 * um for f, um in zip(level.factor_zyx, um_zyx, strict=True)]
        transformations.append({"type": "translation", "translation": [0.0] * lead + shift})
    return transformations


def _axis(name: str, has_unit: bool) -> dict[str, str]:
    if name == "c":
        return {"name": "c", "type": "channel"}
    axis = {"name": name, "type": "space"}
    return {**axis, "unit": "micrometer"} if has_unit else axis
