"""What is trained: a network with its loss and the way it is judged."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from cellseg_app.core.errors import SettingsError
from cellseg_app.inference.nets import build_network, network_options
from cellseg_app.inference.nets.wnet import WNet
from cellseg_app.inference.weights_formats import State
from cellseg_app.training.dataset import validation_samples
from cellseg_app.training.emptiness import draw_empty
from cellseg_app.training.evaluation import Accuracy, Activation, as_batch, evaluate, predictor
from cellseg_app.training.export import ordered_by_training_data
from cellseg_app.training.foreground import foreground_loss
from cellseg_app.training.losses import (
    bright_first_loss,
    centre_peaked_loss,
    soft_normalized_cut,
    uneven_classes_loss,
)
from cellseg_app.training.network_input import Batch, NetworkInput
from cellseg_app.training.settings import TrainingSettings, use_bfloat16

_EMPTY_VOXELS = 32
# Share of the steps from which on the statistics of batch normalization stay as they are.
_SETTLED_FROM = 0.4
_STATISTICS_MOMENTUM = 0.02


@dataclass(frozen=True)
class Score:
    """Result of one validation; the larger `value`, the better."""

    value: float
    accuracy: Accuracy


class Task(Protocol):
    """What the training loop needs to know."""

    def build(self) -> nn.Module:
        """A freshly initialised network."""

    def start(self, network: nn.Module, state: State) -> None:
        """Give a fresh network the weights to start from."""

    def before(self, network: nn.Module, step: int) -> None:
        """Choose what learns in a step."""

    def loss(self, network: nn.Module, batch: Batch) -> torch.Tensor:
        """Loss of one batch; a scalar."""

    def score(self, network: nn.Module) -> Score:
        """Judge a network on the validation samples."""


class SupervisedTask:
    """Learn a map of the cells from labelled samples."""

    def __init__(self, settings: TrainingSettings) -> None:
        self._settings = settings
        self._fast = use_bfloat16(settings.precision)
        # TRAILMAP_MS ends in a sigmoid of its own in eval mode only.
        self._ends_in_sigmoid = settings.architecture == "TRAILMAP_MS"
        self._seen_as = NetworkInput(settings.normalization, settings.input_axes)

    def build(self) -> nn.Module:
        """See `Task`."""
        return build_network(self._settings.architecture, self._settings.options)

    def start(self, network: nn.Module, state: State) -> None:
        """See `Task`."""
        network.load_state_dict(state)

    def before(self, network: nn.Module, step: int) -> None:
        """See `Task`; everything learns, but batch normalization settles early.

        A few patches a batch differ far more in brightness than what a network meets later, and
        one that leans on the statistics of its batch does worse the moment it has to use the
        running ones: it must learn with the latter.
        """
        started = self._settings.start_weights is not None
        settled = started or step >= _SETTLED_FROM * self._settings.steps
        for module in network.modules():
            if isinstance(module, nn.BatchNorm3d):
                module.momentum = _STATISTICS_MOMENTUM
                module.train(not settled)

    def loss(self, network: nn.Module, batch: Batch) -> torch.Tensor:
        """See `Task`."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self._fast):
            logits = self._seen_as(network, batch)
        peaked = self._settings.target == "centre_peaked"
        return (centre_peaked_loss if peaked else foreground_loss)(logits.float(), batch.target)

    def score(self, network: nn.Module) -> Score:
        """F1 and Dice on unseen samples, or Dice alone."""
        settings = self._settings
        edge = settings.validation_voxels or settings.patch_voxels
        activation: Activation = "identity" if self._ends_in_sigmoid else "sigmoid"
        predict = predictor(network, activation=activation, fast=self._fast, seen_as=self._seen_as)
        accuracy = evaluate(predict, validation_samples(settings.validation, edge))
        value = accuracy.dice if settings.judge_by == "dice" else accuracy.f1 + accuracy.dice
        return Score(value, accuracy)


