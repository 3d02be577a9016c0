"""Chooses runtime and precision by trying them on a few windows of the volume itself.

PyTorch in float32 is the measure: whatever is taken instead must draw the same cells there. What
was found fastest is remembered per network and machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cellseg_app.core.progress import StageProgress
from cellseg_app.core.settings import InferenceSettings, Precision
from cellseg_app.inference.devices import native_half_precision
from cellseg_app.inference.runtime.agreement import agreement
from cellseg_app.inference.runtime.converted import is_converted
from cellseg_app.inference.runtime.decisions import (
    decision_key,
    remember_decision,
    remembered_decision,
)
from cellseg_app.inference.runtime.forwards import torch_device
from cellseg_app.inference.runtime.openvino_runtime import intel_units
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
        self._task = task
        self._trials = Trials(task, stage)
        self._units = self._openvino_units()

    def choose(self) -> Choice:
        precision = self._wanted.precision
        asked_for = f"{precision} was asked for." if precision != "auto" else ""
        if not asked_for and self._wanted.runtime == "auto":
            if self._task.n_windows <= _FEW_WINDOWS:
                return self._choice(self._exact(), "So few windows need nothing faster.")
        levels = self._levels()
        reasons = [] if len(levels) > 1 else [f"{self._device} has no native half precision."]
        for level in levels:
            best, reason = self._best(level)
            reasons += [reason] if reason else []
            if best is not None:
                return self._choice(best, asked_for or " ".join(reasons))
        last: Precision = "float32" if precision == "auto" else precision
        return self._choice(
            self._trials.in_torch(self._torch_device, last), asked_for or " ".join(reasons)
        )

    @property
    def _torch_device(self) -> str:
        return torch_device(self._device)

    def _exact(self) -> Trial:
        return self._trials.in_torch(self._torch_device, "float32")

    def _openvino_units(self) -> list[str]:
        wanted = self._wanted
        # A volume seen at once has a window of its own; no later run would profit.
        whole = self._task.probe.shape[1:] != self._task.window_zyx
        if self._task.loaded.cpu_only or whole or wanted.runtime == "torch":
            return []
        if max(self._task.window) > _LARGEST_CONVERTED and wanted.runtime == "auto":
            return []
        if self._device in ("gpu", "npu"):
            return [self._device]
        if self._device != "cpu":
            return []
        return ["cpu", *(intel_units() if wanted.device == "auto" else [])]

    def _levels(self) -> list[list[Candidate]]:
        """Candidates, those of one precision together, the fastest precision first."""
        precision = self._wanted.precision
        places: list[Candidate] = [Candidate("openvino", u, "float32") for u in self._units]
        if self._wanted.runtime != "openvino" or not places:
            places.append(Candidate("torch", self._torch_device, "float32"))
        if precision != "auto":
            return [[place._replace(precision=precision) for place in places]]
        halves = [(place, native_half_precision(place.device)) for place in places]
        quick = [place._replace(precision=half) for place, half in halves if half is not None]
        return [quick, places] if quick else [places]

    def _best(self, level: list[Candidate]) -> tuple[Trial | None, str]:
        """The fastest candidate if it draws the same cells, and what speaks for or against it."""
        candidates, key = self._worth_trying(level)
        tried = [self._trials.run(candidate) for candidate in candidates]
        trials = [trial for trial in tried if trial is not None]
        if not trials:
            return None, ""
        fastest = min(trials, key=lambda trial: trial.seconds)
        if key is not None:
            _remember(key, fastest, trials)
        agrees, reason = self._agrees(fastest)
        return fastest if agrees else None, reason

    def _agrees(self, trial: Trial) -> tuple[bool, str]:
        candidate = trial.candidate
        asked = self._wanted.precision != "auto" and (
            self._wanted.runtime != "auto" or candidate.precision != "float32"
        )
        if asked or candidate == self._exact().candidate:
            return True, ""
        return agreement(
            self._exact().output, trial.output, candidate.precision, self._task.threshold
        )

    def _worth_trying(self, level: list[Candidate]) -> tuple[list[Candidate], str | None]:
        """Which candidates to try, and under which key the winner is remembered."""
        if not self._units or len(level) == 1:
            return level, None
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
            found = [c for c in level if [c.runtime, c.device] == known["taken"]]
            return found or level, None
        if self._wanted.runtime == "auto" and not self._worth_converting():
            return [c for c in level if c.runtime == "torch"], None
        return level, key

    def _worth_converting(self) -> bool:
        work_s = self._exact().seconds * self._task.n_windows
        return work_s >= _WORTH_CONVERTING_S or is_converted(self._task.loaded, self._task.window)

    def _choice(self, trial: Trial, why_precision: str) -> Choice:
        candidate = trial.candidate
        names = {"torch": "PyTorch", "openvino": "OpenVINO"}
        notes = [f"Precision {candidate.precision}: {why_precision}".rstrip(": ")]
        notes.extend(self._trials.failures)
        where = "" if candidate.device == self._device else f" on the {candidate.device.upper()}"
        notes.append(f"The network is computed by {names[candidate.runtime]}{where}.")
        return Choice(trial, tuple(notes))


def _remember(key: str, best: Trial, trials: Sequence[Trial]) -> None:
    seconds = {" ".join(trial.candidate): round(trial.seconds, 4) for trial in trials}
    taken = [best.candidate.runtime, best.candidate.device]
    remember_decision(key, {"taken": taken, "seconds_per_window": seconds})
