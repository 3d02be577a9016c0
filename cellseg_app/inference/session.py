"""One network set up for one volume: lattice, intensity scale, windows, runtime, placement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from cellseg_app.core.blocks import CroppedArray, Region, region_shape
from cellseg_app.core.progress import CancelToken, ProgressSink, StageProgress
from cellseg_app.core.settings import InferenceSettings, Precision, RunSettings
from cellseg_app.core.volume import LazyArray, ShapeZYX, Volume
from cellseg_app.inference.cards import ModelCard
from cellseg_app.inference.devices import choose_device
from cellseg_app.inference.emptiness import (
    CoarseView,
    EmptyWindows,
    bears_skipping,
    coarse_view,
    find_empty_windows,
)
from cellseg_app.inference.engine import Slab, predict_slabs, windows_to_run
from cellseg_app.inference.feed import Needed
from cellseg_app.inference.lattice import NetworkLattice, network_lattice
from cellseg_app.inference.normalize import IntensityScale, intensity_scale, sample_voxels
from cellseg_app.inference.predictor import WindowPredictor
from cellseg_app.inference.runtime import Forward, RuntimeName
from cellseg_app.inference.runtime.choice import choose_runtime
from cellseg_app.inference.runtime.forwards import open_forward, torch_device
from cellseg_app.inference.runtime.trials import Task, Trial
from cellseg_app.inference.stitching import Placement
from cellseg_app.inference.weights import LoadedNetwork
from cellseg_app.inference.window_blocks import block_grid
from cellseg_app.inference.windows import (
    WindowGrid,
    brightest_first,
    sample_starts,
    sample_windows,
    slab_bounds,
    window_grid,
    window_region,
)

# Border voxels are seen with this much reflected surroundings (voxels of the network's lattice).
_MARGIN: Final = 8
# Two at once: torch takes a several times slower convolution for single small windows on CPUs.
_CPU_BATCH: Final = 2
_GPU_BATCH: Final = 4
_SAMPLED: Final = 24
# Finding out what an empty window looks like costs a few windows.
_WORTH_SKIPPING: Final = 32
# Trials of runtimes: PyTorch, the other runtime, each in two precisions.
_TRIALS: Final = 4


@dataclass(frozen=True)
class ProbeTiming:
    """What a few windows told about the whole.

    Attributes
    ----------
    seconds_per_window
        Time of one window in the batch size and precision of the run.
    network_bytes
        Memory the network took while it ran.
    """

    seconds_per_window: float
    network_bytes: int


@dataclass(frozen=True)
class SessionTerms:
    """What was chosen for a volume; with it, another process computes the very same."""

    lattice: NetworkLattice
    scale: IntensityScale | None
    grid: WindowGrid
    placement: Placement
    runtime: RuntimeName
    precision: Precision
    flip_averaging: bool
    overlap: float
    empty: EmptyWindows | None

    def reopened(self, loaded: LoadedNetwork, volume: Volume) -> NetworkSession:
        """The session in a process that has loaded the same weights and opened the same file."""
        z, y, x = self.grid.window_zyx
        forward = open_forward(
            loaded,
            self.runtime,
            device=self.placement.device,
            precision=self.precision,
            window=(x, y, z) if loaded.card.input_axes == "XYZ" else (z, y, x),
            at_once=self.placement.batch,
        )
        return NetworkSession(
            loaded=loaded,
            image=self.lattice.view(volume.data),
            lattice=self.lattice,
            scale=self.scale,
            grid=self.grid,
            placement=self.placement,
            runtime=self.runtime,
            precision=self.precision,
            forward=forward,
            flip_averaging=self.flip_averaging,
            timing=ProbeTiming(0.0, 0),
            volume_shape_zyx=volume.shape_zyx,
            overlap=self.overlap,
            empty=self.empty,
            notes_at_start=(),
        )


@dataclass(frozen=True)
class NetworkSession:
    """A loaded network ready to be led over one volume; see `open_session`.

    `needed` tells which regions of its lattice anyone looks at; None for all of them.
    """

    loaded: LoadedNetwork
    image: LazyArray
    lattice: NetworkLattice
    scale: IntensityScale | None
    grid: WindowGrid
    placement: Placement
    runtime: RuntimeName
    precision: Precision
    forward: Forward
    flip_averaging: bool
    timing: ProbeTiming
    volume_shape_zyx: ShapeZYX
    overlap: float
    empty: EmptyWindows | None
    notes_at_start: tuple[str, ...]
    needed: Needed | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about the choices made, and about what happened since."""
        notes = list(self.notes_at_start)
        trouble = getattr(self.forward, "trouble", None)
        if trouble is not None:
            notes.append(f"OpenVINO failed ({trouble}); PyTorch computed the rest.")
        if self.empty is not None and self.empty.n_skipped:
            notes.append(f"{self.empty.n_skipped} windows held nothing and were skipped.")
        return tuple(notes)

    @property
    def terms(self) -> SessionTerms:
        """For other processes."""
        return SessionTerms(
            lattice=self.lattice,
            scale=self.scale,
            grid=self.grid,
            placement=self.placement,
            runtime=self.runtime,
            precision=self.precision,
            flip_averaging=self.flip_averaging,
            overlap=self.overlap,
            empty=self.empty,
        )

    @property
    def card(self) -> ModelCard:
        """The network's model card."""
        return self.loaded.card

    @property
    def n_slabs(self) -> int:
        """How many slabs the probability consists of."""
        return len(slab_bounds(self.grid))

    def windows_to_run(self, first_slab: int = 0) -> int:
        """How many windows are left when slabs before `first_slab` exist; all from 0 on."""
        return windows_to_run(self.grid, first_slab, self.needed)

    def slab_of(self, plane: int) -> int:
        """The slab in which a plane of the grid lies; the number of slabs behind the last one."""
        ends = [end for _, end in slab_bounds(self.grid)]
        return next((number for number, end in enumerate(ends) if end > plane), len(ends))

    def windows_left(self, planes: int) -> int:
        """How many windows are left when the first planes exist."""
        return self.windows_to_run(self.slab_of(planes))

    def for_region(self, region: Region) -> NetworkSession:
        """The same network, scale and precision on a box of the network's lattice."""
        shape = region_shape(region)
        edge = max(self.grid.window_zyx)
        if not self.card.window_fixed:
            edge = min(edge, -(-max(shape) // self.card.divisor) * self.card.divisor)
        return replace(
            self,
            image=CroppedArray(self.image, region),
            lattice=replace(self.lattice, shape_zyx=shape),
            grid=_card_grid(self.card, shape, edge, self.overlap),
            needed=None,
        )

    def for_block(self, core: Region) -> NetworkSession:
        """The same windows, but only those that reach into a block; its voxels come out the same.

        Unlike `for_region`, whose windows are laid anew.
        """
        return replace(self, grid=block_grid(self.grid, core))

    def slabs(
        self, stage: StageProgress, *, first_slab: int = 0, spill_folder: Path | None = None
    ) -> Iterator[Slab]:
        """Yield the probability on the network's lattice; see `engine.predict_slabs`."""
        return predict_slabs(
            self.image,
            self._predictor_on,
            self.grid,
            placement=self.placement,
            stage=stage,
            first_slab=first_slab,
            spill_folder=spill_folder,
            empty=self.empty,
            needed=self.needed,
        )

    def _predictor_on(self, device: str) -> WindowPredictor:
        forward = self.forward
        if device != self.placement.device:
            forward = open_forward(
                self.loaded,
                "torch",
                device=device,
                precision=self.precision,
                window=self.grid.window_zyx,
                at_once=1,
            )
        return WindowPredictor(
            forward, self.card, self.scale, torch_device(device), self.flip_averaging
        )


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
    scale = _volume_scale(card, volume.data)
    image = lattice.view(volume.data)
    grid = _grid(card, lattice, wanted)
    placement = _placement(loaded, wanted)
    probe_grid = _probe_grid(card, grid, lattice, wanted)
    threshold = settings.threshold.threshold
    starts, sample = (
        sample_starts(probe_grid, _SAMPLED),
        sample_windows(image, probe_grid, _SAMPLED),
    )
    order = brightest_first(sample)
    sample, regions = sample[order], [window_region(probe_grid, starts[place]) for place in order]
    view = coarse_view(coarser, lattice.shape_zyx)
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
        empty=_empty_windows(task, trial, sample, wanted, coarse=view, regions=regions),
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


def _volume_scale(card: ModelCard, image: LazyArray) -> IntensityScale | None:
    spec = card.normalization
    if spec.kind == "none" or spec.scope == "window":
        return None
    return intensity_scale(
        sample_voxels(image),
        spec.low_quantile,
        spec.high_quantile,
        rescale=spec.kind == "quantile_scale",
    )


def _grid(card: ModelCard, lattice: NetworkLattice, wanted: InferenceSettings) -> WindowGrid:
    window = card.window_default if wanted.window == "auto" or card.window_fixed else wanted.window
    return _card_grid(card, lattice.shape_zyx, window, wanted.overlap)


def _card_grid(
    card: ModelCard, shape_zyx: ShapeZYX, window: int | Literal["whole"], overlap: float
) -> WindowGrid:
    return window_grid(
        shape_zyx,
        window,
        overlap,
        divisor=card.divisor,
        minimum=card.minimum,
        # The plugin lets windows end at the border; its checkpoints get the same here.
        margin=0 if card.cellseg3d_compatible else _MARGIN,
        blend_sigma=card.blend_sigma,
    )


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
