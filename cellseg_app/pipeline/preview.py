"""The run in small: one box of a volume, in memory, with the choices of the whole volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_app.analysis.class_choice import foreground_class
from cellseg_app.analysis.instances import segment_instances
from cellseg_app.core.blocks import Region, region_shape
from cellseg_app.core.progress import StageProgress
from cellseg_app.core.settings import RunSettings
from cellseg_app.core.volume import LazyArray, SpacingZYX, Volume
from cellseg_app.inference.resample import resample
from cellseg_app.inference.session import VolumeFit, fit_volume, open_session
from cellseg_app.inference.weights import LoadedNetwork
from cellseg_app.pipeline.choices import CellDefaults, instance_choice, no_such_class
from cellseg_app.pipeline.reporting import Reporting


@dataclass(frozen=True, slots=True)
class Preview:
    """What the network makes of a box.

    Attributes
    ----------
    region
        The box, in the volume's voxels.
    probability
        (C, Z, Y, X) float32, on the volume's lattice.
    class_index
        The class whose cells are labelled.
    labels
        (Z, Y, X) uint32.
    n_cells
        Number of labels.
    fit
        What was found out about the whole volume; give it to the next preview.
    """

    region: Region
    probability: npt.NDArray[np.float32]
    class_index: int
    labels: npt.NDArray[np.uint32]
    n_cells: int
    fit: VolumeFit


@dataclass(frozen=True, slots=True)
class LabelledCells:
    """Labels (Z, Y, X) uint32 and their number."""

    labels: npt.NDArray[np.uint32]
    n_cells: int


def preview(
    volume: Volume,
    region: Region,
    loaded: LoadedNetwork,
    settings: RunSettings,
    report: Reporting,
    fit: VolumeFit | None = None,
) -> Preview:
    """Run the network on one box of a volume and label its cells; nothing is written.

    Size and intensity of the cells are judged on the whole volume, so that the box looks as it
    will in the full run (except within a few voxels of its faces).

    Raises
    ------
    UserError
        The settings do not fit the volume.
    Cancelled
        The user asked to stop.
    """
    fit = fit or fit_volume(loaded, volume, settings)
    box = np.asarray(volume.data[region])
    part = Volume(box, volume.spacing_um_zyx, volume.name, volume.source)
    part_fit = fit.for_part(volume.shape_zyx, region_shape(region))
    session = open_session(loaded, part, settings, part_fit)
    stage = StageProgress(report.progress, "preview", session.grid.n_windows, cancel=report.cancel)
    on_network = np.concatenate([slab.probability for slab in session.slabs(stage)], axis=1)
    probability = resample(on_network, region_shape(region))
    wanted = settings.threshold.class_choice
    if isinstance(wanted, int) and wanted >= probability.shape[0]:
        raise no_such_class(wanted, probability.shape[0])
    index = wanted if isinstance(wanted, int) else foreground_class(box, probability)
    found = label_cells(
        probability[index], settings, CellDefaults.of(loaded.card), volume.spacing_um_zyx, report
    )
    return Preview(region, probability, index, found.labels, found.n_cells, fit)


def label_cells(
    probability: LazyArray,
    settings: RunSettings,
    defaults: CellDefaults,
    spacing_um_zyx: SpacingZYX | None,
    report: Reporting,
) -> LabelledCells:
    """Label the cells of one class's probability (Z, Y, X) in memory: for live tuning."""
    shape: Any = tuple(probability.shape)
    labels = np.zeros(shape, np.uint32)
    choice = instance_choice(settings, defaults)
    if choice is None:
        return LabelledCells(labels, 0)
    result = segment_instances(
        probability,
        labels,
        method=choice.method,
        threshold=choice.threshold,
        options=choice.options,
        spacing_um_zyx=spacing_um_zyx,
        progress=report.progress,
        cancel=report.cancel,
    )
    return LabelledCells(labels, result.n_cells)
