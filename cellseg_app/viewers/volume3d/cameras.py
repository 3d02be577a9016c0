"""The two cameras of the 3D scene: one that stays upright, and one that turns freely."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation
from vispy import scene
from vispy.util.quaternion import Quaternion

_FIELD_OF_VIEW: Final = 30.0
# From before the first slice: left, right, top and bottom are those of the XY pane, and of a stack
# that is wide and thin the wide side is seen.
_ELEVATION, _AZIMUTH = 25.0, 60.0


def upright_camera() -> Any:  # noqa: ANN401 - vispy has no types
    """A camera that turns about the Y axis."""
    # Y points down in microscopy and Z away from the eye: turned so, nothing is mirrored.
    return scene.TurntableCamera(
        fov=_FIELD_OF_VIEW, elevation=_ELEVATION, azimuth=_AZIMUTH, up="-y"
    )


def free_camera(upright: Any) -> Any:  # noqa: ANN401
    """A camera that turns freely, and begins where an upright one is."""
    camera = scene.ArcballCamera(fov=_FIELD_OF_VIEW)
    turned = _axes(upright) @ upright._get_rotation_tr()[:3, :3]
    rotation = (np.linalg.inv(_axes(camera)) @ turned).T
    x, y, z, w = Rotation.from_matrix(rotation).as_quat()
    # vispy's camera takes Y for Z.
    camera.set_state(_quaternion=Quaternion(w, x, z, y))
    return camera


def _axes(camera: Any) -> npt.NDArray[np.float64]:  # noqa: ANN401
    """Where the camera's own right, up and backward point, as rows."""
    up, forward, right = camera._get_dim_vectors()
    return np.array([right, up, -forward], float)
