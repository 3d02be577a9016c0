"""Length units as microscope files spell them, and what passes as a voxel size."""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass

from cellseg_app.core.volume import SpacingZYX

SMALLEST_UM = 1e-3
LARGEST_UM = 1e3

_ESCAPE = re.compile(r"\\+u([0-9a-fA-F]{4})")
_METRES = {
    "m": 1.0,
    "dm": 1e-1,
    "cm": 1e-2,
    "mm": 1e-3,
    "um": 1e-6,
    "nm": 1e-9,
    "pm": 1e-12,
    "km": 1e3,
    "in": 0.0254,
    "ft": 0.3048,
    "yd": 0.9144,
    "mi": 1609.344,
    "thou": 2.54e-5,
    "pt": 0.0254 / 72,
    "li": 0.0254 / 12,
    "Å": 1e-10,
    "A": 1e-10,
}
_PREFIXES = {
    "": 1.0,
    "deci": 1e-1,
    "centi": 1e-2,
    "milli": 1e-3,
    "micro": 1e-6,
    "nano": 1e-9,
    "pico": 1e-12,
    "kilo": 1e3,
}
_WORDS = {
    "micron": 1e-6,
    "angstrom": 1e-10,
    "inch": 0.0254,
    "inche": 0.0254,
    "foot": 0.3048,
    "yard": 0.9144,
    "mil": 2.54e-5,
    '"': 0.0254,
    **{f"{prefix}meter": factor for prefix, factor in _PREFIXES.items()},
    **{f"{prefix}metre": factor for prefix, factor in _PREFIXES.items()},
}


def um_per_unit(unit: str) -> float | None:
    r"""Length of a unit in µm; None for what is no length, such as "pixel".

    Knows the symbols of OME (``nm``, ``Å``, ``in``), the words of OME-Zarr (``micrometer``) and
    what ImageJ writes: ``micron``, ``um``, ``µm`` with either of the two Unicode micro signs,
    the escaped ``\u00B5m``, and ``Âµm`` (UTF-8 read as Latin-1).
    """
    text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), unit).replace("Âµ", "µ").strip()
    text = unicodedata.normalize("NFKC", text).replace("μ", "u")
    metres = _METRES.get(text)
    if metres is None:
        metres = _WORDS.get(text.casefold().removesuffix("s"))
    return None if metres is None else metres * 1e6


@dataclass(frozen=True, slots=True)
class StatedVoxelSize:
    """What a file says about its voxel size, before it is judged.

    Attributes
    ----------
    um_zyx
        Edge along Z, Y, X in µm as the file has it, right or wrong; None where it says nothing.
    notes
        Sentences on what was found odd while reading it.
    """

    um_zyx: tuple[float | None, float | None, float | None] = (None, None, None)
    notes: tuple[str, ...] = ()


def judge(stated: StatedVoxelSize) -> tuple[SpacingZYX | None, tuple[str, ...]]:
    """The voxel size if the file states all three edges plausibly, and notes on what is wrong.

    Nothing is ever filled in: an incomplete or absurd size is no size.
    """
    missing = [axis for axis, um in zip("ZYX", stated.um_zyx, strict=True) if um is None]
    absurd = [
        f"{um:g} µm along {axis}"
        for axis, um in zip("ZYX", stated.um_zyx, strict=True)
        if um is not None and not is_plausible(um)
    ]
    notes = list(stated.notes)
    if absurd:
        notes.append(f"The file's voxel size is not believable ({', '.join(absurd)}): ignored.")
    elif missing and len(missing) < 3:
        known = [f"{axis} {um:g}" for axis, um in zip("ZYX", stated.um_zyx, strict=True) if um]
        notes.append(
            f"The file states the voxel size only along {', '.join(known)} µm, "
            f"not along {', '.join(missing)}: ignored."
        )
    elif missing and not notes:
        notes.append("The file states no voxel size.")
    z, y, x = stated.um_zyx
    if absurd or z is None or y is None or x is None:
        return None, tuple(notes)
    return (z, y, x), tuple(notes)


def is_plausible(um: float) -> bool:
    """Whether a voxel edge lies between 1 nm and 1 mm."""
    return math.isfinite(um) and SMALLEST_UM <= um <= LARGEST_UM
