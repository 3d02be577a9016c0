"""Windows that hold nothing need no network: how to tell them, tried on the volume itself.

A window counts as empty if its smoothed intensities rise no higher above its own background than
in windows of the same volume that the network was shown and in which it found nothing. Where no
such windows are found, every window is computed.

Where the volume has a coarser copy whose voxels are smaller than small cells, its voxels are the
smoothed intensities, and a window that holds nothing is not even read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from cellseg_app.core.blocks import Region
from cellseg_app.core.box import on_other_lattice
from cellseg_app.core.volume import LazyArray, ShapeZYX
from cellseg_app.inference.cards import ModelCard

# Boxes are made of means of so many voxels along each axis: an eighth of the numbers.
_MEAN_OF: Final = 2
# Boxes about as large as a small and a typical cell on the network's lattice: (edge, step), means.
_BOXES: Final = ((2, 1), (4, 2))
# The same where a voxel is a box already.
_COARSE_BOXES: Final = ((1, 1), (2, 1))
# Coarse voxels are at most as large as the smaller box; a copy must have this many times fewer.
_LARGEST_STEP: Final = 4.5
_WORTH_COARSE: Final = 4
# Only windows whose structure is this small a share of the volume's contrast may be empty.
_CLEARLY_FLATTER: Final = 0.35
_TRIED: Final = 4
# Single windows keep one core busy only.
_TOGETHER: Final = 2
# The maximum of noise scatters by a few per cent from window to window.
_SCATTER: Final = 1.15
# "Nothing" keeps this share of the threshold away from it.
_QUIET_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True)
class CoarseView:
    """A coarser copy of a volume, to look at its windows without reading them.

    Attributes
    ----------
    voxels
        (Z, Y, X), means of boxes of the volume's voxels.
    shape_zyx
        Of the lattice on which windows lie.
    """

    voxels: LazyArray
    shape_zyx: ShapeZYX

    def look_at(self, region: Region) -> WindowLook:
        """How a region of the windows' lattice looks."""
        z, y, x = self.voxels.shape
        part = on_other_lattice(region, self.shape_zyx, (z, y, x))
        return look_at(np.asarray(self.voxels[part]), _COARSE_BOXES, mean_of=1)


@dataclass(frozen=True, slots=True)
class WindowLook:
    """How bright a window is, and how far its boxes rise above its median at each size."""

    background: float
    rises: tuple[float, ...]


@dataclass(frozen=True)
class EmptyWindows:
    """Tells empty windows of one volume and counts them.

    Attributes
    ----------
    limit
        Windows that look no brighter and no rougher than this are empty.
    fill
        What the network answers in them, per class.
    coarse
        What windows are looked at in, if not in their own voxels.
    """

    limit: WindowLook
    fill: tuple[float, ...]
    coarse: CoarseView | None = None
    _count: list[int] = field(default_factory=lambda: [0])

    @property
    def n_skipped(self) -> int:
        """How many windows were told to be empty so far."""
        return self._count[0]

    def count_skipped(self, n: int) -> None:
        """Count windows that another process has told to be empty."""
        self._count[0] += n

    def holds_nothing(self, window: npt.NDArray[Any]) -> bool:
        """Whether a raw window (Z, Y, X) needs no network."""
        return self._counted(look_at(window))

    def region_holds_nothing(self, region: Region) -> bool:
        """The same for a window that was not read; only with a coarser copy."""
        return self.coarse is not None and self._counted(self.coarse.look_at(region))

    def uncounted(self) -> EmptyWindows:
        """The same with a count of its own."""
        return EmptyWindows(self.limit, self.fill, self.coarse)

    def _counted(self, seen: WindowLook) -> bool:
        empty = seen.background <= self.limit.background and all(
            rise <= most for rise, most in zip(seen.rises, self.limit.rises, strict=True)
        )
        self._count[0] += empty
        return empty


def bears_skipping(card: ModelCard) -> bool:
    """Return whether a network's answer to a window depends on what the window holds alone.

    Cards that scale every window by itself make structure of noise; the compatible ones promise
    the output of the plugin to the last voxel.
    """
    known_class = card.classes == 1 or card.output.foreground_class is not None
    return (
        card.normalization.scope == "volume"
        and card.output.activation != "stretch_per_window"
        and known_class
        and not card.cellseg3d_compatible
    )


