"""A bounded look at a volume: cubes spread over it in an order that never changes."""

from __future__ import annotations

import math
from collections.abc import Iterator

from cellseg_app.core.blocks import Region, block_regions
from cellseg_app.core.volume import ShapeZYX

_GOLDEN = (math.sqrt(5) - 1) / 2


def sample_cubes(shape_zyx: ShapeZYX, *, edge: int = 64, limit: int = 128) -> Iterator[Region]:
    """Yield up to `limit` cubes of a fixed lattice, far apart from each other first.

    The order depends on the shape only, not on the blocks a run uses, so that whatever is decided
    from the first cubes is decided the same way on every machine.

    Parameters
    ----------
    shape_zyx
        Shape of the volume.
    edge
        Edge of the cubes in voxels; those at the end of an axis may be smaller.
    limit
        How many cubes at most.
    """
    cubes = block_regions(shape_zyx, (edge, edge, edge))
    stride = _coprime_stride(len(cubes))
    for k in range(min(limit, len(cubes))):
        yield cubes[(len(cubes) // 2 + k * stride) % len(cubes)]


def _coprime_stride(n: int) -> int:
    """A step near n / golden ratio that visits every one of n places before it repeats."""
    stride = max(1, round(n * _GOLDEN))
    while math.gcd(stride, n) != 1:
        stride += 1
    return stride
