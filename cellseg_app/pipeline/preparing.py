"""A volume and a network made ready for each other: opened, tried on a few windows, estimated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from cellseg_app.core.errors import SettingsError
from cellseg_app.core.settings import RunSettings
from cellseg_app.core.volume import LazyArray, ShapeZYX, SpacingZYX, Volume
from cellseg_app.inference.lattice import refinement
from cellseg_app.inference.resample import ResampledArray
from cellseg_app.inference.session import NetworkSession
from cellseg_app.inference.session_setup import open_session
from cellseg_app.inference.weights import LoadedNetwork
from cellseg_app.io.finite import check_values
from cellseg_app.io.open import n_levels, open_volume
from cellseg_app.io.shared import SharedArray
from cellseg_app.pipeline.cells_stage import isotropic_shape
from cellseg_app.pipeline.choices import CellDefaults
from cellseg_app.pipeline.estimate import Estimate, estimate_run
from cellseg_app.pipeline.network_stage import NetworkPlan, filled_share, plan_network
from cellseg_app.pipeline.regions import RunRegion, find_region
from cellseg_app.pipeline.remote_blocks import Cluster
from cellseg_app.pipeline.reporting import Reporting
from cellseg_app.pipeline.workspace import MOST_FLAT_VOXELS, Workspace


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One volume to be run.

    Attributes
    ----------
    source
        File or folder.
    output_folder
        Where results go.
    settings
        All choices.
    started
        Goes into the names of the results.
    number
        The volume's place in its batch, from 1; goes into the names too.
    """

    source: Path
    output_folder: Path
    settings: RunSettings
    started: datetime
    number: int = 1


@dataclass(frozen=True, slots=True)
class Prepared:
    """A volume and a network that fit together, tried on a few windows; nothing is written yet."""

    volume: Volume
    session: NetworkSession
    output_shape_zyx: ShapeZYX
    output_spacing_um_zyx: SpacingZYX | None
    estimate: Estimate
    region: RunRegion | None = None
    network_plan: NetworkPlan | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about the volume and the choices made for it."""
        region = () if self.region is None else (self.region.sentence(),)
        return (*self.volume.notes, *region, *self.session.notes)

    def on_output_lattice(self, array: LazyArray) -> LazyArray:
        """An array (…, Z, Y, X) of this volume, on the lattice of the results."""
        if tuple(array.shape[-3:]) == self.output_shape_zyx:
            return array
        return ResampledArray(array, self.output_shape_zyx)

    @property
    def cell_defaults(self) -> CellDefaults:
        """How cells are told apart in the results, where the settings leave it open."""
        refine = refinement(self.session.lattice.shape_zyx, self.output_shape_zyx)
        return CellDefaults.of(self.session.card, refine)

    @property
    def output_region(self) -> RunRegion | None:
        """What is searched, on the lattice of the results."""
        return None if self.region is None else self.region.on_lattice(self.output_shape_zyx)


def prepare(
    request: RunRequest,
    loaded: LoadedNetwork,
    report: Reporting,
    *,
    workspace: Workspace | None = None,
    cluster: Cluster | None = None,
) -> Prepared:
    """Open the volume, set the network up for it, and estimate the run.

    With a workspace, what is left of an interrupted run is estimated; with a cluster, the volume
    is prepared to be shared with it.

    Raises
    ------
    UserError
        The volume, the network or the settings cannot be used, or do not fit together.
    """
    settings = request.settings
    volume = open_volume(request.source, settings.data)
    volume = check_values(volume, progress=report.progress, cancel=report.cancel)
    if cluster is not None:
        volume = replace(volume, data=SharedArray(request.source, settings.data, volume.data))
    shape, spacing = volume.shape_zyx, volume.spacing_um_zyx
    if settings.size.isotropic:
        if spacing is None:
            raise SettingsError(
                "Isotropic results need the voxel size, which the file does not state.",
                "Give it with --voxel-size Z Y X.",
                path=request.source,
            )
        shape, spacing = isotropic_shape(shape, spacing)
    region = find_region(volume, settings.region, report)
    session = open_session(
        loaded,
        volume,
        settings,
        coarser=_coarser(request, volume),
        progress=report.progress,
        cancel=report.cancel,
    )
    if region is not None:
        lattice_shape = session.lattice.shape_zyx
        session = replace(session, needed=lambda part: region.concerns(part, lattice_shape))
    workers = 0 if cluster is None else cluster.n_workers
    plan = None if workspace is None else plan_network(session, workspace, workers=workers)
    windows = session.windows_to_run() if plan is None else plan.windows_left
    share = filled_share(session, chunked=plan is not None and bool(plan.blocks))
    estimate = estimate_run(session, shape, settings.output, windows=windows, share=share)
    return Prepared(volume, session, shape, spacing, estimate, region, plan)


def _coarser(request: RunRequest, volume: Volume) -> list[LazyArray]:
    """Coarser levels of a large volume's own pyramid, if empty windows are to be skipped."""
    settings = request.settings
    if not settings.inference.skip_empty or volume.n_voxels <= MOST_FLAT_VOXELS:
        return []
    found: list[LazyArray] = []
    for level in range(settings.data.level + 1, n_levels(request.source)):
        data = settings.data.model_copy(update={"level": level})
        found.append(SharedArray(request.source, data, open_volume(request.source, data).data))
    return found
