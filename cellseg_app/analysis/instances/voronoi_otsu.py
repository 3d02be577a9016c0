"""Voronoi-Otsu labelling as in clEsperanto, on the processor and for volumes of any size."""

from __future__ import annotations

import cc3d
import numpy as np

from cellseg_app.analysis.blockwise import Bools, Floats
from cellseg_app.analysis.instances.flood import flood_labels
from cellseg_app.analysis.instances.job import (
    InstanceJob,
    InstanceResult,
    MethodSpec,
    framed,
    with_halo,
)
from cellseg_app.analysis.instances.outline import Outline
from cellseg_app.analysis.joining import BlockPieces, join_pieces
from cellseg_app.analysis.numbering import (
    count_labels,
    finish_labels,
    finish_pieces,
    kept_objects,
)
from cellseg_app.analysis.pieces import refuse_too_many
from cellseg_app.analysis.smoothing import gaussian, gaussian_reach
from cellseg_app.core.blocks import Region
from cellseg_app.core.settings import InstanceSettings
from cellseg_app.core.volume import ShapeZYX, SpacingZYX

_SPOT_SIGMA = 0.65
_OUTLINE_SIGMA = 0.65
_MIN_SIZE = 1


def segment(job: InstanceJob) -> InstanceResult:
    """Local maxima of the smoothed map grow within its Otsu mask until they meet.

    1. Spots: voxels of the map smoothed with `spot_sigma` that no neighbour among 26 exceeds; a
       plateau of equal voxels is one spot.
    2. Mask: the map smoothed with `outline_sigma` above Otsu's threshold (256 bins between its
       minimum and maximum, as clEsperanto bins), or above `threshold` if one is given.
    3. Spots within the mask grow in turns by a cube and by an octahedron of one voxel, within the
       mask only; where two arrive together, the later spot in raster order takes the voxel.
    4. Objects smaller than `min_size_voxels` are dropped.

    After Haase et al., CLIJ (Nature Methods 2020), and Otsu (1979). Sigmas are in voxels, whatever
    the voxel size, as there. clEsperanto finds no spot on a plateau nor on the last plane of an
    axis; here both have one, so that saturated cells and cells cut by the border are kept.
    """
    options = job.options
    spot_sigma = _SPOT_SIGMA if options.spot_sigma is None else options.spot_sigma
    outline_sigma = _OUTLINE_SIGMA if options.outline_sigma is None else options.outline_sigma
    min_size = _MIN_SIZE if options.min_size_voxels is None else options.min_size_voxels
    outline = Outline(job, outline_sigma)
    threshold = outline.otsu_threshold() if job.threshold is None else job.threshold
    n_spots = _number_spots(job, outline, spot_sigma=spot_sigma, threshold=threshold)
    # Floods mark labels with a bit of their own.
    refuse_too_many(n_spots)
    flood_labels(job, lambda region: outline.read(region) > threshold)
    objects = count_labels(job.labels_out, n_spots, plan=job.plan)
    n_cells = finish_labels(
        job.labels_out,
        np.arange(n_spots + 1),
        objects,
        keep=kept_objects(objects, min_size_voxels=min_size, remove_border=options.remove_border),
        plan=job.plan,
    )
    used = {
        "spot_sigma": spot_sigma,
        "outline_sigma": outline_sigma,
        "min_size_voxels": min_size,
        "remove_border": options.remove_border,
    }
    return InstanceResult(n_cells, threshold, used)


def _number_spots(
    job: InstanceJob, outline: Outline, *, spot_sigma: float, threshold: float
) -> int:
    """Write the spots within the mask, 1…n in raster order, and return n."""
    sigma = (spot_sigma, spot_sigma, spot_sigma)

    def label_block(reach: Region) -> BlockPieces[None] | None:
        mask = outline.read(reach) > threshold
        if not mask.any():
            return None
        region = with_halo(reach, gaussian_reach(sigma), job.shape_zyx)
        smooth = framed(gaussian(job.read(region), sigma), region, reach)
        spots = _local_maxima(smooth) & mask
        labels, n = cc3d.connected_components(
            spots, connectivity=26, return_N=True, out_dtype=np.uint32
        )
        return BlockPieces(labels, int(n), None)

    joined = join_pieces(label_block, job.pieces, plan=job.plan, stage="Finding spots")
    return finish_pieces(
        job.pieces,
        job.labels_out,
        joined.offsets,
        joined.group,
        joined.statistics,
        keep=kept_objects(joined.statistics, min_size_voxels=1),
        plan=job.plan,
    )


def _local_maxima(framed_values: Floats) -> Bools:
    """Whether no neighbour among 26 is higher; for all but the outermost voxels."""
    highest = framed_values
    for axis in range(3):
        moved = np.moveaxis(highest, axis, 0)
        pair = np.maximum(moved[:-1], moved[1:])
        highest = np.moveaxis(np.maximum(pair[:-1], pair[1:]), 0, axis)
    return framed_values[1:-1, 1:-1, 1:-1] >= highest


def _halo(options: InstanceSettings, _spacing: SpacingZYX | None) -> ShapeZYX:
    spot = _SPOT_SIGMA if options.spot_sigma is None else options.spot_sigma
    outline = _OUTLINE_SIGMA if options.outline_sigma is None else options.outline_sigma
    n = gaussian_reach((max(spot, outline),) * 3)[0] + 13
    return n, n, n


SPEC = MethodSpec(
    title="Voronoi-Otsu",
    help="Smoothed maxima grow within the Otsu mask until they meet; as in clEsperanto.",
    run=segment,
    options=("min_size_voxels", "spot_sigma", "outline_sigma", "remove_border"),
    defaults={
        "threshold": None,
        "spot_sigma": _SPOT_SIGMA,
        "outline_sigma": _OUTLINE_SIGMA,
        "min_size_voxels": _MIN_SIZE,
    },
    halo=_halo,
)
