"""Windows of a part of a volume: what a block needs to come out as in the whole, to the last bit.

A block takes every window of the volume that reaches into it, with the weights it has there. The
windows that two blocks share run twice: with edge w, step s and blocks of b voxels, an axis has
about (b + w) / b times as many windows as without blocks.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

from cellseg_app.core.blocks import Region, region_origin
from cellseg_app.core.volume import ShapeZYX
from cellseg_app.inference.windows import AxisWindows, WindowGrid

_FLOAT_BYTES = 4


def block_grid(grid: WindowGrid, core: Region) -> WindowGrid:
    """The windows of `grid` that reach into a block, counted from the block's first voxel.

    Every voxel of the block is the same weighted sum in the same order as in the whole grid.
    """
    z, y, x = (_axis_of_block(axis, part) for axis, part in zip(grid.axes, core, strict=True))
    return replace(grid, axes=(z, y, x), origin_zyx=region_origin(core))


def _axis_of_block(axis: AxisWindows, part: slice) -> AxisWindows:
    reaching = [
        number
        for number, start in enumerate(axis.starts)
        if start < part.stop and start + axis.window > part.start
    ]
    return AxisWindows(
        size=part.stop - part.start,
        window=axis.window,
        starts=tuple(axis.starts[number] - part.start for number in reaching),
        weights=axis.weights[reaching],
    )


def network_blocks(
    grid: WindowGrid, chunk_zyx: ShapeZYX, *, classes: int, layer_bytes: int
) -> list[Region]:
    """Cut a volume into blocks that begin and end with chunks, in Z, Y, X order.

    Parameters
    ----------
    grid
        The windows of the whole volume.
    chunk_zyx
        No chunk belongs to two blocks, so that blocks can be written beside each other.
    classes
        Of the network.
    layer_bytes
        What stitching one layer of windows of a block may take. Blocks are cut along Y and X only
        as far as this asks for, and are as deep as the volume.
    """
    (_, y_size, x_size), (depth, _, _) = grid.shape_zyx, grid.window_zyx
    plane = depth * classes * _FLOAT_BYTES
    n_y = n_x = 1
    while plane * -(-y_size // n_y) * -(-x_size // n_x) > layer_bytes:
        if y_size / n_y >= x_size / n_x:
            n_y += 1
        else:
            n_x += 1
        if n_y * n_x > math.ceil(y_size / chunk_zyx[1]) * math.ceil(x_size / chunk_zyx[2]):
            break
    parts = [
        _cut(size, n, chunk)
        for size, n, chunk in zip(grid.shape_zyx, (1, n_y, n_x), chunk_zyx, strict=True)
    ]
    return [(z, y, x) for z, y, x in itertools.product(*parts)]


def _cut(size: int, n: int, chunk: int) -> list[slice]:
    """About `n` parts of nearly equal length that begin with a chunk."""
    chunks = -(-size // chunk)
    n = max(1, min(n, chunks))
    ends = [min(size, chunk * round(k * chunks / n)) for k in range(n + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(ends)]
