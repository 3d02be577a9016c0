"""What a TIFF says about its voxel size: ImageJ's description, OME-XML, LSM, resolution tags."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import tifffile

from cellseg_app.io.lengths import StatedVoxelSize, um_per_unit

_UM_PER_RESOLUTION_UNIT = {2: 25400.0, 3: 10000.0, 4: 1000.0, 5: 1.0}
_SCREEN_DPI = (72, 75, 90, 96, 100, 120, 144, 150, 180, 200, 240, 300, 350, 360, 400, 600, 1200)


def stated_voxel_size(tif: tifffile.TiffFile, series_index: int) -> StatedVoxelSize:
    """Read the voxel size of one image of a TIFF, from the richest metadata there is.

    Sources: ImageJ's ``spacing``, ``unit``, ``yunit``, ``zunit`` with the X and Y resolution tags
    in pixels per unit (ImageJ's `TiffEncoder`); ``PhysicalSizeX/Y/Z`` of OME-XML (2016-06
    schema, default unit µm); Zeiss LSM voxel sizes in metres; TIFF 6.0 resolution tags.
    """
    page = tif.pages.first
    if tif.is_ome and tif.ome_metadata:
        return _from_ome(tif.ome_metadata, series_index)
    if tif.is_imagej and tif.imagej_metadata:
        return _from_imagej(tif.imagej_metadata, page)
    if tif.is_lsm and tif.lsm_metadata:
        metres = [tif.lsm_metadata.get(f"VoxelSize{axis}") for axis in "ZYX"]
        z, y, x = (None if m is None else float(m) * 1e6 for m in metres)
        return StatedVoxelSize((z, y, x))
    shaped = tif.shaped_metadata
    if shaped and shaped[0].get("unit"):
        return _from_imagej(shaped[0], page)
    return _from_tags(page)


def _from_imagej(stated: Mapping[str, Any], page: tifffile.TiffPage) -> StatedVoxelSize:
    unit = stated.get("unit")
    if unit is None:
        return _from_tags(page)
    units = {
        "X": str(unit),
        "Y": str(stated.get("yunit", unit)),
        "Z": str(stated.get("zunit", unit)),
    }
    # ImageJ leaves the plane distance of a stack out when it is 1.
    spacing = stated.get("spacing", 1.0 if _number(stated.get("images", 1)) != 1 else None)
    lengths = {
        "X": _units_per_pixel(page, "XResolution"),
        "Y": _units_per_pixel(page, "YResolution"),
        "Z": _number(spacing),
    }
    um: dict[str, float | None] = {}
    for axis in "XYZ":
        factor, length = um_per_unit(units[axis]), lengths[axis]
        um[axis] = None if factor is None or length is None else length * factor
    unknown = sorted({u for u in units.values() if um_per_unit(u) is None})
    notes = tuple(f"The file gives lengths in {u!r}, which is no known length." for u in unknown)
    return StatedVoxelSize((um["Z"], um["Y"], um["X"]), notes)


def _from_ome(xml: str, series_index: int) -> StatedVoxelSize:
    attributes = _pixels_attributes(xml, series_index)
    um: list[float | None] = []
    notes = []
    for axis in "ZYX":
        size = _number(attributes.get(f"PhysicalSize{axis}"))
        unit = attributes.get(f"PhysicalSize{axis}Unit", "µm")
        factor = um_per_unit(unit)
        if size is not None and factor is None:
            notes.append(f"The file gives the {axis} size in {unit!r}, which is no known length.")
        um.append(None if size is None or factor is None else size * factor)
    z, y, x = um
    return StatedVoxelSize((z, y, x), tuple(notes))


def _pixels_attributes(xml: str, index: int) -> dict[str, str]:
    """Attributes of the Pixels element number `index`, or of the only one."""
    found: dict[str, str] = {}
    seen = -1
    try:
        for _, element in ElementTree.iterparse(io.BytesIO(xml.encode()), events=("start",)):
            if element.tag.rpartition("}")[2] == "Pixels":
                seen += 1
                if seen == 0 or seen == index:
                    found = dict(element.attrib)
                if seen >= index:
                    break
    except ElementTree.ParseError:
        return found
    return found


def _from_tags(page: tifffile.TiffPage) -> StatedVoxelSize:
    tag = page.tags.get("ResolutionUnit")
    um_per = _UM_PER_RESOLUTION_UNIT.get(0 if tag is None else int(tag.value))
    y, x = (_units_per_pixel(page, name) for name in ("YResolution", "XResolution"))
    if um_per is None or y is None or x is None:
        return StatedVoxelSize()
    dpi = 25400.0 / (x * um_per) if x > 0 else math.nan
    if any(abs(dpi - usual) < 0.01 * usual for usual in _SCREEN_DPI):
        note = f"The file's resolution, {dpi:.0f} dots per inch, is one for screens or paper."
        return StatedVoxelSize(notes=(f"{note[:-1]}: ignored.",))
    return StatedVoxelSize((None, y * um_per, x * um_per))


def _units_per_pixel(page: tifffile.TiffPage, name: str) -> float | None:
    tag = page.tags.get(name)
    if tag is None:
        return None
    try:
        pixels, units = tag.value
        return float(units) / float(pixels) if pixels else math.inf
    except (TypeError, ValueError):
        return None


def _number(value: object) -> float | None:
    try:
        return None if value is None else float(str(value))
    except ValueError:
        return math.nan
