"""Where the panes look, in µm, the same for all of them: that is what links zoom and pan."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from cellseg_app.core.volume import SpacingZYX
from cellseg_app.state.slicing import PLANES, Plane, Viewport

# Empty border around a volume that fills the panes.
_FIT = 1.04
_FINEST_PX_UM, _COARSEST_PX_UM = 1e-4, 1e4
_NICE_LENGTHS = (1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class Camera:
    """Centre and magnification of linked panes.

    Attributes
    ----------
    center_um
        Point of the world (Z, Y, X) in the middle of every pane.
    px_um
        Size of a logical pixel.
    """

    center_um: SpacingZYX = (0.0, 0.0, 0.0)
    px_um: float = 1.0

    def viewport(self, plane: Plane, size_px: tuple[int, int], ratio: float = 1.0) -> Viewport:
        """What a pane of a size (height, width) in logical pixels shows; `ratio` is the screen's
        number of physical pixels to a logical one.
        """
        axes = PLANES[plane]
        centers = self.center_um[axes.vertical], self.center_um[axes.horizontal]
        half = size_px[0] * self.px_um / 2, size_px[1] * self.px_um / 2
        return Viewport(
            low_um=(centers[0] - half[0], centers[1] - half[1]),
            high_um=(centers[0] + half[0], centers[1] + half[1]),
            px_um=self.px_um / ratio,
        )

    def moved(self, plane: Plane, vertical_px: float, horizontal_px: float) -> Camera:
        """The camera after the picture in a pane was dragged."""
        axes, center = PLANES[plane], list(self.center_um)
        center[axes.vertical] -= vertical_px * self.px_um
        center[axes.horizontal] -= horizontal_px * self.px_um
        return replace(self, center_um=(center[0], center[1], center[2]))

    def zoomed(self, factor: float, fixed_um: SpacingZYX | None = None) -> Camera:
        """The camera after magnifying by a factor; the point `fixed_um` stays where it is."""
        factor = self.px_um / min(max(self.px_um / factor, _FINEST_PX_UM), _COARSEST_PX_UM)
        fixed = fixed_um or self.center_um
        z, y, x = (f + (c - f) / factor for f, c in zip(fixed, self.center_um, strict=True))
        return Camera((z, y, x), self.px_um / factor)

    def centered(self, point_um: SpacingZYX) -> Camera:
        """The camera over another point."""
        return replace(self, center_um=point_um)


def fitting(size_um: SpacingZYX, panes: dict[Plane, tuple[int, int]]) -> Camera:
    """The camera that shows a whole volume in every pane (height, width in logical pixels)."""
    px_um = 1e-6
    for plane, (height, width) in panes.items():
        axes = PLANES[plane]
        px_um = max(
            px_um,
            size_um[axes.vertical] * _FIT / max(1, height),
            size_um[axes.horizontal] * _FIT / max(1, width),
        )
    z, y, x = (um / 2 for um in size_um)
    return Camera((z, y, x), px_um)


def scale_bar(px_um: float, *, longest_px: float) -> tuple[float, float]:
    """A round length in µm, and its length in pixels, for a bar no longer than `longest_px`."""
    longest_um = longest_px * px_um
    decade = 10.0 ** math.floor(math.log10(longest_um))
    length = max(nice * decade for nice in _NICE_LENGTHS if nice * decade <= longest_um * 1.0001)
    return length, length / px_um


def length_text(length_um: float, *, calibrated: bool) -> str:
    """A length as a scale bar names it."""
    if not calibrated:
        return f"{length_um:g} voxels"
    if length_um >= 1000:
        return f"{length_um / 1000:g} mm"
    return f"{length_um:g} µm" if length_um >= 1 else f"{length_um * 1000:g} nm"
