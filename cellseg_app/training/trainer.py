"""Supervised training: resumable, validated on unseen volumes, feasible on a CPU."""

from __future__ import annotations

import logging
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import nn

from cellseg_app.atomic import atomic_path
from cellseg_app.core.errors import SettingsError
from cellseg_app.core.progress import CancelToken, ProgressSink, StageProgress
from cellseg_app.inference.weights_formats import State, read_weights
from cellseg_app.training.curves import LogRow, write_curves, write_log
from cellseg_app.training.dataset import batches
from cellseg_app.training.evaluation import Accuracy
from cellseg_app.training.network_input import Batch
from cellseg_app.training.settings import TrainingSettings
from cellseg_app.training.tasks import Score, SupervisedTask, Task, WNetTask

_MOST_OVERFLOWS = 20
_LOGGER = logging.getLogger(__name__)
_UNKNOWN = Score(math.nan, Accuracy(math.nan, math.nan))


@dataclass(frozen=True)
class TrainingResult:
    """What a training run gives: the best averaged weights, how good they are, and its log."""

    weights: State
    best: LogRow
    log: tuple[LogRow, ...]

    @property
    def metrics(self) -> dict[str, float]:
        """What is known of the weights, by name."""
        known = {"validation_f1": self.best.f1, "validation_dice": self.best.dice}
        known = {name: value for name, value in known.items() if math.isfinite(value)}
        if not known and math.isfinite(self.best.score):
            known["validation_score"] = self.best.score
        return known


def train_supervised(
    settings: TrainingSettings,
    folder: Path,
    *,
    progress: ProgressSink | None = None,
    cancel: CancelToken | None = None,
) -> TrainingResult:
    """Train one of the four supervised networks on labelled samples.

    Parameters
    ----------
    settings
        What to train and on what.
    folder
        Keeps the checkpoint and the log; a run that was interrupted goes on from there.
    progress, cancel
        Reports and is asked at every step.

    Returns
    -------
    The weights that did best in validation.

    Raises
    ------
    UserError
        There are no samples, or the checkpoint belongs to other settings.
    Cancelled
        Stopping was asked for; the checkpoint holds the last finished step.
    """
    return _train(SupervisedTask(settings), settings, folder, progress, cancel)


def train_wnet(
    settings: TrainingSettings,
    folder: Path,
    *,
    progress: ProgressSink | None = None,
    cancel: CancelToken | None = None,
) -> TrainingResult:
    """Train WNet without labels; everything else as `train_supervised`."""
    return _train(WNetTask(settings), settings, folder, progress, cancel)


def _train(
    task: Task,
    settings: TrainingSettings,
    folder: Path,
    progress: ProgressSink | None,
    cancel: CancelToken | None,
) -> TrainingResult:
    folder.mkdir(parents=True, exist_ok=True)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    run = _Run(task, settings, folder)
    name = f"Train {settings.architecture}"
    stage = StageProgress(progress, name, settings.steps, cancel=cancel, done=run.step)
    try:
        if settings.validate_first and run.step == 0 and not run.log:
            run.validate()
        for batch in batches(settings, run.step):
            run.update(batch)
            stage.advance(message=f"loss {run.mean_loss:.4f}")
            if run.step % settings.validate_every_steps == 0 or run.step == settings.steps:
                run.validate()
                if run.stale >= settings.patience:
                    _LOGGER.info("No progress in %d validations: stopped early.", run.stale)
                    break
    finally:
        run.save()
    return run.result()


