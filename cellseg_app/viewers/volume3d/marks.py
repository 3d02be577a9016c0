"""Marks in the 3D scene: frame, crosshair, box of a preview, chosen cells. Lengths in µm, X Y Z."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from vispy import scene
from vispy.geometry import MeshData

from cellseg_app.core.volume import SpacingZYX

_FRAME: Final = (0.55, 0.58, 0.62, 0.7)
_CROSSHAIR: Final = (1.0, 0.84, 0.31, 0.8)
_PREVIEW_BOX: Final = (1.0, 0.62, 0.26, 1.0)
_MESH: Final = (1.0, 1.0, 1.0, 1.0)
# Edges of a box by its corners (x, y, z in binary).
_EDGES: Final = np.array(
    [(a, a | bit) for bit in (1, 2, 4) for a in range(8) if not a & bit], np.uint32
)


class SpaceMarks:
    """What lies over the volumes. Whoever changes it has the canvas drawn anew.

    Frame and crosshair are drawn before there is a volume, of no length: their shaders are
    compiled while nothing is open, not while the first volume is waited for.

    Parameters
    ----------
    parent
        Node of the scene that the marks belong to.
    """

    def __init__(self, parent: Any) -> None:  # noqa: ANN401 - vispy has no types
        self._parent = parent
        self._size_um: SpacingZYX = (1.0, 1.0, 1.0)
        self._frame: Any = None
        self._cross: Any = None
        # Made when they are first needed: making the scene must not stop the window.
        self._box: Any = None
        self._mesh: Any = None

    def make(self) -> Iterator[None]:
        """Make frame and crosshair, each in a step of its own; the rest is called after that."""
        self._frame = self._lines(_FRAME)
        yield
        self._cross = self._lines(_CROSSHAIR)

    def set_size(self, size_um: SpacingZYX) -> None:
        """Frame the volume."""
        self._size_um = size_um
        _draw_box(self._frame, (0.0, 0.0, 0.0), size_um)
        self._frame.visible = True

    def show(self, is_there: bool) -> None:
        """Show frame and crosshair; not where there is no volume."""
        self._frame.visible = self._cross.visible = is_there

    def set_box(self, box_um: tuple[SpacingZYX, SpacingZYX] | None) -> None:
        """Frame the part a preview is computed of."""
        if box_um is not None:
            if self._box is None:
                self._box = self._lines(_PREVIEW_BOX, width=2)
            _draw_box(self._box, *box_um)
        if self._box is not None:
            self._box.visible = box_um is not None

    def set_cursor(self, point_um: SpacingZYX) -> None:
        """Cross three lines where the panes cut."""
        at, size = np.array(point_um[::-1]), np.array(self._size_um[::-1])
        ends = np.repeat(at[None], 6, axis=0)
        for axis in range(3):
            ends[2 * axis, axis], ends[2 * axis + 1, axis] = 0, size[axis]
        self._cross.set_data(ends.astype(np.float32), connect="segments")

    def set_mesh(self, mesh: MeshData | None) -> None:
        """Show the surfaces of the chosen cells."""
        if mesh is not None:
            if self._mesh is None:
                self._mesh = self._make_mesh()
            self._mesh.set_data(meshdata=mesh, color=_MESH)
            self._mesh.shading_filter.ambient_light = (1, 1, 1, 0.55)
        if self._mesh is not None:
            self._mesh.visible = mesh is not None

    def _make_mesh(self) -> Any:  # noqa: ANN401
        mesh = scene.visuals.Mesh(parent=self._parent, shading="smooth", color=_MESH)
        mesh.order = 2
        # Seen through whatever lies before it: it is what the user looks for.
        mesh.set_gl_state("opaque", depth_test=False, cull_face="back")
        return mesh

    def _lines(self, color: tuple[float, ...], *, width: float = 1) -> Any:  # noqa: ANN401
        lines = scene.visuals.Line(np.zeros((2, 3), np.float32), color=color, width=width,
                                   connect="segments", parent=self._parent)  # fmt: skip
        lines.order = 3
        return lines


def _draw_box(lines: Any, low: SpacingZYX, high: SpacingZYX) -> None:  # noqa: ANN401
    ends = np.array([low[::-1], high[::-1]], np.float32)
    corners = np.array([[ends[n >> axis & 1, axis] for axis in range(3)] for n in range(8)])
    lines.set_data(corners[_EDGES.ravel()], connect="segments")