class WNetTask:
    """Learn to part bright from dark without labels.

    The encoder's classes should cut the image where neighbours differ (soft normalized cut), and
    the decoder should be able to redraw the image from the classes alone. Each class should be
    even: redrawing alone was found to teach the encoder a checkerboard code of grey levels, the
    cut alone to part the image into halves. Another term asks that class 0 be the bright one, so
    that the order of the classes is always the same. All of them part noise as well, so that the
    network is also shown images known to be empty, and taught that class 0 has no part in them.

    References
    ----------
    Xia and Kulis, "W-Net: A deep model for fully unsupervised image segmentation",
    arXiv:1711.08506; in 3D: Achard et al., "CellSeg3D", eLife 2025.
    """

    def __init__(self, settings: TrainingSettings) -> None:
        if settings.architecture != "WNet":
            raise SettingsError(
                f"{settings.architecture} cannot be trained without labels.", "Choose WNet."
            )
        self._settings = settings
        self._fast = use_bfloat16(settings.precision)
        self._seen_as = NetworkInput(settings.normalization, settings.input_axes)

    def build(self) -> nn.Module:
        """See `Task`."""
        options = network_options("WNet", {**self._settings.options, "decoder": True})
        return build_network("WNet", options.model_dump())

    def start(self, network: nn.Module, state: State) -> None:
        """See `Task`; the bright class is put first, and the decoder begins anew.

        Weights to run with have no decoder, and that of other programs draws another image.
        """
        ordered = ordered_by_training_data(state, self._settings)
        encoder = {k: v for k, v in ordered.items() if not k.startswith("decoder.")}
        decoder = {k: v for k, v in network.state_dict().items() if k.startswith("decoder.")}
        network.load_state_dict({**encoder, **decoder})

    def before(self, network: nn.Module, step: int) -> None:
        """See `Task`; a new decoder must not spoil an encoder that knows something."""
        if isinstance(network, WNet):
            network.encoder.requires_grad_(step >= self._settings.decoder_first_steps)

    def loss(self, network: nn.Module, batch: Batch) -> torch.Tensor:
        """See `Task`; the target is not looked at."""
        if not isinstance(network, WNet):
            raise TypeError("WNetTask trains a WNet.")
        with torch.autocast("cpu", torch.bfloat16, enabled=self._fast):
            logits = self._seen_as(network, batch)
            redrawn = network.decoder(torch.softmax(logits, dim=1))
        classes = torch.softmax(logits.float(), dim=1)
        shown = batch.image.clamp(-0.2, 1.5)
        cut = soft_normalized_cut(
            classes, shown, sigma_intensity=self._settings.sigma_intensity, radius_voxels=2
        )
        redraw = nn.functional.mse_loss(redrawn.float(), shown)
        weights = self._settings
        # Judging compares the weights by volumes that hold something.
        emptiness = self._emptiness(network, batch) if network.training else 0.0
        return (
            cut
            + weights.empty_weight * emptiness
            + weights.reconstruction_weight * redraw
            + weights.region_weight * uneven_classes_loss(classes, shown)
            + weights.order_weight * bright_first_loss(classes, shown)
        )

    def _emptiness(self, network: WNet, batch: Batch) -> torch.Tensor:
        """How much of an empty image is taken for the bright class (cross-entropy)."""
        image = draw_empty(_EMPTY_VOXELS)
        with torch.autocast("cpu", torch.bfloat16, enabled=self._fast):
            logits = self._seen_as(network, Batch(image, image, batch.low[:1], batch.span[:1]))
        bright = torch.softmax(logits.float(), dim=1)[:, :1]
        return -torch.log((1 - bright).clamp_min(1e-4)).mean()

    def score(self, network: nn.Module) -> Score:
        """The loss on unseen samples decides; the labels only tell how well it does."""
        settings = self._settings
        edge = settings.validation_voxels or settings.patch_voxels
        samples = validation_samples(settings.validation, edge)
        losses = []
        with torch.inference_mode():
            for sample in samples:
                z, y, x = (max(16, size // 16 * 16) for size in sample.image.shape)
                losses.append(float(self.loss(network, as_batch(sample, (z, y, x)))))
        accuracy = Accuracy(math.nan, math.nan)
        if any(sample.labels.any() for sample in samples):
            predict = predictor(
                network, activation="softmax", fast=self._fast, seen_as=self._seen_as
            )
            accuracy = evaluate(predict, samples, h=0.1)
        return Score(-sum(losses) / max(1, len(losses)), accuracy)