def coarse_view(coarser: Sequence[LazyArray], shape_zyx: ShapeZYX) -> CoarseView | None:
    """The coarsest copy whose voxels are no larger than the smaller box on a lattice, if any is."""
    fitting = [
        copy
        for copy in coarser
        if all(n / m <= _LARGEST_STEP for n, m in zip(shape_zyx, copy.shape, strict=True))
        and np.prod(copy.shape, dtype=float) * _WORTH_COARSE <= np.prod(shape_zyx, dtype=float)
    ]
    smallest = min(fitting, key=lambda copy: float(np.prod(copy.shape, dtype=float)), default=None)
    return None if smallest is None else CoarseView(smallest, shape_zyx)


def look_at(
    window: npt.NDArray[Any],
    boxes_and_steps: Sequence[tuple[int, int]] = _BOXES,
    *,
    mean_of: int = _MEAN_OF,
) -> WindowLook:
    """Return how a raw window (Z, Y, X) looks in boxes of some edges, taken at some steps."""
    voxels = torch.from_numpy(np.ascontiguousarray(window, dtype=np.float32))[None, None]
    means = _boxes(voxels, mean_of, mean_of)
    rises, background = [], 0.0
    for edge, step in boxes_and_steps:
        boxes = _boxes(means, edge, step).numpy()
        background = float(np.median(boxes))
        rises.append(float(boxes.max()) - background)
    return WindowLook(background, tuple(rises))


def _boxes(values: torch.Tensor, edge: int, step: int) -> torch.Tensor:
    if edge == 1:
        return values
    kernel = [min(edge, n) for n in values.shape[2:]]
    return torch.nn.functional.avg_pool3d(values, kernel, stride=[min(step, k) for k in kernel])


def find_empty_windows(
    sample: npt.NDArray[Any],
    predict: Callable[[npt.NDArray[Any]], torch.Tensor],
    *,
    card: ModelCard,
    threshold: float,
    contrast: float,
    coarse: CoarseView | None = None,
    regions: Sequence[Region] = (),
) -> EmptyWindows | None:
    """Return what tells empty windows, or None where the sample holds none.

    Parameters
    ----------
    sample
        Raw windows (N, Z, Y, X) from all over the volume.
    predict
        The network: windows (N, Z, Y, X) in, probabilities (N, C, Z, Y, X) out.
    card
        Says which class is the foreground.
    threshold
        Probability above which a voxel is foreground.
    contrast
        Intensity from background to cells, as far as it is known.
    coarse, regions
        A coarser copy in which windows are to be looked at, and where those of the sample lie.
    """
    if coarse is None:
        looks = [look_at(window) for window in sample]
    else:
        looks = [coarse.look_at(region) for region in regions]
    roughness = np.array([look.rises[-1] for look in looks])
    flat = np.flatnonzero(roughness <= _CLEARLY_FLATTER * max(contrast, roughness.max()))
    # The roughest of the flat ones: what holds for them holds for the flatter ones.
    order = flat[np.argsort(-roughness[flat], kind="stable")]
    shown = card.output.foreground_class or 0
    fills = _quiet_ones(order, sample, predict, shown=shown, limit=_QUIET_SHARE * threshold)
    if not fills:
        return None
    quiet = [looks[number] for number in fills]
    rises = zip(*(look.rises for look in quiet), strict=True)
    background = max(look.background + look.rises[0] for look in quiet)
    fill = np.mean(list(fills.values()), axis=0) if card.classes > 1 else np.zeros(1)
    return EmptyWindows(
        WindowLook(background, tuple(_SCATTER * max(rise) for rise in rises)),
        tuple(float(value) for value in fill),
        coarse,
    )


def _quiet_ones(
    order: npt.NDArray[np.intp],
    sample: npt.NDArray[Any],
    predict: Callable[[npt.NDArray[Any]], torch.Tensor],
    *,
    shown: int,
    limit: float,
) -> dict[int, npt.NDArray[np.float32]]:
    """Windows in which nothing rises above a limit, nor in any flatter one tried.

    `order` names them, the roughest first. Where something is found, ever flatter ones are looked
    at, farther apart each time. Gives the median answer per class, by window.
    """
    quiet: dict[int, npt.NDArray[np.float32]] = {}
    place, leap = 0, _TOGETHER
    for _ in range(_TRIED):
        part = order[place : place + _TOGETHER]
        if not len(part) or len(quiet) >= _TRIED:
            break
        for number, answer in zip(part.tolist(), predict(sample[part]), strict=True):
            if float(answer[shown].max()) < limit:
                quiet[number] = answer.flatten(1).median(dim=1).values.cpu().numpy()
            else:
                quiet.clear()
        place += _TOGETHER if quiet else leap
        leap *= 1 if quiet else 2
    return quiet