class _Run:
    """Network, averaged network, optimizer and log of one training run."""

    def __init__(self, task: Task, settings: TrainingSettings, folder: Path) -> None:
        self.task, self.settings, self.folder = task, settings, folder
        torch.manual_seed(settings.seed)
        self.network = task.build()
        if settings.channels_last:
            # torch's own annotation of Module.to lacks the argument it documents.
            self.network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        if settings.start_weights is not None:
            task.start(self.network, dict(read_weights(settings.start_weights).state))
        self.average = task.build().eval()
        self.average.load_state_dict(self.network.state_dict())
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(),
            settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self.step, self.mean_loss, self.stale = 0, 0.0, 0
        self.overflows = 0
        self.best: State = {}
        self.best_row: LogRow | None = None
        self.log: list[LogRow] = []
        self._load()

    def update(self, batch: Batch) -> None:
        """One weight update."""
        self.network.train()
        self.task.before(self.network, self.step)
        # Dropout then depends on the step alone, so that a resumed run repeats it exactly.
        torch.manual_seed(self.settings.seed * 1_000_003 + self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.settings, self.step)
        loss = self.task.loss(self.network, batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        limit = self.settings.gradient_limit
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), limit)
        self._step_unless_overflown(bool(torch.isfinite(norm)))
        self._follow()
        value = float(loss.detach()) if self.overflows == 0 else self.mean_loss
        keep = min(0.98, self.step / (self.step + 4))
        self.mean_loss = keep * self.mean_loss + (1 - keep) * value
        self.step += 1

    def _step_unless_overflown(self, finite: bool) -> None:
        """Update the weights, but not by a gradient that is no number: it would spoil them all."""
        self.overflows = 0 if finite else self.overflows + 1
        if self.overflows > _MOST_OVERFLOWS:
            raise SettingsError(
                f"The loss of {self.settings.architecture} is no longer a number.",
                "Train again with a lower learning rate.",
            )
        if finite:
            self.optimizer.step()

    def _follow(self) -> None:
        """Let the averaged weights follow; faster at first, when the weights are still poor."""
        decay = min(self.settings.average_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            state, average = self.network.state_dict(), self.average.state_dict()
            smooth = [key for key, value in state.items() if value.is_floating_point()]
            torch._foreach_lerp_(
                [average[k] for k in smooth], [state[k] for k in smooth], 1 - decay
            )
            for key in state.keys() - set(smooth):
                average[key].copy_(state[key])

    def validate(self) -> None:
        """Judge the averaged weights on unseen samples, keep the best, log, checkpoint.

        With nothing to judge by, no weights are better than others: the last are the result.
        """
        judged = bool(self.settings.validation)
        score = self.task.score(self.average) if judged else _UNKNOWN
        row = LogRow(
            step=self.step,
            loss=self.mean_loss if self.step else math.nan,
            score=score.value,
            dice=score.accuracy.dice,
            f1=score.accuracy.f1,
            learning_rate=learning_rate(self.settings, self.step),
        )
        self.log.append(row)
        self.stale += judged
        if judged and (self.best_row is None or row.score > self.best_row.score):
            self.best = {k: v.clone() for k, v in self.average.state_dict().items()}
            self.best_row, self.stale = row, 0
        _LOGGER.info("step %d: %s", row.step, row)
        write_log(self.folder / "log.csv", self.log)
        write_curves(self.folder / "curve.svg", self.log, self.settings.architecture)
        self.save()

    def save(self) -> None:
        """Write the checkpoint; an interruption leaves the previous one."""
        content = {
            "settings": _without_threads(self.settings).model_dump_json(),
            "step": self.step,
            "mean_loss": self.mean_loss,
            "stale": self.stale,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
            "best_row": None if self.best_row is None else asdict(self.best_row),
            "log": [asdict(row) for row in self.log],
        }
        with atomic_path(self.folder / "checkpoint.pt") as partial:
            torch.save(content, partial)

    def _load(self) -> None:
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return
        content = torch.load(path, weights_only=True)
        if _settings_of(content["settings"]) != _without_threads(self.settings):
            raise SettingsError(
                "This folder holds a training run with other settings or data.",
                "Choose another folder, or repeat settings and data to go on.",
                path=path,
            )
        self.network.load_state_dict(content["network"])
        self.average.load_state_dict(content["average"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.step, self.mean_loss = content["step"], content["mean_loss"]
        self.stale, self.best = content["stale"], content["best"]
        self.best_row = LogRow(**content["best_row"]) if content["best_row"] else None
        self.log = [LogRow(**row) for row in content["log"]]

    def result(self) -> TrainingResult:
        """The best weights so far, or the last ones if none were validated."""
        nan = math.nan
        row = self.best_row or LogRow(self.step, self.mean_loss, nan, nan, nan, nan)
        weights = self.best or self.average.state_dict()
        return TrainingResult(weights, row, tuple(self.log))


def learning_rate(settings: TrainingSettings, step: int) -> float:
    """Linear warm-up, then a half cosine down to one hundredth."""
    if step < settings.warm_up_steps:
        return settings.learning_rate * (step + 1) / settings.warm_up_steps
    share = (step - settings.warm_up_steps) / max(1, settings.steps - settings.warm_up_steps)
    return settings.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))


def _without_threads(settings: TrainingSettings) -> TrainingSettings:
    """Settings without what does not change the weights."""
    return settings.model_copy(update={"threads": None})


def _settings_of(text: str) -> TrainingSettings | None:
    """Settings of a checkpoint; what an earlier version did not know takes its default."""
    try:
        return TrainingSettings.model_validate_json(text)
    except ValidationError:
        return None
