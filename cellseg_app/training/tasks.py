"""What is trained: a network with its loss and the way it is judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from cellseg_app.core.errors import SettingsError
from cellseg_app.inference.nets import build_network, network_options
from cellseg_app.inference.nets.wnet import WNet
from cellseg_app.training.dataset import validation_samples
from cellseg_app.training.evaluation import Accuracy, Activation, evaluate, predictor
from cellseg_app.training.losses import (
    bright_first_loss,
    centre_peaked_loss,
    soft_normalized_cut,
    uneven_classes_loss,
)
from cellseg_app.training.settings import TrainingSettings, use_bfloat16


@dataclass(frozen=True)
class Score:
    """Result of one validation; the larger `value`, the better."""

    value: float
    accuracy: Accuracy


class Task(Protocol):
    """What the training loop needs to know."""

    def build(self) -> nn.Module:
        """A freshly initialised network."""

    def loss(self, network: nn.Module, image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Loss of one batch, (N, 1, Z, Y, X) each; a scalar."""

    def score(self, network: nn.Module) -> Score:
        """Judge a network on the validation samples."""


class SupervisedTask:
    """Learn the centre-peaked map from labelled samples."""

    def __init__(self, settings: TrainingSettings) -> None:
        self._settings = settings
        self._fast = use_bfloat16(settings.precision)
        # TRAILMAP_MS ends in a sigmoid of its own in eval mode only.
        self._ends_in_sigmoid = settings.architecture == "TRAILMAP_MS"

    def build(self) -> nn.Module:
        """See `Task`."""
        return build_network(self._settings.architecture, self._settings.options)

    def loss(self, network: nn.Module, image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """See `Task`."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self._fast):
            logits = network(image)
        return centre_peaked_loss(logits.float(), target)

    def score(self, network: nn.Module) -> Score:
        """F1 and Dice on unseen samples."""
        samples = validation_samples(self._settings.validation, self._settings.patch_voxels)
        activation: Activation = "identity" if self._ends_in_sigmoid else "sigmoid"
        predict = predictor(network, activation=activation, fast=self._fast)
        accuracy = evaluate(predict, samples)
        return Score(accuracy.f1 + accuracy.dice, accuracy)


class WNetTask:
    """Learn to part bright from dark without labels.

    The encoder's classes should cut the image where neighbours differ (soft normalized cut), and
    the decoder should be able to redraw the image from the classes alone. Each class should be
    even: redrawing alone was found to teach the encoder a checkerboard code of grey levels, the
    cut alone to part the image into halves. A last term asks that class 0 be the bright one, so
    that the order of the classes is always the same.

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

    def build(self) -> nn.Module:
        """See `Task`."""
        options = network_options("WNet", {**self._settings.options, "decoder": True})
        return build_network("WNet", options.model_dump())

    def loss(self, network: nn.Module, image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """See `Task`; the target is not looked at."""
        if not isinstance(network, WNet):
            raise TypeError("WNetTask trains a WNet.")
        with torch.autocast("cpu", torch.bfloat16, enabled=self._fast):
            logits, redrawn = network.forward_with_reconstruction(image)
        classes = torch.softmax(logits.float(), dim=1)
        shown = image.clamp(-0.2, 1.5)
        cut = soft_normalized_cut(
            classes, shown, sigma_intensity=self._settings.sigma_intensity, radius_voxels=2
        )
        redraw = nn.functional.mse_loss(redrawn.float(), shown)
        weights = self._settings
        return (
            cut
            + weights.reconstruction_weight * redraw
            + weights.region_weight * uneven_classes_loss(classes, shown)
            + weights.order_weight * bright_first_loss(classes, shown)
        )

    def score(self, network: nn.Module) -> Score:
        """The loss on unseen samples decides; the labels only tell how well it does."""
        samples = validation_samples(self._settings.validation, self._settings.patch_voxels)
        losses = []
        with torch.inference_mode():
            for sample in samples:
                sides = [slice(0, size // 16 * 16) for size in sample.image.shape]
                image = torch.from_numpy(sample.image[tuple(sides)].astype("float32"))[None, None]
                losses.append(float(self.loss(network, image, image)))
        predict = predictor(network, activation="softmax", fast=self._fast)
        accuracy = evaluate(predict, samples, h=0.1)
        return Score(-sum(losses) / max(1, len(losses)), accuracy)
