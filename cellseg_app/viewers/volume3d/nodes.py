"""Volumes of a scene, made once and used again."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from vispy.visuals.transforms import STTransform

from cellseg_app.viewers.volume3d.visuals import ImageVolume, LabelVolume

_NOTHING: Final = (2, 2, 2)


class VolumeNodes:
    """Lends visuals to layers.

    Making one and compiling its shader takes long enough to stop the window, and while a slider
    moves the labels change several times a second.

    Parameters
    ----------
    parent
        Node of the scene that the volumes belong to.
    """

    def __init__(self, parent: Any) -> None:  # noqa: ANN401 - vispy has no types
        self._parent = parent
        self._spare: dict[tuple[bool, np.dtype[Any]], list[Any]] = {}

    def take(self, is_labels: bool, dtype: np.dtype[Any]) -> Any:  # noqa: ANN401
        """A hidden volume whose voxels have this type."""
        spare = self._spare.get((is_labels, dtype))
        node = spare.pop() if spare else self._new(is_labels, dtype)
        node.visible = False
        return node

    def give_back(self, node: Any, is_labels: bool, dtype: np.dtype[Any]) -> None:  # noqa: ANN401
        """Hide a volume and free what it holds on the card."""
        node.visible = False
        node.allocate(_NOTHING)
        self._spare.setdefault((is_labels, dtype), []).append(node)

    def _new(self, is_labels: bool, dtype: np.dtype[Any]) -> Any:  # noqa: ANN401
        first = np.zeros(_NOTHING, dtype)
        if is_labels:
            node = LabelVolume(first, clim=(0, 255), method="labels", interpolation="nearest",
                               texture_format=dtype, parent=self._parent)  # fmt: skip
            node.set_gl_state("translucent", depth_test=True, cull_face=False)
        else:
            node = ImageVolume(first, clim=(0, 1), method="mip",
                               texture_format=dtype, parent=self._parent)  # fmt: skip
        node.transform = STTransform()
        return node
