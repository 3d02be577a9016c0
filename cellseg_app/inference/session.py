"""One network set up for one volume: lattice, intensity scale, windows, precision, placement."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import psutil

from cellseg_app.core.blocks import CroppedArray, Region, region_shape
from cellseg_app.core.progress import StageProgress
from cellseg_app.core.settings import InferenceSettings, Precision, RunSettings
from cellseg_app.core.volume import LazyArray, ShapeZYX, Volume
from cellseg_app.inference.cards import ModelCard
from cellseg_app.inference.devices import choose_device
from cellseg_app.inference.engine import Placement, Slab, predict_slabs, windows_to_run
from cellseg_app.inference.lattice import NetworkLattice, network_lattice
from cellseg_app.inference.normalize import IntensityScale, intensity_scale, sample_voxels
from cellseg_app.inference.precision import choose_precision
from cellseg_app.inference.predictor import WindowPredictor
from cellseg_app.inference.weights import LoadedNetwork
from cellseg_app.inference.windows import (
    WindowGrid,
    read_reflected,
    slab_bounds,
    window_grid,
)

# Border voxels are seen with this much reflected surroundings (voxels of the network's lattice).
_MARGIN: Final = 8
# Two at once: torch takes a several times slower convolution for single small windows on CPUs.
_CPU_BATCH: Final = 2
_GPU_BATCH: Final = 4
_PROBE_CANDIDATES: Final = 24


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
class NetworkSession:
    """A loaded network ready to be led over one volume; see `open_session`."""

    loaded: LoadedNetwork
    image: LazyArray
    lattice: NetworkLattice
    scale: IntensityScale | None
    grid: WindowGrid
    placement: Placement
    precision: Precision
    flip_averaging: bool
    timing: ProbeTiming
    volume_shape_zyx: ShapeZYX
    overlap: float
    notes: tuple[str, ...]

    @property
    def card(self) -> ModelCard:
        """The network's model card."""
        return self.loaded.card

    @property
    def n_slabs(self) -> int:
        """How many slabs the probability consists of."""
        return len(slab_bounds(self.grid))

    def windows_to_run(self, first_slab: int = 0) -> int:
        """How many windows are left when slabs before `first_slab` exist."""
        return windows_to_run(self.grid, first_slab)

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
        )

    def slabs(
        self, stage: StageProgress, *, first_slab: int = 0, spill_folder: Path | None = None
    ) -> Iterator[Slab]:
        """Yield the probability on the network's lattice; see `engine.predict_slabs`."""
        return predict_slabs(
            self.image,
            lambda device: _predictor(
                self.loaded, self.scale, device, self.precision, self.flip_averaging
            ),
            self.grid,
            placement=self.placement,
            stage=stage,
            first_slab=first_slab,
            spill_folder=spill_folder,
        )


def open_session(loaded: LoadedNetwork, volume: Volume, settings: RunSettings) -> NetworkSession:
    """Set a network up for a volume and try it on a few windows.

    Raises
    ------
    SettingsError
        The machine has no such device, or the network cannot run with such windows.
    """
    card, wanted = loaded.card, settings.inference
    lattice = network_lattice(volume, card, settings.size)
    scale = _volume_scale(card, volume.data)
    image = lattice.view(volume.data)
    grid = _grid(card, lattice, wanted)
    placement = _placement(loaded, wanted)
    probe_grid = _probe_grid(card, grid, lattice, wanted)
    probe = _brightest_windows(image, probe_grid, placement.batch)
    threshold = settings.threshold.threshold
    precision, why = choose_precision(
        wanted.precision,
        placement.device,
        lambda p: _predictor(loaded, scale, placement.device, p, False),
        probe,
        card.default_threshold if threshold is None else threshold,
    )
    predictor = _predictor(loaded, scale, placement.device, precision, wanted.flip_averaging)
    timing = _timed(predictor, probe, per_voxels=int(np.prod(grid.window_zyx)))
    notes = (*loaded.notes, *_window_notes(card, wanted), *lattice.notes)
    notes = (*notes, f"Precision {precision}: {why}")
    return NetworkSession(
        loaded=loaded,
        image=image,
        lattice=lattice,
        scale=scale,
        grid=grid,
        placement=placement,
        precision=precision,
        flip_averaging=wanted.flip_averaging,
        timing=timing,
        volume_shape_zyx=volume.shape_zyx,
        overlap=wanted.overlap,
        notes=notes,
    )


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
    on_cpu = wanted.keep_on_cpu or device == "cpu"
    return Placement(device, batch, "cpu" if on_cpu else "device")


def _predictor(
    loaded: LoadedNetwork,
    scale: IntensityScale | None,
    device: str,
    precision: Precision,
    flip_averaging: bool,
) -> WindowPredictor:
    forward = loaded.module if loaded.cpu_only else loaded.module.to(device)
    return WindowPredictor(forward, loaded.card, scale, device, precision, flip_averaging)


def _brightest_windows(image: LazyArray, grid: WindowGrid, count: int) -> npt.NDArray[Any]:
    """Raw windows (count, Z, Y, X) with the most light among a bounded number of candidates."""
    starts = [
        (z, y, x)
        for z in grid.axes[0].starts
        for y in grid.axes[1].starts
        for x in grid.axes[2].starts
    ]
    picked = np.unique(np.linspace(0, len(starts) - 1, _PROBE_CANDIDATES).round().astype(int))
    windows = [read_reflected(image, starts[i], grid.window_zyx) for i in picked]
    order = np.argsort([-float(np.mean(window, dtype=np.float64)) for window in windows])
    return np.stack([windows[i] for i in order[:count]])


def _timed(
    predictor: WindowPredictor, windows: npt.NDArray[Any], *, per_voxels: int
) -> ProbeTiming:
    process = psutil.Process()
    before = process.memory_info().rss
    predictor(windows[:1])
    begin = time.perf_counter()
    predictor(windows).cpu()
    seconds = (time.perf_counter() - begin) / windows.size * per_voxels
    grown = max(0, process.memory_info().rss - before) * per_voxels / windows[0].size
    return ProbeTiming(seconds, int(grown))
