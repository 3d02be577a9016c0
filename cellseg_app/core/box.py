"""Boxes as people write them: `z0:z1,y0:y1,x0:x1` in voxels, the end not included."""

from __future__ import annotations

import re
from typing import Final

from cellseg_app.core.blocks import Region
from cellseg_app.core.volume import ShapeZYX

_RANGE: Final = re.compile(r"(\d*):(\d*)", re.ASCII)
_AXES: Final = "ZYX"


def parse_box(text: str) -> str:
    """Return a box in its one way of writing it, such as `0:40,:,100:`.

    Raises
    ------
    ValueError
        The text is no box, or a range holds no voxel.
    """
    parts = re.sub(r"[\s\[\]()]", "", text).split(",")
    found = [_RANGE.fullmatch(part) for part in parts]
    if len(parts) != len(_AXES) or not all(found):
        msg = "a region is three ranges of voxels, Z, Y, X, such as 10:60,0:512,:"
        raise ValueError(msg)
    ranges = []
    for axis, match in zip(_AXES, found, strict=True):
        assert match is not None
        start, stop = (int(number) if number else None for number in match.groups())
        if stop is not None and (start or 0) >= stop:
            msg = f"the range along {axis} ends before it begins"
            raise ValueError(msg)
        ranges.append(f"{_shown(start)}:{_shown(stop)}")
    return ",".join(ranges)


def box_text(region: Region) -> str:
    """A region as a box."""
    return ",".join(f"{part.start}:{part.stop}" for part in region)


def resolve_box(box: str, shape_zyx: ShapeZYX) -> Region | None:
    """The part of a box that lies in a volume, or None where nothing does."""
    parts = []
    for text, size in zip(parse_box(box).split(","), shape_zyx, strict=True):
        start, stop = text.split(":")
        part = slice(int(start or 0), min(int(stop or size), size))
        if part.start >= part.stop:
            return None
        parts.append(part)
    return parts[0], parts[1], parts[2]


def on_other_lattice(region: Region, shape_zyx: ShapeZYX, new_shape_zyx: ShapeZYX) -> Region:
    """The smallest region of another lattice over the same extent that covers a region."""
    z, y, x = (
        slice(int(part.start * new // old), min(new, -(-part.stop * new // old)))
        for part, old, new in zip(region, shape_zyx, new_shape_zyx, strict=True)
    )
    return z, y, x


def _shown(number: int | None) -> str:
    return "" if number is None else str(number)
