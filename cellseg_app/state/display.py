"""What the viewer shows and how: values, and one evented model changed on the GUI thread only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from psygnal import SignalGroupDescriptor

from cellseg_app.core.blocks import Region
from cellseg_app.core.volume import LazyArray, ShapeZYX, SpacingZYX

LayerKind = Literal["image", "probability", "labels"]
Mode = Literal["ortho", "grid"]
PaneName = Literal["xy", "yz", "xz", "3d"]
RenderMethod = Literal["mip", "translucent", "iso"]
CameraKind = Literal["turntable", "orbit"]

# A voxel is drawn as a cube where neither the file nor the user said its size.
UNKNOWN_SPACING: SpacingZYX = (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """What became of voxels shown before.

    Attributes
    ----------
    before
        The voxels before, with the same axes.
    boxes
        Outside of these nothing is different.
    """

    before: LazyArray
    boxes: tuple[Region, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One thing to show: an image, a probability map or labels.

    Attributes
    ----------
    key
        Names the layer in `ViewState.looks`; unique within a viewer.
    title
        What the user reads.
    data
        Lazy array, axes Z, Y, X; or C, Z, Y, X for a probability map of several classes.
    spacing_um_zyx
        Voxel size in µm, or None if unknown.
    origin_zyx
        Voxel of the first layer's grid that this layer's first voxel lies on; for a preview of a
        crop. Counted in this layer's voxels.
    coarser
        The same at lower resolutions, finest first, as the levels of a pyramid; they are read
        where the screen shows no more than they hold.
    change
        In what the voxels differ from some shown before; None where nothing is known of that.
    """

    key: str
    title: str
    kind: LayerKind
    data: LazyArray
    spacing_um_zyx: SpacingZYX | None = None
    origin_zyx: ShapeZYX = (0, 0, 0)
    coarser: tuple[Layer, ...] = ()
    change: Change | None = None

    @property
    def shape_zyx(self) -> ShapeZYX:
        """Number of voxels along Z, Y, X."""
        z, y, x = self.data.shape[-3:]
        return z, y, x

    @property
    def n_classes(self) -> int:
        """Number of classes of a probability map; 1 for everything else."""
        return self.data.shape[0] if self.data.ndim == 4 else 1

    @property
    def scale_zyx(self) -> SpacingZYX:
        """Size of a voxel as it is drawn: µm, or 1 where the size is unknown."""
        return self.spacing_um_zyx or UNKNOWN_SPACING

    def follows(self, other: Layer) -> bool:
        """Whether it is known in what this layer differs from another."""
        return self.change is not None and self.change.before is other.data


@dataclass(frozen=True, slots=True)
class LayerLook:
    """How a layer is drawn.

    Attributes
    ----------
    opacity
        0 (invisible) to 1.
    colormap
        Name of a colormap of `cmap`; labels have their own colours.
    clims
        Intensities drawn darkest and brightest; None until they were chosen from the histogram.
    gamma
        Exponent of the brightness; below 1 lifts the dark parts.
    outlines_only
        Draw only the borders of labels.
    """

    visible: bool = True
    opacity: float = 1.0
    colormap: str = "gray"
    clims: tuple[float, float] | None = None
    gamma: float = 1.0
    outlines_only: bool = False

    @property
    def drawn_opacity(self) -> float:
        """The opacity that looks like it: thin lines need more of it than areas."""
        return float(self.opacity**0.5) if self.outlines_only else self.opacity


@dataclass(frozen=True, slots=True)
class SpaceLook:
    """How the 3D pane is drawn.

    Attributes
    ----------
    method
        Maximum intensity, translucent, or the surface at `iso_level`.
    iso_level
        Between 0 (lower contrast limit) and 1 (upper one).
    clip_axis, clip_fraction, clip_flipped
        Plane that cuts the volume: across Z (0), Y (1) or X (2), or None; how far along the axis,
        0 to 1; which side is kept.
    """

    method: RenderMethod = "mip"
    iso_level: float = 0.4
    camera: CameraKind = "turntable"
    clip_axis: int | None = None
    clip_fraction: float = 0.5
    clip_flipped: bool = False


DEFAULT_LOOKS: Mapping[LayerKind, LayerLook] = {
    "image": LayerLook(),
    "probability": LayerLook(colormap="magma", opacity=0.5, clims=(0.0, 1.0), visible=False),
    "labels": LayerLook(opacity=0.5),
}


@dataclass
class ViewState:
    """The viewer's state; every field has an event of its name in `events`.

    Attributes
    ----------
    cursor_zyx
        Voxel the panes cut through, in voxels of the first layer.
    looks
        How each layer is drawn, by its key; replaced as a whole, see `set_look`.
    class_index
        Class shown of probability maps of several classes.
    mode
        Three panes and 3D, or results side by side.
    maximized
        The pane that fills the viewer, or None.
    slab_planes
        Number of planes that are projected by their maximum; 1 shows a single slice.
    highlighted
        Label ids drawn to stand out.
    space
        How the 3D pane is drawn.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    cursor_zyx: ShapeZYX = (0, 0, 0)
    looks: Mapping[str, LayerLook] = field(default_factory=dict)
    class_index: int = 0
    mode: Mode = "ortho"
    maximized: PaneName | None = None
    slab_planes: int = 1
    highlighted: tuple[int, ...] = ()
    space: SpaceLook = field(default_factory=SpaceLook)

    def set_look(self, key: str, **changes: Any) -> None:  # noqa: ANN401
        """Change fields of one layer's `LayerLook`."""
        self.looks = {**self.looks, key: replace(self.looks[key], **changes)}

    def set_space(self, **changes: Any) -> None:  # noqa: ANN401
        """Change fields of the `SpaceLook`."""
        self.space = replace(self.space, **changes)
