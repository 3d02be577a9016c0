"""Supervised training: resumable, validated on unseen volumes, feasible on a CPU."""

from __future__ import annotations

import csv
import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from cellseg_app.core.errors import SettingsError
from cellseg_app.core.progress import CancelToken, ProgressSink, StageProgress
from cellseg_app.inference.nets import build_network
from cellseg_app.inference.windows import read_reflected
from cellseg_app.training.dataset import batches, validation_samples
from cellseg_app.training.evaluation import Accuracy, Predict, evaluate
from cellseg_app.training.losses import centre_peaked_loss
from cellseg_app.training.settings import Precision, TrainingSettings

_LOGGER = logging.getLogger(__name__)
State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class LogRow:
    """One validation."""

    step: int
    loss: float
    dice: float
    f1: float
    learning_rate: float


@dataclass(frozen=True)
class TrainingResult:
    """What a training run gives: the best averaged weights and its log."""

    weights: State
    step: int
    accuracy: Accuracy
    log: tuple[LogRow, ...]


def train_supervised(
    settings: TrainingSettings,
    folder: Path,
    *,
    progress: ProgressSink | None = None,
    cancel: CancelToken | None = None,
) -> TrainingResult:
    """Train one of the four supervised networks on samples.

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
    folder.mkdir(parents=True, exist_ok=True)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    run = _Run(settings, folder)
    stage = StageProgress(
        progress, f"Train {settings.architecture}", settings.steps, cancel=cancel, done=run.step
    )
    try:
        for batch in batches(settings, run.step):
            run.update(*batch)
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

    def __init__(self, settings: TrainingSettings, folder: Path) -> None:
        self.settings, self.folder = settings, folder
        torch.manual_seed(settings.seed)
        self.network = build_network(settings.architecture, settings.options)
        if settings.channels_last:
            # torch's own annotation of Module.to lacks the argument it documents.
            self.network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        if settings.start_weights is not None:
            self.network.load_state_dict(read_state(settings.start_weights))
        self.average = build_network(settings.architecture, settings.options).eval()
        self.average.load_state_dict(self.network.state_dict())
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(),
            settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self.precise = not use_bfloat16(settings.precision)
        self.step, self.mean_loss, self.stale = 0, 0.0, 0
        self.best: State = {}
        self.best_row: LogRow | None = None
        self.log: list[LogRow] = []
        self._load()

    def update(self, image: torch.Tensor, target: torch.Tensor) -> None:
        """One weight update."""
        self.network.train()
        # Dropout then depends on the step alone, so that a resumed run repeats it exactly.
        torch.manual_seed(self.settings.seed * 1_000_003 + self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.settings, self.step)
        with torch.autocast("cpu", torch.bfloat16, enabled=not self.precise):
            logits = self.network(image)
        loss = centre_peaked_loss(logits.float(), target)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.gradient_limit)
        self.optimizer.step()
        self._follow()
        value = float(loss.detach())
        self.mean_loss = value if self.step == 0 else 0.98 * self.mean_loss + 0.02 * value
        self.step += 1

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
        """Judge the averaged weights on unseen samples, keep the best, log, checkpoint."""
        samples = validation_samples(self.settings.validation, self.settings.patch_voxels)
        accuracy = evaluate(predictor(self.average, precise=self.precise), samples)
        rate = learning_rate(self.settings, self.step)
        row = LogRow(self.step, self.mean_loss, accuracy.dice, accuracy.f1, rate)
        self.log.append(row)
        best = -1.0 if self.best_row is None else self.best_row.f1 + self.best_row.dice
        self.stale += 1
        if row.f1 + row.dice > best or not self.settings.validation:
            self.best = {k: v.clone() for k, v in self.average.state_dict().items()}
            self.best_row, self.stale = row, 0
        _LOGGER.info("step %d: loss %.4f, Dice %.3f, F1 %.3f", *asdict(row).values())
        _write_log(self.folder / "log.csv", self.log)
        self.save()

    def save(self) -> None:
        """Write the checkpoint; an interruption leaves the previous one."""
        partial = self.folder / "checkpoint.part"
        content = {
            "settings": _fingerprint(self.settings),
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
        torch.save(content, partial)
        os.replace(partial, self.folder / "checkpoint.pt")

    def _load(self) -> None:
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return
        content = torch.load(path, weights_only=True)
        if content["settings"] != _fingerprint(self.settings):
            raise SettingsError(
                "This folder holds a training run with other settings.",
                "Choose another folder, or repeat the settings to go on.",
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
        row = self.best_row or LogRow(self.step, self.mean_loss, 0.0, 0.0, 0.0)
        weights = self.best or self.average.state_dict()
        return TrainingResult(weights, row.step, Accuracy(row.dice, row.f1), tuple(self.log))


def learning_rate(settings: TrainingSettings, step: int) -> float:
    """Linear warm-up, then a half cosine down to one hundredth."""
    if step < settings.warm_up_steps:
        return settings.learning_rate * (step + 1) / settings.warm_up_steps
    share = (step - settings.warm_up_steps) / max(1, settings.steps - settings.warm_up_steps)
    return settings.learning_rate * (0.01 + 0.99 * 0.5 * (1 + float(np.cos(np.pi * share))))


def use_bfloat16(precision: Precision) -> bool:
    """Whether to compute in bfloat16: only where the processor does it natively, if automatic."""
    if precision != "auto":
        return precision == "bfloat16"
    return bool(torch.cpu._is_avx512_bf16_supported()) if torch.backends.mkldnn.enabled else False


def predictor(network: nn.Module, *, precise: bool) -> Predict:
    """Wrap a network as a function from a normalized image to its map, padded as needed."""

    def predict(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        depth, height, width = (-(-size // 16) * 16 for size in image.shape)
        padded = read_reflected(image, (0, 0, 0), (depth, height, width))
        tensor = torch.from_numpy(padded)[None, None]
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=not precise):
            probability = torch.sigmoid(network(tensor).float())[0, 0].numpy()
        z, y, x = image.shape
        return np.ascontiguousarray(probability[:z, :y, :x])

    return predict


def read_state(path: Path) -> State:
    """Weights of a safetensors file as float32."""
    from safetensors.torch import load_file

    return {
        key: value.float() if value.is_floating_point() else value
        for key, value in load_file(path).items()
    }


def _fingerprint(settings: TrainingSettings) -> str:
    """Settings as text, without what does not change the weights."""
    return json.dumps(settings.model_dump(mode="json", exclude={"threads"}), sort_keys=True)


def _write_log(path: Path, log: list[LogRow]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(LogRow.__dataclass_fields__))
        writer.writeheader()
        writer.writerows(asdict(row) for row in log)
