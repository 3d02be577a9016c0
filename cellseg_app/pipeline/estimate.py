"""What a run will need, told before it begins."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Final

from cellseg_app.core.settings import OutputSettings
from cellseg_app.core.volume import ShapeZYX
from cellseg_app.inference.lattice import refinement
from cellseg_app.inference.session import NetworkSession
from cellseg_app.pipeline.network_stage import LAYER_BYTES

_MIB: Final = 1024**2
_GIB: Final = 1024**3
# Measured on two cores: labels, measurements and files cost about this much per voxel.
_SECONDS_PER_VOXEL: Final = 4e-7
# Arrays that telling cells apart holds per voxel of a block (float32, uint32 and smaller ones).
_BLOCK_BYTES_PER_VOXEL: Final = 60
_LARGEST_BLOCK_VOXELS: Final = 192**3


@dataclass(frozen=True, slots=True)
class Estimate:
    """Time, memory and disk space of one volume's run.

    Attributes
    ----------
    windows
        How many windows are left to run.
    seconds
        Network and everything after it.
    memory_bytes
        Peak beyond what the program takes while idle.
    disk_bytes
        Results and the workspace while the run lasts.
    """

    windows: int
    seconds: float
    memory_bytes: int
    disk_bytes: int

    def sentence(self) -> str:
        """The estimate in words."""
        return (
            f"Estimate: {self.windows} windows, about {_duration(self.seconds)}, "
            f"{_size(self.memory_bytes)} of memory, {_size(self.disk_bytes)} on disk."
        )

    def as_dict(self) -> dict[str, float]:
        """For the run record."""
        return asdict(self)


def estimate_run(
    session: NetworkSession,
    output_shape_zyx: ShapeZYX,
    output: OutputSettings,
    *,
    windows: int,
    share: float | None = None,
) -> Estimate:
    """Estimate a run from the session's probe windows.

    Parameters
    ----------
    session
        Network and volume.
    output_shape_zyx
        Lattice of the results.
    output
        What is written.
    windows
        How many are left to run.
    share
        Of a volume that is worked on in blocks, about how much holds anything; None for others,
        which lie in flat files.
    """
    out_voxels, net_voxels = math.prod(output_shape_zyx), math.prod(session.lattice.shape_zyx)
    refine = refinement(session.lattice.shape_zyx, output_shape_zyx)
    cell_voxels = math.prod(refine) * out_voxels
    classes = session.card.classes
    layer_voxels = session.grid.window_zyx[0] * math.prod(session.lattice.shape_zyx[1:])
    batch_voxels = session.placement.batch * math.prod(session.grid.window_zyx)
    layer_bytes = 4 * classes * layer_voxels
    memory = (
        session.timing.network_bytes
        + (layer_bytes if share is None else min(layer_bytes, 3 * LAYER_BYTES))
        + 8 * classes * batch_voxels
        + _BLOCK_BYTES_PER_VOXEL * min(cell_voxels, _LARGEST_BLOCK_VOXELS)
    )
    # In chunks, or where parts lie on another lattice, labels lie there twice: in parts and as
    # cells. What is empty takes no room.
    in_parts = 0 if share is None and cell_voxels == out_voxels else 4 * cell_voxels
    workspace = 2 * classes * net_voxels + 4 * out_voxels + in_parts
    results = 4 * out_voxels * (1 + (classes if output.save_probability else 0))
    filled = 1.0 if share is None else share
    disk = int(workspace * filled) + int(results * (filled if output.format == "zarr" else 1.0))
    seconds = filled * (
        windows * session.timing.seconds_per_window + _SECONDS_PER_VOXEL * cell_voxels
    )
    return Estimate(windows, seconds, memory, disk)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{seconds / 3600:.1f} h"


def _size(n_bytes: float) -> str:
    return f"{n_bytes / _GIB:.1f} GiB" if n_bytes >= _GIB else f"{n_bytes / _MIB:.0f} MiB"
