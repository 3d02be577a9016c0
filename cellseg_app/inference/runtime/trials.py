"""Trying ways of computing a network on a few windows: time, memory, output, failures."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy.typing as npt
import psutil
import torch

from cellseg_app.core.errors import Cancelled
from cellseg_app.core.progress import StageProgress
from cellseg_app.core.settings import Precision
from cellseg_app.core.volume import ShapeZYX
from cellseg_app.inference.predictor import WindowPredictor
from cellseg_app.inference.runtime import Forward, RuntimeName
from cellseg_app.inference.runtime.converted import is_converted
from cellseg_app.inference.runtime.forwards import open_forward
from cellseg_app.inference.runtime.openvino_runtime import last_line
from cellseg_app.inference.weights import LoadedNetwork

_log = logging.getLogger(__name__)

# The first pass allocates and plans; it is repeated where that costs little.
_REPEATED_BELOW_S: Final = 1.0


class Candidate(NamedTuple):
    """A way to compute a network."""

    runtime: RuntimeName
    device: str
    precision: Precision


@dataclass(frozen=True)
class Task:
    """What is to be computed.

    Attributes
    ----------
    loaded
        The network.
    probe
        Raw windows (N, Z, Y, X) of the volume that hold cells; N is how many run at once.
    window_zyx
        Shape of the windows of the run; the probe's may be smaller.
    n_windows
        How many windows of the probe's shape the run comes to.
    threshold
        Probability above which a voxel is foreground.
    predictor
        Puts what the card asks for around a forward on a device.
    """

    loaded: LoadedNetwork
    probe: npt.NDArray[Any]
    window_zyx: ShapeZYX
    n_windows: int
    threshold: float
    predictor: Callable[[Forward, str], WindowPredictor]

    @property
    def window(self) -> ShapeZYX:
        """Shape of a window of the run as the network sees it."""
        z, y, x = self.window_zyx
        return (x, y, z) if self.loaded.card.input_axes == "XYZ" else (z, y, x)

    def open(self, candidate: Candidate) -> Forward:
        """The network computed that way; see `open_forward`."""
        return open_forward(
            self.loaded,
            candidate.runtime,
            device=candidate.device,
            precision=candidate.precision,
            window=self.window,
            at_once=len(self.probe),
        )


@dataclass(frozen=True)
class Trial:
    """What a candidate did with the probe.

    Attributes
    ----------
    seconds
        Per window.
    grown_bytes
        By how much the process had grown since the first trial.
    output
        Probabilities (N, C, Z, Y, X) of the probe, on the CPU.
    """

    candidate: Candidate
    forward: Forward
    seconds: float
    grown_bytes: int
    output: torch.Tensor


class Trials:
    """Runs the probe through candidates, each at most once; remembers which of them failed."""

    def __init__(self, task: Task, stage: StageProgress) -> None:
        self.failures: list[str] = []
        self._task = task
        self._stage = stage
        self._done: dict[Candidate, Trial | None] = {}
        self._start_bytes = psutil.Process().memory_info().rss

    def in_torch(self, device: str, precision: Precision) -> Trial:
        """PyTorch's trial: whatever it cannot run, nothing can, and its error is raised."""
        candidate = Candidate("torch", device, precision)
        trial = self._done.get(candidate)
        if trial is None:
            trial = self._done[candidate] = self._measured(candidate)
        return trial

    def run(self, candidate: Candidate, known_s: float | None = None) -> Trial | None:
        """The trial of a candidate; None where OpenVINO cannot run the network.

        Parameters
        ----------
        candidate
            What to try.
        known_s
            Seconds per window where they were measured earlier: one pass is enough then.
        """
        if candidate.runtime == "torch":
            return self.in_torch(candidate.device, candidate.precision)
        if candidate not in self._done:
            self._done[candidate] = self._in_openvino(candidate, known_s)
        return self._done[candidate]

    def _in_openvino(self, candidate: Candidate, known_s: float | None) -> Trial | None:
        if not is_converted(self._task.loaded, self._task.window):
            self._stage.advance(0, message="converting the network, once")
        try:
            trial = self._measured(candidate, known_s)
            trouble = getattr(trial.forward, "trouble", None)
        except (Cancelled, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - PyTorch runs what OpenVINO cannot
            _log.warning("OpenVINO cannot run this network.", exc_info=True)
            trouble = last_line(error)
        if trouble is None:
            return trial
        where = candidate.device.upper()
        self.failures.append(f"OpenVINO does not run this network on the {where} ({trouble}).")
        return None

    def _measured(self, candidate: Candidate, known_s: float | None = None) -> Trial:
        self._stage.check()
        probe, forward = self._task.probe, self._task.open(candidate)
        predictor = self._task.predictor(forward, candidate.device)
        seconds, output = _timed(predictor, probe)
        if known_s is not None:
            seconds = known_s * len(probe)
        elif seconds < _REPEATED_BELOW_S:
            seconds = min(seconds, _timed(predictor, probe)[0])
        grown = max(0, psutil.Process().memory_info().rss - self._start_bytes)
        self._stage.advance(message=f"{candidate.runtime} {candidate.precision}")
        return Trial(candidate, forward, seconds / len(probe), grown, output)


def _timed(predictor: WindowPredictor, probe: npt.NDArray[Any]) -> tuple[float, torch.Tensor]:
    begin = time.perf_counter()
    output = predictor(probe).cpu()
    return time.perf_counter() - begin, output
