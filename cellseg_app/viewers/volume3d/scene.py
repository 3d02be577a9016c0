"""The 3D scene: a canvas with volumes, marks and a camera. Lengths in µm, X Y Z."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PySide6.QtWidgets import QWidget
from vispy.color import Colormap
from vispy.geometry import MeshData

from cellseg_app.core.volume import ShapeZYX, SpacingZYX
from cellseg_app.state.display import CameraKind, Layer, LayerLook, SpaceLook
from cellseg_app.viewers.colors import LabelColors, rgb_of
from cellseg_app.viewers.volume3d.cameras import free_camera, upright_camera
from cellseg_app.viewers.volume3d.canvas import PatientCanvas
from cellseg_app.viewers.volume3d.marks import SpaceMarks
from cellseg_app.viewers.volume3d.nodes import VolumeNodes
from cellseg_app.viewers.volume3d.prepare import VolumeTexture

_N_COLORS: Final = 128
_METHODS: Final = {"mip": "mip", "translucent": "translucent", "iso": "surface"}
_BESIDE_LABELS: Final = 0.35
# Other cells while some are chosen, which would be hard to find among hundreds of bright ones.
_BESIDE_CHOSEN: Final = 0.4
# Longer steps along the rays while the processor draws what the user turns.
_COARSE_STEPS: Final = 4.0


@dataclass(slots=True, eq=False)
class _Shown:
    layer: Layer
    node: Any
    texture: VolumeTexture
    ready: bool = False
    colors: tuple[str, bool] | None = None
    label_colors: LabelColors | None = None


class SpaceScene:
    """A vispy canvas and what is in it; made by `scene_in_steps`.

    Parameters
    ----------
    canvas
        Where it is drawn; one that is patient takes larger steps along the rays.
    view
        The view on the canvas, with its camera.
    marks
        What lies over the volumes of the view.
    """

    def __init__(self, canvas: PatientCanvas, view: Any, marks: SpaceMarks) -> None:  # noqa: ANN401
        self._step = 1.6 if canvas.patient else 0.7
        self.canvas, self.view, self._marks = canvas, view, marks
        self.canvas.on_motion = self._set_coarse
        self._size_um: SpacingZYX = (1.0, 1.0, 1.0)
        self._shown: dict[str, _Shown] = {}
        self._nodes = VolumeNodes(self.view.scene)
        self._space = SpaceLook()
        self._has_chosen = False
        self._camera_kind: CameraKind | None = None
        self.set_camera("turntable")

    @property
    def widget(self) -> QWidget:
        """The canvas, to be put into a layout."""
        native: QWidget = self.canvas.native
        return native

    @property
    def ready(self) -> set[str]:
        """Keys of the layers that are on the card."""
        return {key for key, shown in self._shown.items() if shown.ready}

    # ---- Volumes ----

    def begin(self, layer: Layer, texture: VolumeTexture, colors: LabelColors) -> None:
        """Make room for a layer; it shows when `finish` is called."""
        self.remove(layer.key)
        node = self._nodes.take(layer.kind == "labels", texture.data.dtype)
        node.set_voxel_size(texture.voxel_um_zyx[::-1])
        node.allocate(texture.data.shape)
        node.relative_step_size = self._step
        # With another transform the shader would be compiled anew.
        node.transform.scale = texture.voxel_um_zyx[::-1]
        node.transform.translate = texture.first_um_zyx[::-1]
        shown = self._shown[layer.key] = _Shown(layer, node, texture)
        if layer.kind == "labels":
            shown.label_colors = colors
            self._color_labels(shown)

    def fill(self, layer_key: str, first_zyx: ShapeZYX, block: npt.NDArray[Any]) -> None:
        """Send some voxels of a layer to the card."""
        shown = self._shown.get(layer_key)
        if shown is not None:
            self.canvas.set_current()
            shown.node.fill(first_zyx, block)
            shown.node.send(self.canvas.context)

    def finish(self, layer_key: str, looks: Mapping[str, LayerLook]) -> None:
        """Show a layer that was filled, wholly or where it changed."""
        shown = self._shown.get(layer_key)
        if shown is None:
            return
        if shown.ready:
            self.canvas.update()
        else:
            shown.ready = True
            self.set_looks(looks)

    def remove(self, layer_key: str) -> None:
        """Take a layer out."""
        shown = self._shown.pop(layer_key, None)
        if shown is not None:
            self._nodes.give_back(
                shown.node, shown.layer.kind == "labels", shown.texture.data.dtype
            )

    def set_look(self, layer_key: str, look: LayerLook) -> None:
        """Show a layer by its look and the look of the space."""
        shown = self._shown.get(layer_key)
        if shown is None:
            return
        node = shown.node
        node.visible = shown.ready and look.visible and look.opacity > 0
        if shown.layer.kind == "labels":
            # Labels are for telling cells apart: seen through each other they would not.
            node.opacity = max(look.opacity, 0.9)
            node.order = 0
        else:
            self._set_image_look(shown, look)
        self._set_clip(node)
        self.canvas.update()

    def set_looks(self, looks: Mapping[str, LayerLook]) -> None:
        """Show every layer by its look; labels first, since images make way for them."""
        for key in sorted(self._shown, key=lambda k: self._shown[k].layer.kind != "labels"):
            if key in looks:
                self.set_look(key, looks[key])

    def set_space(self, space: SpaceLook, looks: Mapping[str, LayerLook]) -> None:
        """Change method, camera or clipping plane."""
        self._space = space
        self.set_camera(space.camera)
        self.set_looks(looks)

    def set_colors(self, colors: LabelColors) -> None:
        """Colour label volumes by another table; their numbers may have to be made anew."""
        for shown in self._shown.values():
            if shown.layer.kind == "labels":
                shown.node.set_colors(colors.rgba())
        self.canvas.update()

    # ---- Marks ----

    def set_size(self, size_um: SpacingZYX) -> None:
        """Frame the volume."""
        self._size_um = size_um
        self._marks.set_size(size_um)
        self.canvas.update()

    def show_marks(self, is_there: bool) -> None:
        """Show frame and crosshair; not where there is no volume."""
        self._marks.show(is_there)
        self.canvas.update()

    def set_box(self, box_um: tuple[SpacingZYX, SpacingZYX] | None) -> None:
        """Frame the part a preview is computed of."""
        self._marks.set_box(box_um)
        self.canvas.update()

    def set_cursor(self, point_um: SpacingZYX) -> None:
        """Cross three lines where the panes cut."""
        self._marks.set_cursor(point_um)
        self.canvas.update()

    def set_mesh(self, mesh: MeshData | None) -> None:
        """Show the surfaces of the chosen cells, and other cells darker while there are some."""
        self._marks.set_mesh(mesh)
        if self._has_chosen != (mesh is not None):
            self._has_chosen = mesh is not None
            for shown in self._shown.values():
                self._color_labels(shown)
        self.canvas.update()

    # ---- Camera ----

    def set_camera(self, kind: CameraKind) -> None:
        """Turn about an upright axis, or freely, which begins as it is seen then."""
        if kind == self._camera_kind:
            return
        self._camera_kind = kind
        is_upright = kind == "turntable"
        self.view.camera = upright_camera() if is_upright else free_camera(self.view.camera)
        self.fit()

    def fit(self) -> None:
        """Show the whole volume."""
        z, y, x = self._size_um
        self.view.camera.set_range(x=(0, x), y=(0, y), z=(0, z), margin=0)
        # vispy fits the longest edge; seen from a corner the box is as long as its diagonal.
        self.view.camera.scale_factor = 1.08 * math.hypot(x, y, z)
        self.canvas.update()

    def picture(self) -> npt.NDArray[np.uint8]:
        """The scene as it is, (rows, columns, RGBA)."""
        pixels: npt.NDArray[np.uint8] = self.canvas.render(alpha=True)
        return pixels

    def close(self) -> None:
        """Free what the card holds."""
        for key in list(self._shown):
            self.remove(key)
        self.canvas.stop()
        self.canvas.close()

    # ---- Private ----

    def _set_coarse(self, is_coarse: bool) -> None:
        for shown in self._shown.values():
            shown.node.relative_step_size = self._step * (_COARSE_STEPS if is_coarse else 1)

    def _color_labels(self, shown: _Shown) -> None:
        if shown.label_colors is None:
            return
        rgba = shown.label_colors.rgba()
        if self._has_chosen:
            rgba[:, :3] *= _BESIDE_CHOSEN
        shown.node.set_colors(rgba)

    def _set_image_look(self, shown: _Shown, look: LayerLook) -> None:
        node, space = shown.node, self._space
        has_labels = any(s.layer.kind == "labels" and s.node.visible for s in self._shown.values())
        # The brightest along a ray would outshine the cells.
        node.opacity = look.opacity * (_BESIDE_LABELS if has_labels else 1.0)
        method = _METHODS[space.method]
        if node.method != method:
            node.method = method
        # The order decides what lies over what; light of an image adds to what lies behind.
        node.order = 1
        if space.method == "mip":
            node.set_gl_state(depth_test=False, blend=True, cull_face=False,
                              blend_func=("src_alpha", "one"))  # fmt: skip
        else:
            node.set_gl_state("translucent", depth_test=space.method == "iso", cull_face=False)
        colors = (look.colormap, space.method == "translucent")
        if shown.colors != colors:
            # The shader is compiled anew for others.
            shown.colors = colors
            node.cmap = _colormap(look.colormap, fading=colors[1])
        node.gamma = look.gamma
        low, high = shown.texture.clims(look.clims)
        node.clim = (low, high)
        node.threshold = shown.texture.normalized(low + space.iso_level * (high - low))

    def _set_clip(self, node: Any) -> None:  # noqa: ANN401
        space = self._space
        if space.clip_axis is None:
            planes = np.empty((0, 2, 3))
        else:
            axis = 2 - space.clip_axis
            place, normal = np.zeros(3), np.zeros(3)
            place[axis] = space.clip_fraction * self._size_um[space.clip_axis]
            normal[axis] = -1.0 if space.clip_flipped else 1.0
            planes = np.array([[place, normal]])
        if not np.array_equal(planes, node.clipping_planes):
            node.clipping_planes = planes


def _colormap(name: str, *, fading: bool) -> Colormap:
    rgba = np.ones((_N_COLORS, 4))
    rgba[:, :3] = rgb_of(name, _N_COLORS)
    if fading:
        # Squared, or haze of the background would hide what lies in it.
        rgba[:, 3] = np.linspace(0, 1, _N_COLORS) ** 2 * 0.5
    return Colormap(rgba)
