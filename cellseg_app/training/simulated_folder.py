"""A folder of simulated volumes that knows how it was made."""

from __future__ import annotations

from pathlib import Path

from cellseg_app.core.progress import CancelToken, ProgressSink
from cellseg_app.training.recipe import keep_recipe
from cellseg_app.training.requests import SimulationRequest
from cellseg_app.training.simulator import SimulationSettings, simulate_to_folder
from cellseg_app.training.steps import step_of


def run_simulation(
    request: SimulationRequest,
    *,
    progress: ProgressSink | None = None,
    cancel: CancelToken | None = None,
) -> Path:
    """Write the volumes, and beside them the step that makes them again; return the folder.

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    given = {
        "preset": request.preset,
        "extent_voxels_zyx": request.size,
        "diameter_um": request.diameter_um,
        "diameter_voxels": request.diameter_voxels,
        "anisotropy": request.anisotropy,
        "photons": request.photons,
        "label_level": request.label_level,
    }
    settings = SimulationSettings(**{k: v for k, v in given.items() if v is not None})
    simulate_to_folder(
        settings,
        request.out,
        count=request.count,
        seed=request.seed,
        workers=request.workers,
        progress=progress,
        cancel=cancel,
    )
    keep_recipe(request.out, (step_of(request),))
    return request.out
