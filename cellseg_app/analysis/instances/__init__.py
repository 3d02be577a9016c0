"""From a probability map to one label per cell: one method a file, all of them block by block."""

from __future__ import annotations

from collections.abc import Mapping

from cellseg_app.analysis.blockwise import (
    DEFAULT_BLOCK_ZYX,
    BlockPlan,
    BlockRunner,
    WritableArray,
    check_labels_array,
    shape_zyx,
)
from cellseg_app.analysis.instances import (
    cell_peaks,
    connected_components,
    voronoi_otsu,
    watershed,
)
from cellseg_app.analysis.instances.job import InstanceJob, InstanceResult, MethodSpec
from cellseg_app.analysis.kept import KeptBlocks
from cellseg_app.analysis.refining import NOT_REFINED
from cellseg_app.core.errors import SettingsError
from cellseg_app.core.progress import CancelToken, ProgressSink
from cellseg_app.core.settings import InstanceSettings
from cellseg_app.core.volume import LazyArray, ShapeZYX, SpacingZYX

__all__ = ["INSTANCE_METHODS", "InstanceResult", "MethodSpec", "segment_instances"]

INSTANCE_METHODS: Mapping[str, MethodSpec] = {
    "cell-peaks": cell_peaks.SPEC,
    "voronoi-otsu": voronoi_otsu.SPEC,
    "watershed": watershed.SPEC,
    "connected-components": connected_components.SPEC,
}


def segment_instances(
    probability: LazyArray,
    labels_out: WritableArray,
    *,
    method: str = "cell-peaks",
    threshold: float | None = None,
    options: InstanceSettings | None = None,
    block_zyx: ShapeZYX | None = None,
    spacing_um_zyx: SpacingZYX | None = None,
    refine_zyx: ShapeZYX = NOT_REFINED,
    workers: int = 1,
    progress: ProgressSink | None = None,
    cancel: CancelToken | None = None,
    runner: BlockRunner | None = None,
    kept: KeptBlocks | None = None,
    pieces_out: WritableArray | None = None,
    considerate: bool = False,
) -> InstanceResult:
    """Give every cell of a probability map one id, 1…N in the raster order of first voxels.

    Neither the objects nor their ids depend on `block_zyx` or `workers`. Memory grows with the
    block, not with the volume (beyond some 50 bytes per cell; watershed: 130).

    Parameters
    ----------
    probability
        (Z, Y, X), floats from 0 to 1 (float16 is widened block by block) or a mask.
    labels_out
        Integer array of the same shape, 32 or 64 bits; overwritten. It also holds intermediate
        ids, so that its content means nothing until the function returns.
    method
        A key of `INSTANCE_METHODS`.
    threshold
        Probability above which a voxel belongs to a cell; None takes the method's own.
    options
        Choices of the user; what is None or belongs to another method is ignored.
    block_zyx
        Voxels of a block; a multiple of the chunks of `probability` and `labels_out` reads fastest.
        None takes what suits the method.
    spacing_um_zyx
        Voxel size; None means cubic voxels. Only cell-peaks looks at it.
    refine_zyx
        1 or 2 for each axis: how many voxels cell-peaks makes of one of the map, where its lattice
        is coarse for the cells. Sizes stay in voxels of the map, blurs are in the smaller ones.
        Other methods work on the map as it is.
    workers
        Threads.
    progress, cancel
        Where to report every block, and how to stop.
    runner
        Where blocks are worked on instead of on threads here; it can then take only arrays that
        lie on disk.
    kept, pieces_out
        For work that can be taken up again: where results of blocks are kept, and an array like
        `labels_out` (refined, if the method refines) for parts of cells, on disk. The call
        repeated with both goes on.
    considerate
        Let a window in this process go on, at the price of some time.

    Raises
    ------
    SettingsError
        Unknown method, or a label array that cannot hold the result.
    InputError
        Not three axes, or a probability that is not a number.
    Cancelled
        Within one block of asking.
    """
    if method not in INSTANCE_METHODS:
        known = ", ".join(INSTANCE_METHODS)
        raise SettingsError(f"There is no instance method {method!r}.", f"Choose one of {known}.")
    shape = shape_zyx(probability)
    check_labels_array(labels_out, shape)
    job = InstanceJob(
        probability=probability,
        labels_out=labels_out,
        shape_zyx=shape,
        threshold=threshold,
        options=options or InstanceSettings(),
        spacing_um_zyx=spacing_um_zyx,
        plan=BlockPlan(
            block_zyx or DEFAULT_BLOCK_ZYX, workers, progress, cancel, runner, kept, considerate
        ),
        block_is_ours=block_zyx is None,
        pieces_out=pieces_out,
        refine_zyx=refine_zyx if INSTANCE_METHODS[method].refines else NOT_REFINED,
    )
    return INSTANCE_METHODS[method].run(job)
