"""How a person writes the diameter of a cell."""

from __future__ import annotations

import re
from typing import Any

from cellseg_app.core.errors import SettingsError


def parse_diameter(text: str) -> dict[str, Any]:
    """Return the fields of `CellSizeSettings` for 12um, 14px, a bare number (µm), auto or none.

    Raises
    ------
    SettingsError
        It is written otherwise.
    """
    word = text.strip().lower()
    if word == "auto":
        return {"diameter": "auto"}
    if word == "none":
        return {"diameter": None}
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*(um|µm|μm|px)?", word)
    if match is None or float(match[1]) <= 0:
        raise SettingsError(
            f"--diameter cannot be {text!r}.", "Write it as 12um, 14px, auto or none."
        )
    return {"diameter": float(match[1]), "diameter_unit": "px" if match[2] == "px" else "um"}
