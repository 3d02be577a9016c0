"""Model cards: the JSON file beside every weights file that says how to use it.

Whatever a checkpoint needs (axis order, normalization, output activation, window, threshold)
stands in its card and nowhere in code.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from cellseg_app.atomic import atomic_path
from cellseg_app.core.errors import WeightsError

Quantile = Annotated[float, Field(ge=0, le=1)]
FileKind = Literal["state_dict", "torchscript", "onnx"]
CARD_SUFFIX: Final = ".json"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Normalization(_Value):
    """What happens to intensities before the network.

    `quantile_scale` maps the two quantiles to 0 and 1; `quantile_clip` clips to them and keeps
    camera counts; `volume` measures them once, `window` anew in every window. With
    `background_diameters`, what varies slowly over a box of so many object diameters is taken away
    first; see `WithoutBackground`.
    """

    scope: Literal["volume", "window"] = "volume"
    kind: Literal["quantile_scale", "quantile_clip", "none"] = "quantile_scale"
    low_quantile: Quantile = 0.01
    high_quantile: Quantile = 0.999
    background_diameters: float | None = Field(default=None, ge=1.5, le=20)

    @model_validator(mode="after")
    def _ordered(self) -> Normalization:
        if self.low_quantile >= self.high_quantile:
            raise ValueError("low_quantile must lie below high_quantile")
        return self


class OutputSpec(_Value):
    """How the network's output becomes a probability, and what that probability means.

    `activation` is applied to what the network returns: TRAILMAP_MS ends in a sigmoid of its
    own, so its cards say `identity`. `stretch_per_window` maps the extremes of every window,
    all classes together, to 0 and 1, as the CellSeg3D plugin does.
    """

    activation: Literal["sigmoid", "softmax", "identity", "stretch_per_window"] = "sigmoid"
    target: Literal["foreground", "centre_peaked", "classes"] = "foreground"
    foreground_class: int | None = Field(default=None, ge=0)


class TrainingRecord(_Value):
    """How the weights came to be, in enough detail to make them again.

    `recipe` holds the steps, each the words after `cellseg train`; `command` is the same for
    people, and all that older cards have.
    """

    recipe: tuple[tuple[str, ...], ...] = ()
    command: str = ""
    seed: int
    date: str
    data: str
    steps: PositiveInt
    hours: float = Field(ge=0)
    metrics: dict[str, float] = {}
    curve_file: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _command_follows_from_the_recipe(cls, values: Any) -> Any:  # noqa: ANN401 - raw JSON
        if not isinstance(values, dict) or not values.get("recipe"):
            return values
        steps = (["cellseg", "train", *map(str, words)] for words in values["recipe"])
        return {**values, "command": "; ".join(shlex.join(words) for words in steps)}


class ModelCard(_Value):
    """Everything the program must know about one weights file.

    Attributes
    ----------
    name
        What `--weights` and the weights list call it; also the card's file name.
    options
        Fields of the architecture's options that differ from the published size.
    weights_file
        File name beside the card.
    file_kind
        `state_dict` for weights of our own networks; `torchscript` and `onnx` bring their own
        computation, and then `architecture` may be "custom".
    voxel_size_um, object_diameter_voxels
        What the network learned on. None for the diameter means the volume is never resized
        for this network.
    window_default, divisor, minimum
        Window extent unless the user chooses, the number every extent must be a multiple of,
        and the smallest extent (voxels).
    window_fixed
        Whether the window extent must not be changed.
    blend_sigma
        Width of the Gaussian that blends windows, as a share of the window; None is a plain mean.
    """

    card_version: Literal[1] = 1
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
    title: str
    architecture: Literal["SwinUNetR", "SegResNet", "WNet", "TRAILMAP_MS", "VNet", "custom"]
    options: dict[str, Any] = {}
    weights_file: str
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    file_kind: FileKind = "state_dict"
    input_axes: Literal["ZYX", "XYZ"] = "ZYX"
    normalization: Normalization = Normalization()
    output: OutputSpec = OutputSpec()
    classes: PositiveInt = 1
    voxel_size_um: float | None = Field(default=None, gt=0)
    object_diameter_voxels: float | None = Field(default=None, gt=0)
    window_default: PositiveInt = 64
    window_fixed: bool = False
    divisor: PositiveInt = 8
    minimum: PositiveInt = 8
    overlap_default: float = Field(default=0.25, ge=0, le=0.9)
    blend_sigma: float | None = Field(default=0.125, gt=0, le=1)
    default_threshold: float = Field(default=0.5, ge=0, le=1)
    default_instances: str | None = None
    default_instance_options: dict[str, float | int | bool | str] = {}
    cellseg3d_compatible: bool = False
    licence: str = ""
    source: str = ""
    citation: str = ""
    training: TrainingRecord | None = None
    accuracy: dict[str, float] = {}
    notes: str = ""

    @field_validator("weights_file")
    @classmethod
    def _lies_beside_the_card(cls, name: str) -> str:
        # A card from a stranger must not lead the program to a file elsewhere.
        if not name or name in {".", ".."} or any(mark in name for mark in "/\\:"):
            raise ValueError("weights_file must be a plain file name beside the card")
        return name

    @model_validator(mode="after")
    def _consistent(self) -> ModelCard:
        if self.architecture == "custom" and self.file_kind == "state_dict":
            raise ValueError("a state dict needs one of the five architectures")
        if self.window_default % self.divisor:
            raise ValueError("window_default must be a multiple of divisor")
        chosen = self.output.foreground_class
        if chosen is not None and chosen >= self.classes:
            raise ValueError("foreground_class must be smaller than classes")
        seen = self.normalization
        if seen.background_diameters is not None and (
            self.object_diameter_voxels is None
            or (seen.scope, seen.kind) != ("volume", "quantile_scale")
        ):
            raise ValueError(
                "background_diameters needs object_diameter_voxels and one scale per volume"
            )
        return self


def card_path_for(weights_path: Path) -> Path:
    """Return where the card of a weights file lies."""
    return weights_path.with_suffix(CARD_SUFFIX)


def looks_like_card(path: Path) -> bool:
    """Return whether the file exists and claims to be a model card, usable or not."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and "card_version" in content


def read_card(path: Path) -> ModelCard:
    """Return the checked card.

    Raises
    ------
    WeightsError
        The file is missing, is not JSON, or is not a model card.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WeightsError(
            "The model card cannot be read.", "Check that it exists and is a text file.", path=path
        ) from error
    try:
        return ModelCard.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole card"
        raise WeightsError(
            f"This is not a usable model card ({where}: {first['msg']}).",
            "Correct the card, or import the weights file again without it.",
            path=path,
        ) from error


def write_card(card: ModelCard, path: Path) -> None:
    """Write the card, whole or not at all.

    Raises
    ------
    OutputError
        The folder cannot be written to.
    """
    text = json.dumps(card.model_dump(mode="json"), indent=2, ensure_ascii=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
