"""Volumes on the graphics card: images, and labels as lit surfaces in their colours.

vispy uploads a volume in one go, which would stop the window for a moment; here the texture is
allocated first and filled slab by slab.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from vispy import gloo
from vispy.scene.visuals import create_visual_node
from vispy.visuals import VolumeVisual

from cellseg_app.core.volume import ShapeZYX

# A label is seen where a ray first meets one. Its surface is where the label ends, so cells that
# touch are told apart; the normal is smoothed over the neighbours (weights as of a 3D Sobel).
_LABELS_BEFORE: Final = """
    gl_FragColor = vec4(0.0);
    bool found = false;
"""
_LABELS_IN_LOOP: Final = """
    if (val > 0.002) {
        vec3 at = loc;
        for (int i = 1; i < 8; i++) {
            vec3 nearer = loc - step * (float(i) / 8.0);
            if (abs($get_data(nearer).r - val) > 0.002)
                break;
            at = nearer;
        }
        vec3 inward = vec3(0.0);
        for (int dx = -1; dx <= 1; dx++)
            for (int dy = -1; dy <= 1; dy++)
                for (int dz = -1; dz <= 1; dz++) {
                    vec3 way = vec3(float(dx), float(dy), float(dz));
                    float near_same = $get_data(at + way * 1.2 / u_shape).r;
                    float far_same = $get_data(at + way * 2.4 / u_shape).r;
                    float same = float(abs(near_same - val) < 0.002);
                    same += float(abs(far_same - val) < 0.002);
                    inward += way * same / max(dot(way, way), 1.0);
                }
        vec3 ray = normalize(view_ray * u_voxel_um);
        vec3 normal = inward / u_voxel_um;
        normal = length(normal) > 0.0 ? -normalize(normal) : -ray;
        // A lamp beside the eye: what faces the user is bright, and rims fall dark.
        float diffuse = max(dot(normal, -ray), 0.0);
        float specular = pow(diffuse, 24.0);
        vec4 own = texture2D(u_label_colors, vec2((val * 255.0 + 0.5) / 256.0, 0.5));
        gl_FragColor = vec4(own.rgb * (0.3 + 0.7 * diffuse) + 0.15 * specular, own.a);
        frag_depth_point = at * u_shape;
        found = true;
        iter = nsteps;
        break;
    }
"""
_LABELS_AFTER: Final = """
    if (!found)
        discard;
"""

# vispy's own surfaces are as dark as the level they lie at; these have the brightest colour.
_SURFACE_BEFORE: Final = """
    gl_FragColor = vec4(0.0);
    bool found = false;
"""
_SURFACE_IN_LOOP: Final = """
    if (val > u_threshold) {
        vec3 at = loc;
        vec3 before = loc - step;
        for (int i = 0; i < 5; i++) {
            vec3 middle = 0.5 * (at + before);
            if ($get_data(middle).r > u_threshold)
                at = middle;
            else
                before = middle;
        }
        vec3 rise = vec3(0.0);
        for (int axis = 0; axis < 3; axis++) {
            vec3 way = vec3(float(axis == 0), float(axis == 1), float(axis == 2)) * 1.5 / u_shape;
            rise += way * u_shape * ($get_data(at + way).r - $get_data(at - way).r);
        }
        vec3 ray = normalize(view_ray * u_voxel_um);
        vec3 normal = rise / u_voxel_um;
        normal = length(normal) > 0.0 ? -normalize(normal) : -ray;
        float diffuse = max(dot(normal, -ray), 0.0);
        vec4 own = applyColormap(vec4(clim.y));
        gl_FragColor = vec4(own.rgb * (0.25 + 0.65 * diffuse) + 0.1 * pow(diffuse, 24.0), 1.0);
        frag_depth_point = at * u_shape;
        found = true;
        iter = nsteps;
        break;
    }
"""
_SURFACE_AFTER: Final = """
    if (!found)
        discard;
"""


class _SlabbedVisual(VolumeVisual):  # type: ignore[misc]  # vispy has no types
    """A volume whose texture is filled bit by bit."""

    def allocate(self, shape_zyx: ShapeZYX) -> None:
        """Make room on the card, with the data type the visual was made with."""
        self._texture.resize((*shape_zyx, 1))
        self._vol_shape = shape_zyx
        self._need_vertex_update = True
        self.shared_program["u_shape"] = shape_zyx[::-1]

    def fill(self, first_zyx: ShapeZYX, block: npt.NDArray[Any]) -> None:
        """Queue some voxels for the card."""
        # vispy drops what was queued before a resize, which it sees in an offset of zero that
        # covers the whole texture; so the voxels go one texture away from that.
        self._texture.set_data(np.ascontiguousarray(block)[..., None], offset=first_zyx)

    def send(self, context: gloo.context.GLContext) -> None:
        """Hand what is queued to the card now, drawn or not."""
        context.glir.associate(self._texture.glir)
        context.flush_commands()

    def set_voxel_size(self, voxel_um_xyz: tuple[float, float, float]) -> None:
        """Size of a voxel, for the light."""
        self.shared_program["u_voxel_um"] = voxel_um_xyz


class ImageVolumeVisual(_SlabbedVisual):
    """Intensities: maximum, translucent, or a surface."""

    _rendering_methods = {  # noqa: RUF012  # as in vispy
        **VolumeVisual._rendering_methods,
        "surface": {
            "before_loop": _SURFACE_BEFORE,
            "in_loop": _SURFACE_IN_LOOP,
            "after_loop": _SURFACE_AFTER,
        },
    }
    _shaders = {  # noqa: RUF012  # as in vispy
        "vertex": VolumeVisual._shaders["vertex"],
        "fragment": "uniform vec3 u_voxel_um;\n" + VolumeVisual._shaders["fragment"],
    }


class LabelVolumeVisual(_SlabbedVisual):
    """Colour numbers of labels (uint8, 0 is background) as lit surfaces."""

    _rendering_methods = {  # noqa: RUF012  # as in vispy
        **VolumeVisual._rendering_methods,
        "labels": {
            "before_loop": _LABELS_BEFORE,
            "in_loop": _LABELS_IN_LOOP,
            "after_loop": _LABELS_AFTER,
        },
    }
    _shaders = {  # noqa: RUF012  # as in vispy
        "vertex": VolumeVisual._shaders["vertex"],
        "fragment": "uniform sampler2D u_label_colors;\nuniform vec3 u_voxel_um;\n"
        + VolumeVisual._shaders["fragment"],
    }

    def set_colors(self, rgba: npt.NDArray[np.float32]) -> None:
        """Colours (256, 4) in 0..1 by colour number."""
        table = gloo.Texture2D(
            np.ascontiguousarray(rgba[None], np.float32), interpolation="nearest"
        )
        self.shared_program["u_label_colors"] = table
        self.update()


ImageVolume = create_visual_node(ImageVolumeVisual)
LabelVolume = create_visual_node(LabelVolumeVisual)
