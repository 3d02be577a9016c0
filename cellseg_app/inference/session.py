"""One network set up for one volume, as `session_setup` does it or another process has done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final, Literal

from cellseg_app.core.blocks import CroppedArray, Region, region_shape
from cellseg_app.core.progress import StageProgress
from cellseg_app.core.settings import Precision
from cellseg_app.core.volume import LazyArray, ShapeZYX, Volume
from cellseg_app.inference.cards import ModelCard
from cellseg_app.inference.emptiness import (
    EmptyWindows,
)
from cellseg_app.inference.engine import Slab, predict_slabs, windows_to_run
from cellseg_app.inference.feed import Needed
from cellseg_app.inference.lattice import NetworkLattice
from cellseg_app.inference.normalize import IntensityScale
from cellseg_app.inference.predictor import WindowPredictor
from cellseg_app.inference.runtime import Forward, RuntimeName
from cellseg_app.inference.runtime.forwards import open_forward, torch_device
from cellseg_app.inference.stitching import Placement
from cellseg_app.inference.weights import LoadedNetwork
from cellseg_app.inference.window_blocks import block_grid
from cellseg_app.inference.windows import (
    WindowGrid,
    slab_bounds,
    window_grid,
)

# Border voxels are seen with this much reflected surroundings (voxels of the network's lattice).
_MARGIN: Final = 8


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
            **self._chosen(),
            loaded=loaded,
            image=self.lattice.view(volume.data),
            forward=forward,
            timing=ProbeTiming(0.0, 0),
            volume_shape_zyx=volume.shape_zyx,
            notes_at_start=(),
        )

    def _chosen(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(SessionTerms)}


@dataclass(frozen=True)
class NetworkSession(SessionTerms):
    """A loaded network ready to be led over one volume; see `session_setup.open_session`.

    `needed` tells which regions of its lattice anyone looks at; None for all of them.
    """

    loaded: LoadedNetwork
    image: LazyArray
    forward: Forward
    timing: ProbeTiming
    volume_shape_zyx: ShapeZYX
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
        return SessionTerms(**self._chosen())

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
            grid=card_grid(self.card, shape, edge, self.overlap),
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


def card_grid(
    card: ModelCard, shape_zyx: ShapeZYX, window: int | Literal["whole"], overlap: float
) -> WindowGrid:
    """The windows that suit a network, laid over a volume; see `window_grid`."""
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
