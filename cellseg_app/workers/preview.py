"""A run on the visible crop only: same network, same scale, same functions, nothing kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from cellseg_app.core.blocks import CroppedArray, PlacedArray, Region, grow, region_shape, whole
from cellseg_app.core.box import on_other_lattice
from cellseg_app.core.settings import RegionSettings, RunSettings
from cellseg_app.workers.jobs import JobContext, Work
from cellseg_app.workers.live import LiveCells, TunableMap, live_cells
from cellseg_app.workers.runs import NetworkShelf, reporting
from cellseg_app.workers.scratch import scratch_folder

if TYPE_CHECKING:
    from cellseg_app.inference.session import NetworkSession
    from cellseg_app.pipeline.reporting import Reporting

# The crop is predicted with this much of its surroundings (voxels of the network's lattice).
_SURROUNDINGS: Final = 12


@dataclass(frozen=True, slots=True, eq=False)
class Preview:
    """Cells of a crop, and the map they came from, to be tuned on.

    Attributes
    ----------
    runtime
        What computed the network: torch or openvino.
    notes
        Sentences saying why.
    """

    source: Path
    region: Region
    map: TunableMap
    cells: LiveCells
    runtime: str
    notes: tuple[str, ...]


def previewing(shelf: NetworkShelf, source: Path, *, settings: RunSettings, region: Region) -> Work:
    """Work that runs the network on a region of a volume; gives a `Preview`.

    The intensity scale, the cell size and the arithmetic are those of the whole volume; only
    cells at the border of the crop may come out differently in a full run.
    """

    def work(context: JobContext) -> Preview:
        from cellseg_app.analysis.class_choice import foreground_class
        from cellseg_app.pipeline.preparing import RunRequest, prepare

        loaded = shelf.network(settings.network)
        report = reporting(context)
        # The lattice of the volume is shown; isotropic results come with the full run.
        size = settings.size.model_copy(update={"isotropic": False})
        # The crop is shown whether or not it lies in the region of the run.
        own = settings.model_copy(update={"size": size, "region": RegionSettings()})
        with scratch_folder() as folder:
            request = RunRequest(source, folder, own, datetime.now().astimezone())
            ready = prepare(request, loaded, report)
            session = ready.session
            probability = _predict(session, region, folder, report)
        volume = ready.volume
        image = CroppedArray(volume.data, region)
        shown = _chosen_class(own, lambda: foreground_class(image, probability), probability)
        source_map = TunableMap(
            probability,
            image,
            volume.spacing_um_zyx,
            ready.cell_defaults,
            foreground_class=shown,
            origin_zyx=(region[0].start, region[1].start, region[2].start),
        )
        inside = whole(region_shape(region))
        cells = live_cells(source_map, own, inside, measure=True, context=context)
        return Preview(source, region, source_map, cells, session.runtime, session.notes)

    return work


def _chosen_class(settings: RunSettings, find: Any, probability: npt.NDArray[Any]) -> int:  # noqa: ANN401
    chosen = settings.threshold.class_choice
    if isinstance(chosen, int):
        return chosen
    return int(find()) if probability.shape[0] > 1 else 0


def _predict(
    session: NetworkSession, region: Region, folder: Path, report: Reporting
) -> npt.NDArray[np.float16]:
    """Probability (C, Z, Y, X) of the region, on the volume's own lattice."""
    from cellseg_app.inference.resample import ResampledArray
    from cellseg_app.pipeline.network_stage import run_network
    from cellseg_app.pipeline.workspace import Workspace

    shape = session.volume_shape_zyx
    net_shape = session.lattice.shape_zyx
    net_region = grow(on_other_lattice(region, shape, net_shape), (_SURROUNDINGS,) * 3, net_shape)
    part = session.for_region(net_region)
    probability = run_network(part, Workspace(folder, "preview", "0"), report)
    # Pasted into the frame of the whole lattice, so that voxel centres map as in a full run.
    frame = PlacedArray(probability, net_region, net_shape)
    on_volume = frame if net_shape == shape else ResampledArray(frame, shape)
    classes = slice(0, probability.shape[0])
    return np.array(on_volume[(classes, *region)], dtype=np.float16)
