"""Setting a network up for a volume: every choice a session stands on, tried on a few windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cellseg_app.core.blocks import Region
from cellseg_app.core.progress import CancelToken, ProgressSink, StageProgress
from cellseg_app.core.settings import InferenceSettings, RunSettings
from cellseg_app.core.volume import LazyArray, Volume
from cellseg_app.inference.background import sample_for_scale, without_background
from cellseg_app.inference.cards import ModelCard
from cellseg_app.inference.devices import choose_device
from cellseg_app.inference.emptiness import (
    CoarseView,
    EmptyWindows,
    bears_skipping,
    coarse_view,
    find_empty_windows,
)
from cellseg_app.inference.lattice import NetworkLattice, network_lattice
from cellseg_app.inference.normalize import IntensityScale, intensity_scale
from cellseg_app.inference.predictor import WindowPredictor
from cellseg_app.inference.runtime.choice import choose_runtime
from cellseg_app.inference.runtime.forwards import torch_device
from cellseg_app.inference.runtime.trials import Task, Trial
from cellseg_app.inference.session import NetworkSession, ProbeTiming, card_grid
from cellseg_app.inference.stitching import Placement
from cellseg_app.inference.weights import LoadedNetwork
from cellseg_app.inference.windows import (
    WindowGrid,
    brightest_first,
    read_windows,
    sample_starts,
    window_region,
)

# Two at once: torch takes a several times slower convolution for single small windows on CPUs.
_CPU_BATCH: Final = 2
_GPU_BATCH: Final = 4
_SAMPLED: Final = 24
# Finding out what an empty window looks like costs a few windows.
_WORTH_SKIPPING: Final = 32
# Trials of runtimes: PyTorch, the other runtime, each in two precisions.
_TRIALS: Final = 4


def open_session(
    loaded: LoadedNetwork,
    volume: Volume,
    settings: RunSettings,
    *,
    coarser: Sequence[LazyArray] = (),
    progress: ProgressSink | None = None,
    cancel: CancelToken | None = None,
) -> NetworkSession:
    """Set a network up for a volume and try it on a few windows.

    Parameters
    ----------
    loaded, volume, settings
        What is run, on what, and how.
    coarser
        Coarser copies of the volume's voxels, for telling empty windows without reading them.
    progress, cancel
        Told about trials; asked whether to stop.

    Raises
    ------
    SettingsError
        The machine has no such device, or the network cannot run with such windows.
    Cancelled
        The user asked to stop.
    """
    card, wanted = loaded.card, settings.inference
    lattice = network_lattice(volume, card, settings.size)
    view = lattice.view(volume.data)
    image = without_background(view, card.normalization, card.object_diameter_voxels)
    scale = _volume_scale(card, volume.data, image)
    grid = _grid(card, lattice, wanted)
    placement = _placement(loaded, wanted)
    probe_grid = _probe_grid(card, grid, lattice, wanted)
    threshold = settings.threshold.threshold
    starts = sample_starts(probe_grid, _SAMPLED)
    sample = read_windows(image, probe_grid, starts)
    order = brightest_first(sample)
    sample, regions = sample[order], [window_region(probe_grid, starts[place]) for place in order]
    # A coarser copy tells nothing of a volume whose background is taken away.
    coarse = coarse_view(coarser, lattice.shape_zyx) if image is view else None
    task = Task(
        loaded,
        sample[: placement.batch],
        window_zyx=grid.window_zyx,
        n_windows=probe_grid.n_windows * (8 if wanted.flip_averaging else 1),
        threshold=card.default_threshold if threshold is None else threshold,
        predictor=lambda forward, device: WindowPredictor(
            forward, card, scale, torch_device(device)
        ),
    )
    stage = StageProgress(progress, "trying the network", _TRIALS, cancel=cancel)
    choice = choose_runtime(wanted, placement.device, task, stage)
    trial = choice.trial
    return NetworkSession(
        loaded=loaded,
        image=image,
        lattice=lattice,
        scale=scale,
        grid=grid,
        placement=replace(placement, device=trial.candidate.device),
        runtime=trial.candidate.runtime,
        precision=trial.candidate.precision,
        forward=trial.forward,
        flip_averaging=wanted.flip_averaging,
        timing=_timing(trial, grid, probe_grid, wanted),
        volume_shape_zyx=volume.shape_zyx,
        overlap=wanted.overlap,
        empty=_empty_windows(task, trial, sample, wanted, coarse=coarse, regions=regions),
        notes_at_start=(
            *loaded.notes,
            *_window_notes(card, wanted),
            *lattice.notes,
            *choice.notes,
        ),
    )


def _timing(
    trial: Trial, grid: WindowGrid, probe_grid: WindowGrid, wanted: InferenceSettings
) -> ProbeTiming:
    larger = float(np.prod(grid.window_zyx)) / float(np.prod(probe_grid.window_zyx))
    views = 8 if wanted.flip_averaging else 1
    return ProbeTiming(trial.seconds * larger * views, int(trial.grown_bytes * larger))


def _volume_scale(card: ModelCard, volume: LazyArray, seen: LazyArray) -> IntensityScale | None:
    spec = card.normalization
    if spec.kind == "none" or spec.scope == "window":
        return None
    return intensity_scale(
        sample_for_scale(volume, seen),
        spec.low_quantile,
        spec.high_quantile,
        rescale=spec.kind == "quantile_scale",
    )


def _grid(card: ModelCard, lattice: NetworkLattice, wanted: InferenceSettings) -> WindowGrid:
    window = card.window_default if wanted.window == "auto" or card.window_fixed else wanted.window
    return card_grid(card, lattice.shape_zyx, window, wanted.overlap)


def _probe_grid(
    card: ModelCard, grid: WindowGrid, lattice: NetworkLattice, wanted: InferenceSettings
) -> WindowGrid:
    if wanted.window != "whole" or card.window_fixed:
        return grid
    # Trying the whole volume would cost as much as the run itself.
    return _grid(card, lattice, wanted.model_copy(update={"window": "auto"}))


def _window_notes(card: ModelCard, wanted: InferenceSettings) -> tuple[str, ...]:
    if not card.window_fixed or wanted.window in ("auto", card.window_default):
        return ()
    return (f"{card.name} always sees windows of {card.window_default} voxels.",)


def _placement(loaded: LoadedNetwork, wanted: InferenceSettings) -> Placement:
    device = "cpu" if loaded.cpu_only else choose_device(wanted.device)
    batch = wanted.batch or (_CPU_BATCH if device == "cpu" else _GPU_BATCH)
    if wanted.window == "whole":
        batch = 1
    on_cpu = wanted.keep_on_cpu or torch_device(device) == "cpu"
    return Placement(device, batch, "cpu" if on_cpu else "device")


def _empty_windows(
    task: Task,
    trial: Trial,
    sample: npt.NDArray[Any],
    wanted: InferenceSettings,
    *,
    coarse: CoarseView | None,
    regions: Sequence[Region],
) -> EmptyWindows | None:
    card, few = task.loaded.card, task.n_windows < _WORTH_SKIPPING
    if not wanted.skip_empty or few or not bears_skipping(card):
        return None
    predictor = task.predictor(trial.forward, trial.candidate.device)
    scale = predictor.scale
    return find_empty_windows(
        sample,
        predictor,
        card=card,
        threshold=task.threshold,
        contrast=0.0 if scale is None else scale.high - scale.low,
        coarse=coarse,
        regions=regions,
    )
