"""Settings of a training run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cellseg_app.inference.cards import Normalization
from cellseg_app.inference.devices import native_half_precision
from cellseg_app.training.requests import TargetKind

Precision = Literal["auto", "float32", "bfloat16"]
# Measured: a fifth to a third faster; SegResNet's group normalization makes it slower there.
CHANNELS_LAST = frozenset({"TRAILMAP_MS", "VNet", "SwinUNetR"})
# What our own networks see: one scale a volume.
OWN_NORMALIZATION = Normalization(low_quantile=0.01, high_quantile=0.998)
# WNet parts bright from dark, whatever is bright. It finds more with the background taken away
# first, although it did not learn so; the supervised networks do not.
WNET_NORMALIZATION = OWN_NORMALIZATION.model_copy(update={"background_diameters": 2.25})


class SampleFolder(BaseModel):
    """A folder of training samples and how often to draw from it, relative to the others."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    share: float = Field(1.0, gt=0)


class TrainingSettings(BaseModel):
    """Everything a training run depends on; the same settings and data give the same weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: str = Field("SegResNet", description="Network to train.")
    options: dict[str, Any] = Field(default_factory=dict, description="Its width and the like.")
    data: tuple[SampleFolder, ...] = Field(description="Folders of samples to learn from.")
    validation: tuple[Path, ...] = Field((), description="Folders of samples to judge by.")
    start_weights: Path | None = Field(None, description="Weights to start from.")
    steps: int = Field(4000, ge=1, description="Weight updates.")
    batch: int = Field(2, ge=1, description="Patches an update.")
    patch_voxels: int = Field(64, ge=16, description="Edge of a patch.")
    learning_rate: float = Field(1e-3, gt=0, description="Highest learning rate.")
    warm_up_steps: int = Field(100, ge=0)
    weight_decay: float = Field(1e-4, ge=0)
    gradient_limit: float = Field(1.0, gt=0, description="Largest norm of a gradient.")
    average_decay: float = Field(0.995, ge=0, lt=1, description="Of the averaged weights.")
    validate_every_steps: int = Field(250, ge=1)
    patience: int = Field(12, ge=1, description="Validations without progress before stopping.")
    seed: int = Field(0, ge=0)
    threads: int | None = Field(None, ge=1, description="CPU threads; all if not given.")
    precision: Precision = Field("auto", description="bfloat16 where the processor has it.")
    sigma_intensity: float = Field(
        0.1, gt=0, description="WNet: intensity difference at which neighbours are unlike."
    )
    reconstruction_weight: float = Field(2.0, ge=0, description="WNet: weight of the redrawing.")
    region_weight: float = Field(20.0, ge=0, description="WNet: weight of classes being even.")
    order_weight: float = Field(0.2, ge=0, description="WNet: weight of class 0 being bright.")
    empty_weight: float = Field(0.3, ge=0, description="WNet: weight of empty images.")
    channels_last: bool = Field(
        False, description="Memory order; faster for networks without group normalization."
    )
    target: TargetKind = Field("centre_peaked", description="What the network is to answer.")
    normalization: Normalization = Field(OWN_NORMALIZATION, description="Scale that it sees.")
    input_axes: Literal["ZYX", "XYZ"] = Field("ZYX", description="Axis order that it sees.")
    augment: bool = Field(True, description="Whether patches are varied.")
    empty_share: float = Field(0.0, ge=0, lt=1, description="Share of patches of noise alone.")
    coarse_share: float = Field(0.0, ge=0, le=1, description="Share of patches made coarse.")
    validation_voxels: int | None = Field(
        None, description="Edge of what is judged of a volume; that of a patch if not given."
    )
    judge_by: Literal["both", "dice"] = Field("both", description="Dice alone, or with F1.")
    validate_first: bool = Field(False, description="Judge the weights started from, too.")
    decoder_first_steps: int = Field(
        0, ge=0, description="WNet: updates before the encoder learns as well."
    )
    data_fingerprint: str = Field("", description="Tells whether the data are still the same.")


def use_bfloat16(precision: Precision) -> bool:
    """Whether to compute in bfloat16; `auto` does where the processor has it natively."""
    if precision != "auto":
        return precision == "bfloat16"
    return native_half_precision("cpu") == "bfloat16"
