"""What a user asks of each training command. Reading a command line needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from cellseg_app.inference.compatible import card_name

DEFAULT_OPTIONS: dict[str, dict[str, Any]] = {
    "SegResNet": {"init_filters": 16, "vae": False, "dropout": 0.0},
    "WNet": {"channels": [16, 32, 64, 128], "dropout": 0.0, "rescale_input_to": None},
    "TRAILMAP_MS": {"f_maps": 16},
    "VNet": {"base_features": 8, "dropout": 0.1},
    # Attention among 4³ instead of 7³ neighbours costs a seventh of the time.
    "SwinUNetR": {
        "feature_size": 12,
        "window_size": 4,
        "dropout": 0.0,
        "attention_dropout": 0.0,
    },
}
Positive3 = tuple[float, float, float]
Span = tuple[float, float]
# A name becomes a file name, and may come from a stranger's card.
CardName = Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*)?$", max_length=100)]
# A map that rises from 0.5 at the border of a cell to 1 at its centre, or 1 inside and 0 outside.
TargetKind = Literal["centre_peaked", "foreground"]
PresetName = Literal["mixed", "tissue", "embryo", "culture", "two_photon", "empty"]


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SimulationRequest(_Request):
    """Simulated volumes in a folder."""

    out: Path = Field(description="Folder for the volumes.")
    count: int = Field(10, ge=1, description="Number of volumes.")
    seed: int = Field(0, ge=0, description="Seed of all of them.")
    workers: int = Field(1, ge=1, description="Processes.")
    preset: PresetName = Field("mixed", description="Kind of specimen.")
    size: tuple[int, int, int] | None = Field(
        None, description="Size in lateral voxels; the slices are fewer by the anisotropy."
    )
    diameter_um: Span | None = Field(None, description="Diameter in µm.")
    diameter_voxels: Span | None = Field(None, description="Diameter in lateral voxels.")
    anisotropy: Span | None = Field(None, description="Axial over lateral voxel size.")
    photons: Span | None = Field(None, description="Photons a voxel from a typical nucleus.")
    label_level: float | None = Field(
        None, gt=0, lt=1, description="Share of its own peak above which a nucleus is labelled."
    )


class _Learning(_Request):
    """What every training has in common."""

    out: Path = Field(description="Folder for the result.")
    name: CardName = Field(
        "", description="What to call the weights; the folder's name if not given."
    )
    steps: int = Field(4000, ge=1, description="Weight updates.")
    validate_every_steps: int = Field(250, ge=1, description="Updates between two judgements.")
    batch: int = Field(2, ge=1, le=64, description="Patches an update.")
    learning_rate: float = Field(1e-3, gt=0, description="Highest learning rate.")
    seed: int = Field(0, ge=0, description="Seed of everything random.")
    threads: int | None = Field(None, ge=1, description="CPU threads; all if not given.")
    voxel_size_um_zyx: Positive3 | None = Field(
        None, description="Voxel size in µm, for files that do not state theirs."
    )

    @property
    def result_name(self) -> str:
        """What the weights and their card are called."""
        return self.name or card_name(self.out.name)

    @field_validator("voxel_size_um_zyx")
    @classmethod
    def _positive(cls, size: Positive3 | None) -> Positive3 | None:
        if size is not None and min(size) <= 0:
            raise ValueError("voxel sizes must be positive")
        return size


class TrainingRequest(_Learning):
    """A training from the ground up, on folders of pairs."""

    network: str = Field("SegResNet", description="The network to train.")
    options: dict[str, Any] = Field(
        default_factory=dict, description="Width and the like, as NAME=VALUE."
    )
    data: tuple[tuple[Path, float], ...] = Field(
        min_length=1,
        description="Folder of NAME_image.tif and NAME_labels.tif, and how often to draw from it.",
    )
    hold_out: tuple[str, ...] = Field(
        (), description="Volumes to judge by instead of learning from, such as 'Emb11*'."
    )
    name: CardName = Field(
        "", description="What to call the weights; the network's name if not given."
    )
    start: Path | None = Field(None, description="Weights to start from.")
    patch_voxels: int = Field(64, ge=16, description="Edge of a patch in voxels.")
    workers: int = Field(1, ge=1, description="Processes that prepare samples.")
    object_diameter_voxels: float = Field(
        11.0, gt=0, description="Diameter of a typical object as the network sees it, in voxels."
    )
    target: TargetKind = Field(
        "centre_peaked",
        description="What the network is to answer: a map that rises towards the centre of every "
        "cell, or cells without the voxels that touch another one.",
    )
    empty_share: float = Field(
        0.0, ge=0, lt=1, description="Share of patches that hold noise or a slope and no cell."
    )
    coarse_share: float = Field(
        0.0, ge=0, le=1, description="Share of patches shown as if taken with larger voxels."
    )
    licence: str = ""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, values: Any) -> Any:  # noqa: ANN401 - whatever was given
        if isinstance(values, dict) and not values.get("name"):
            return {**values, "name": values.get("network", "SegResNet")}
        return values

    @field_validator("options", mode="before")
    @classmethod
    def _from_pairs(cls, options: object) -> object:
        return dict(options) if isinstance(options, list) else options


def with_default_options(request: TrainingRequest) -> TrainingRequest:
    """Return the request with the narrow width for whatever was not chosen."""
    options = {**DEFAULT_OPTIONS[request.network], **request.options}
    return request.model_copy(update={"options": options})


class FinetuneRequest(_Learning):
    """Going on from weights that exist, with the user's own images and labels."""

    data: tuple[Path, ...] = Field(
        (),
        description="Folder of NAME_image.tif and NAME_labels.tif, or with the folders images and "
        "labels that hold files of the same names.",
    )
    images: Path | None = Field(None, description="Folder of images.")
    labels: Path | None = Field(None, description="Folder of labels, named as the images.")
    weights: str = Field(
        "", description="Weights to start from: a name or a file; the network's own if not given."
    )
    network: str | None = Field(None, description="The network to teach; SegResNet if not given.")
    steps: int = Field(600, ge=1, description="Weight updates at most.")
    validate_every_steps: int = Field(50, ge=1, description="Updates between two judgements.")
    patience: int = Field(5, ge=1, description="Judgements without progress before stopping.")
    learning_rate: float = Field(3e-4, gt=0, description="Highest learning rate.")
    patch_voxels: int | None = Field(
        None, ge=16, description="Edge of a patch in voxels; the weights' own window if not given."
    )
    augment: bool = Field(True, description="Learn from the patches as they are.")
    validation_share: float = Field(
        0.2, ge=0, le=0.5, description="Share of the volumes, or of a single one, to judge by."
    )
    hold_out: tuple[str, ...] = Field(
        (), description="Volumes to judge by instead of a share, such as 'embryo3*'."
    )

    @model_validator(mode="before")
    @classmethod
    def _with_network(cls, values: Any) -> Any:  # noqa: ANN401 - whatever was given
        if isinstance(values, dict) and not values.get("weights") and not values.get("network"):
            return {**values, "network": "SegResNet"}
        return values

    @model_validator(mode="after")
    def _complete(self) -> FinetuneRequest:
        if (self.images is None) != (self.labels is None):
            raise ValueError("--images and --labels belong together")
        if not self.data and self.images is None:
            raise ValueError("give --data, or --images and --labels")
        return self


class AdaptRequest(_Learning):
    """Going on with WNet on the user's own volumes, without labels."""

    volumes: tuple[Path, ...] = Field(min_length=1, description="Volumes, folders or patterns.")
    weights: str = Field("WNet", description="WNet weights to start from: a name or a file.")
    diameter: str = Field(
        "auto", description="Typical diameter of a cell: 12um, 14px, auto or none."
    )
    steps: int = Field(400, ge=1, description="Weight updates at most.")
    validate_every_steps: int = Field(50, ge=1, description="Updates between two judgements.")
    patience: int = Field(4, ge=1, description="Judgements without progress before stopping.")
    learning_rate: float = Field(3e-4, gt=0, description="Highest learning rate.")
    batch: int = Field(1, ge=1, le=64, description="Patches an update.")
    patch_voxels: int | None = Field(
        None,
        ge=16,
        multiple_of=8,
        description="Edge of a patch in voxels; 48, or the window that the weights are bound to.",
    )
    augment: bool = Field(True, description="Learn from the patches as they are.")
