"""What the graphics card is given: textures and the surface of a cell; off the GUI thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from vispy.geometry import MeshData

from cellseg_app.core.blocks import region_origin
from cellseg_app.core.volume import ShapeZYX, SpacingZYX
from cellseg_app.state.display import Change
from cellseg_app.viewers.colors import LabelColors
from cellseg_app.viewers.overview import Overview

_COLOR_AT_ONCE = 1 << 22
# Counted in one byte.
_MOST_MESHES = 255
# Where the processor draws, more would stop the window.
_MOST_FACES = 100_000
# Voxels (Z, Y, X) of a texture, after the place of the first of them in it.
Block = tuple[ShapeZYX, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class VolumeTexture:
    """A volume as the card takes it.

    Attributes
    ----------
    data
        Axes Z, Y, X; uint8, uint16 or float32.
    voxel_um_zyx, first_um_zyx
        Size of its voxels, and centre of the first.
    factor
        What intensities of the layer were multiplied with.
    """

    data: npt.NDArray[Any]
    voxel_um_zyx: SpacingZYX
    first_um_zyx: SpacingZYX
    factor: float = 1.0

    def clims(self, clims: tuple[float, float] | None) -> tuple[float, float]:
        """Contrast limits of the layer as those of the texture, never equal to each other."""
        if clims is None:
            low, high = float(self.data.min()), float(self.data.max())
        else:
            low, high = clims[0] * self.factor, clims[1] * self.factor
        return (low, high) if high > low else (low, low + 1e-6 + abs(low) * 1e-6)

    def normalized(self, value: float) -> float:
        """An intensity of the texture as the shader sees it."""
        if self.data.dtype.kind == "u":
            return value / float(np.iinfo(self.data.dtype).max)
        return value


@dataclass(frozen=True, slots=True, eq=False)
class CellMesh:
    """Surfaces of cells.

    Attributes
    ----------
    vertices_um_xyz, faces
        Corners (n, 3), and the three corners of each triangle (m, 3).
    """

    vertices_um_xyz: npt.NDArray[np.float32]
    faces: npt.NDArray[np.uint32]

    def lit(self) -> MeshData:
        """The surfaces as vispy takes them, with normals, which take it long for many cells."""
        data = MeshData(self.vertices_um_xyz, self.faces)
        data.get_vertices(indexed="faces")
        data.get_vertex_normals(indexed="faces")
        return data


def make_texture(overview: Overview, colors: LabelColors) -> VolumeTexture:
    """The texture of an overview; of labels, the colour numbers."""
    layer, data, factor = overview.layer, overview.data, 1.0
    if layer.kind == "labels":
        data = _color_numbers(data, colors)
    elif layer.kind == "probability" and data.dtype.kind == "f":
        factor = 255.0
        data = np.clip(data * np.float32(255), 0, 255).astype(np.uint8)
    elif data.dtype not in (np.uint8, np.uint16):
        data = data.astype(np.float32, copy=False)
    voxel = [s * n for s, n in zip(layer.scale_zyx, overview.step_zyx, strict=True)]
    first = [o * s + v / 2 for o, s, v in zip(layer.origin_zyx, layer.scale_zyx, voxel,
                                              strict=True)]  # fmt: skip
    return VolumeTexture(
        np.ascontiguousarray(data),
        (voxel[0], voxel[1], voxel[2]),
        (first[0], first[1], first[2]),
        factor,
    )


def slabs(data: npt.NDArray[Any], first_zyx: ShapeZYX, n_bytes: int) -> Iterator[Block]:
    """Voxels of a texture in some planes at a time; `first_zyx` is where they begin in it."""
    planes = max(1, n_bytes // max(1, data[:1].nbytes))
    z, y, x = first_zyx
    for low in range(0, len(data), planes):
        yield (z + low, y, x), data[low : low + planes]


def changed_blocks(
    overview: Overview, change: Change, colors: LabelColors, n_bytes: int
) -> Iterator[Block]:
    """The parts of the texture of labels that a change concerns."""
    for box in change.boxes:
        yield from slabs(_color_numbers(overview.data[box], colors), region_origin(box), n_bytes)


def cells_mesh(overview: Overview, label_ids: Sequence[int]) -> CellMesh | None:
    """Surfaces of cells at the overview's resolution; None if they are not there.

    Of very many cells only the first are drawn: 255, or fewer if they are large.
    """
    # Slow to load; nobody should wait for it before the first cell is chosen.
    from scipy import ndimage

    ids = np.sort(np.asarray(label_ids[:_MOST_MESHES]))
    inside = np.isin(overview.data, ids)
    numbers = np.zeros(inside.shape, np.uint8)
    numbers[inside] = 1 + np.searchsorted(ids, overview.data[inside])
    vertices, faces, n, n_faces = [], [], 0, 0
    for number, found in enumerate(ndimage.find_objects(numbers), start=1):
        if found is not None and n_faces < _MOST_FACES:
            corners, triangles = _surface(numbers[found] == number, found, overview)
            vertices.append(corners)
            faces.append(triangles + np.uint32(n))
            n += len(corners)
            n_faces += len(triangles)
    return CellMesh(np.concatenate(vertices), np.concatenate(faces)) if n else None


def _surface(
    inside: npt.NDArray[np.bool_], found: tuple[slice, ...], overview: Overview
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint32]]:
    from scipy import ndimage
    from skimage.measure import marching_cubes

    # Padded, so that cells at the border are closed; smoothed, so that steps are not seen.
    solid = np.pad(inside.astype(np.float32), 2)
    solid = ndimage.gaussian_filter(solid, 0.6)
    layer = overview.layer
    spacing = np.multiply(layer.scale_zyx, overview.step_zyx)
    if solid.max() <= 0.5:
        solid /= solid.max()
    vertices, faces, _, _ = marching_cubes(solid, 0.5, spacing=tuple(spacing))
    corner = (np.array([s.start for s in found]) - 2 + 0.5) * spacing
    corner += np.multiply(layer.origin_zyx, layer.scale_zyx)
    return (vertices + corner)[:, ::-1].astype(np.float32), faces.astype(np.uint32)


def _color_numbers(labels: npt.NDArray[Any], colors: LabelColors) -> npt.NDArray[np.uint8]:
    out = np.empty(labels.shape, np.uint8)
    planes = max(1, _COLOR_AT_ONCE // max(1, labels.shape[1] * labels.shape[2]))
    for first in range(0, len(labels), planes):
        out[first : first + planes] = colors.index(labels[first : first + planes])
    return out
