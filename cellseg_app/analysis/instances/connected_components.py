"""Connected components: every connected part of the foreground is a cell."""

from __future__ import annotations

import cc3d
import numpy as np

from cellseg_app.analysis.instances.job import InstanceJob, InstanceResult, MethodSpec
from cellseg_app.analysis.joining import BlockPieces, join_pieces
from cellseg_app.analysis.numbering import finish_pieces, kept_objects
from cellseg_app.core.blocks import Region

_THRESHOLD = 0.8
_MIN_SIZE = 3
_CONNECTIVITY = 26


def segment(job: InstanceJob) -> InstanceResult:
    """Label `probability > threshold`; voxels that share a face, an edge or a corner are one cell.

    Exact for every block size.
    """
    threshold = _THRESHOLD if job.threshold is None else job.threshold
    min_size = _MIN_SIZE if job.options.min_size_voxels is None else job.options.min_size_voxels

    def label_block(reach: Region) -> BlockPieces[None] | None:
        if job.nothing_above(reach, threshold):
            return None
        mask = job.read(reach) > threshold
        if not mask.any():
            return None
        labels, n = cc3d.connected_components(
            mask, connectivity=_CONNECTIVITY, return_N=True, out_dtype=np.uint32
        )
        return BlockPieces(labels, int(n), None)

    joined = join_pieces(
        label_block,
        job.pieces,
        plan=job.plan,
        stage="Connecting parts",
    )
    keep = kept_objects(
        joined.statistics, min_size_voxels=min_size, remove_border=job.options.remove_border
    )
    n_cells = finish_pieces(
        job.pieces,
        job.labels_out,
        joined.offsets,
        joined.group,
        joined.statistics,
        keep=keep,
        plan=job.plan,
    )
    used = {"min_size_voxels": min_size, "remove_border": job.options.remove_border}
    return InstanceResult(n_cells, threshold, used)


SPEC = MethodSpec(
    title="Connected components",
    help="Every connected part above the threshold is a cell; touching cells stay together.",
    run=segment,
    options=("min_size_voxels", "remove_border"),
    defaults={"threshold": _THRESHOLD, "min_size_voxels": _MIN_SIZE},
    halo=lambda _options, _spacing: (0, 0, 0),
)
