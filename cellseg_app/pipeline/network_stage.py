"""The network's part of a run: fills the workspace with the probability, slab by slab."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cellseg_app.core.progress import StageProgress
from cellseg_app.inference.session import NetworkSession
from cellseg_app.pipeline.reporting import Reporting
from cellseg_app.pipeline.workspace import Workspace


def run_network(
    session: NetworkSession, workspace: Workspace, report: Reporting
) -> npt.NDArray[np.float16]:
    """Return the probability (C, Z, Y, X), float16, on the network's lattice, lying on disk.

    Slabs that an interrupted run has finished are kept.

    Raises
    ------
    Cancelled
        Within one batch of windows; finished slabs stay for the next run.
    """
    probability = workspace.probability(session.card.classes, session.lattice.shape_zyx)
    first_slab = workspace.slabs_done
    total = session.windows_to_run()
    done = total - session.windows_to_run(first_slab)
    stage = StageProgress(report.progress, "network", total, cancel=report.cancel, done=done)
    for slab in session.slabs(stage, first_slab=first_slab, spill_folder=workspace.folder):
        # What is never written takes no room on disk, and reads as 0.
        if session.needed is None or slab.probability.any():
            probability[:, slab.begin : slab.end] = slab.probability
        workspace.slab_finished(slab.number + 1, probability)
    return probability
