"""Chooses runtime and precision by trying them on a few windows of the volume itself.

PyTorch in float32 is the measure: whatever is taken instead must draw the same cells there. What
was found fastest is remembered per network and machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cellseg_app.core.progress import StageProgress
from cellseg_app.core.settings import InferenceSettings
from cellseg_app.inference.devices import native_half_precision
from cellseg_app.inference.runtime.agreement import agreement
from cellseg_app.inference.runtime.converted import is_converted
from cellseg_app.inference.runtime.decisions import (
    Decision,
    decision_key,
    remember_decision,
    remembered_decision,
)
from cellseg_app.inference.runtime.forwards import torch_device
from cellseg_app.inference.runtime.openvino_runtime import intel_units, why_not_loaded
from cellseg_app.inference.runtime.trials import Candidate, Task, Trial, Trials

# So few windows are worth no trial; a run that PyTorch ends sooner is worth no conversion.
_FEW_WINDOWS: Final = 8
_WORTH_CONVERTING_S: Final = 20.0
# Converting runs the network once in PyTorch, on a window of this edge at most (voxels).
_LARGEST_CONVERTED: Final = 160


@dataclass(frozen=True)
class Choice:
    """How the network is computed.

    Attributes
    ----------
    trial
        The candidate that was taken, and what it did with the probe.
    notes
        Sentences saying why.
    """

    trial: Trial
    notes: tuple[str, ...]


def choose_runtime(
    wanted: InferenceSettings, device: str, task: Task, stage: StageProgress
) -> Choice:
    """Return runtime and precision for a task.

    Parameters
    ----------
    wanted
        The user's choices; what is not `auto` is taken as it is where it can run.
    device
        The device that `wanted.device` means on this machine.
    task
        Network and probe.
    stage
        Told about every trial; raises `Cancelled` when asked to.
    """
    return _Chooser(wanted, device, task, stage).choose()


class _Chooser:
    def __init__(
        self, wanted: InferenceSettings, device: str, task: Task, stage: StageProgress
    ) -> None:
        self._wanted = wanted
        self._device = device
        self._torch_device = torch_device(device)
        self._task = task
        self._trials = Trials(task, stage)
        self._units = self._openvino_units()

    def choose(self) -> Choice:
        precision = self._wanted.precision
        if precision != "auto":
            level = [place._replace(precision=precision) for place in self._places()]
            best = self._fastest(level) or self._trials.in_torch(self._torch_device, precision)
            return self._choice(best, f"{precision} was asked for.")
        exact = self._fastest(self._places()) or self._in_torch()
        if self._task.n_windows <= _FEW_WINDOWS:
            return self._choice(exact, "So few windows need nothing faster.")
        halves = [(place, native_half_precision(place.device)) for place in self._places()]
        level = [place._replace(precision=half) for place, half in halves if half is not None]
        if not level:
            return self._choice(exact, f"{self._device} has no native half precision.")
        quick = self._fastest(level)
        if quick is None:
            return self._choice(exact, "Half precision does not run here.")
        agrees, why = agreement(
            exact.output, quick.output, quick.candidate.precision, self._task.threshold
        )
        return self._choice(quick if agrees else exact, why)

    def _in_torch(self) -> Trial:
        return self._trials.in_torch(self._torch_device, "float32")

    def _openvino_units(self) -> list[str]:
        wanted = self._wanted
        # A volume seen at once has a window of its own; no later run would profit.
        whole = self._task.probe.shape[1:] != self._task.window_zyx
        if self._task.loaded.cpu_only or whole or wanted.runtime == "torch":
            return []
        if max(self._task.window) > _LARGEST_CONVERTED and wanted.runtime == "auto":
            return []
        if self._device not in ("cpu", "gpu", "npu"):
            return []
        if (why_not := why_not_loaded()) is not None:
            self._trials.failures.append(f"OpenVINO cannot be loaded here ({why_not}).")
            return []
        if self._device != "cpu":
            return [self._device]
        return ["cpu", *(intel_units() if wanted.device == "auto" else [])]

    def _places(self) -> list[Candidate]:
        """Where the network may be computed, in float32."""
        places = [Candidate("openvino", unit, "float32") for unit in self._units]
        if self._wanted.runtime != "openvino" or not places:
            places.append(Candidate("torch", self._torch_device, "float32"))
        return places

    def _fastest(self, level: list[Candidate]) -> Trial | None:
        """The fastest of the candidates; None if OpenVINO is asked for and cannot run."""
        if len(level) == 1:
            return self._trials.run(level[0])
        key = decision_key(
            self._task.loaded,
            self._task.window,
            device=self._wanted.device,
            precision="/".join(candidate.precision for candidate in level),
            at_once=len(self._task.probe),
            runtime=self._wanted.runtime,
        )
        known = remembered_decision(key)
        if known is not None:
            found = [c for c in level if (c.runtime, c.device) == known.taken]
            seconds = known.seconds_per_window
            trial = self._trials.run(found[0], seconds.get(" ".join(found[0]))) if found else None
            if trial is not None:
                return trial
        if self._wanted.runtime == "auto" and not self._worth_converting():
            return self._trials.run(level[-1])
        tried = [self._trials.run(candidate) for candidate in level]
        usable = [trial for trial in tried if trial is not None and self._computes_the_same(trial)]
        if not usable:
            return None
        best = min(usable, key=lambda trial: trial.seconds)
        _remember(key, best, usable)
        return best

    def _computes_the_same(self, trial: Trial) -> bool:
        if trial.candidate.precision != "float32" or trial.candidate.runtime == "torch":
            return True
        exact = self._in_torch().output
        agrees, why = agreement(exact, trial.output, "float32", self._task.threshold)
        if not agrees:
            self._trials.failures.append(f"OpenVINO is not used for this network. {why}")
        return agrees

    def _worth_converting(self) -> bool:
        if is_converted(self._task.loaded, self._task.window):
            return True
        few = self._task.n_windows <= _FEW_WINDOWS
        return not few and self._in_torch().seconds * self._task.n_windows >= _WORTH_CONVERTING_S

    def _choice(self, trial: Trial, why_precision: str) -> Choice:
        candidate = trial.candidate
        names = {"torch": "PyTorch", "openvino": "OpenVINO"}
        where = "" if candidate.device == self._device else f" on the {candidate.device.upper()}"
        notes = (
            f"Precision {candidate.precision}: {why_precision}",
            *self._trials.failures,
            f"The network is computed by {names[candidate.runtime]}{where}.",
        )
        return Choice(trial, notes)


def _remember(key: str, best: Trial, trials: Sequence[Trial]) -> None:
    seconds = {" ".join(trial.candidate): round(trial.seconds, 4) for trial in trials}
    taken = (best.candidate.runtime, best.candidate.device)
    remember_decision(key, Decision(taken=taken, seconds_per_window=seconds))
