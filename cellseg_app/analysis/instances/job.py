"""What every instance method is given and gives back, and what it says about itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from cellseg_app.analysis.blockwise import (
    DEFAULT_BLOCK_ZYX,
    BlockPlan,
    Floats,
    WritableArray,
    read_probability,
)
from cellseg_app.analysis.refining import (
    NOT_REFINED,
    CoarsenedLabels,
    RefinedMap,
    refined_shape,
)
from cellseg_app.core.blocks import Region, at_most, grow, relative_to
from cellseg_app.core.settings import InstanceSettings
from cellseg_app.core.volume import LazyArray, ShapeZYX, SpacingZYX


@dataclass(frozen=True, slots=True)
class InstanceResult:
    """How telling cells apart ended.

    Attributes
    ----------
    n_cells
        Labels 1…n_cells are all in use.
    threshold
        Probability above which a voxel counted as cell.
    settings
        Every option the method used, defaults filled in: for the run record.
    notes
        Sentences for the log.
    """

    n_cells: int
    threshold: float
    settings: Mapping[str, float | int | bool | str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InstanceJob:
    """A probability map, the choices made, and where the labels go; see `segment_instances`."""

    probability: LazyArray
    labels_out: WritableArray
    shape_zyx: ShapeZYX
    threshold: float | None
    options: InstanceSettings
    spacing_um_zyx: SpacingZYX | None
    plan: BlockPlan
    block_is_ours: bool = False
    pieces_out: WritableArray | None = None
    refine_zyx: ShapeZYX = NOT_REFINED

    @property
    def is_refined(self) -> bool:
        """Whether cells are told apart on smaller voxels than the map's."""
        return self.refine_zyx != NOT_REFINED

    def refined(self, threshold: float) -> InstanceJob:
        """The job on the refined lattice; labels arrive on the map's own, not yet in order."""
        if not self.is_refined:
            return self
        shape, refine = refined_shape(self.shape_zyx, self.refine_zyx), self.refine_zyx
        z, y, x = (
            um / n for um, n in zip(self.spacing_um_zyx or (1.0, 1.0, 1.0), refine, strict=True)
        )
        block = DEFAULT_BLOCK_ZYX
        if not self.block_is_ours:
            block = refined_shape(self.plan.block_zyx, refine)
        pieces = np.zeros(shape, np.uint32) if self.pieces_out is None else self.pieces_out
        return replace(
            self,
            probability=RefinedMap(self.probability, refine),
            labels_out=CoarsenedLabels(self.labels_out, self.probability, threshold, refine),
            shape_zyx=shape,
            spacing_um_zyx=(z, y, x),
            plan=replace(self.plan, block_zyx=block),
            pieces_out=pieces,
        )

    def with_own_block(self, block_zyx: ShapeZYX) -> InstanceJob:
        """The job with another block, unless the caller has chosen one or the volume is large."""
        if not self.block_is_ours or self.plan.kept is not None:
            return self
        return replace(self, plan=replace(self.plan, block_zyx=block_zyx))

    @property
    def pieces(self) -> WritableArray:
        """Where parts of cells stand until it is known which are one."""
        return self.labels_out if self.pieces_out is None else self.pieces_out

    def nothing_above(self, region: Region, threshold: float) -> bool:
        """Whether it is known without reading that no voxel of a region exceeds a threshold."""
        return at_most(self.probability, region) <= threshold

    def read(self, region: Region) -> Floats:
        """Probability of a region as float32; NaN is refused."""
        return read_probability(self.probability, region)


@dataclass(frozen=True, slots=True)
class MethodSpec:
    """One way to tell cells apart.

    Attributes
    ----------
    title, help
        Name and one line for a form or a help page.
    run
        The method.
    options
        Fields of `InstanceSettings` that change its result.
    defaults
        Its own values for what is left empty, by field name; `threshold` too.
    halo
        Voxels it looks at beyond a block on each side, for the memory estimate.
    refines
        Whether it can work on smaller voxels than the map's.
    """

    title: str
    help: str
    run: Callable[[InstanceJob], InstanceResult]
    options: tuple[str, ...]
    defaults: Mapping[str, float | int | None]
    halo: Callable[[InstanceSettings, SpacingZYX | None], ShapeZYX]
    refines: bool = False


def framed(values: Floats, region: Region, reach: Region) -> Floats:
    """The reach and one voxel around it, cut from values over a larger region; 0 beyond that."""
    shape = tuple(s.stop - s.start + 2 for s in reach)
    result = np.zeros(shape, np.float32)
    z, y, x = (
        slice(max(r.start - 1, w.start), min(r.stop + 1, w.stop))
        for r, w in zip(reach, region, strict=True)
    )
    source = relative_to((z, y, x), region)
    target = tuple(
        slice(s.start - r.start + 1, s.stop - r.start + 1)
        for s, r in zip((z, y, x), reach, strict=True)
    )
    result[target] = values[source]
    return result


def with_halo(reach: Region, halo_zyx: ShapeZYX, shape_zyx: ShapeZYX) -> Region:
    """The reach, the voxel around it that pointers need, and a halo."""
    z, y, x = halo_zyx
    return grow(reach, (z + 1, y + 1, x + 1), shape_zyx)
