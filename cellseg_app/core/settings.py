"""`RunSettings`: the one object behind the form, the command line, the presets and the record.

Bounds, units and help texts stand here once, in the fields. `json_schema_extra["unit"]` is what a
form or a help page prints behind the number.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.config import JsonDict

from cellseg_app.core.box import parse_box
from cellseg_app.core.sources import absolute, as_source

NetworkName = Literal["SwinUNetR", "SegResNet", "WNet", "TRAILMAP_MS", "VNet"]
InstanceMethod = Literal["cell-peaks", "voronoi-otsu", "watershed", "connected-components", "none"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
Runtime = Literal["auto", "torch", "openvino"]
OmeVersion = Literal["auto", "0.5", "0.4"]
Positive = Annotated[float, Field(gt=0)]


def setting(default: Any, title: str, description: str, *, unit: str = "", **bounds: Any) -> Any:  # noqa: ANN401
    """A settings field with its title, help text, unit and bounds."""
    extra: JsonDict | None = {"unit": unit} if unit else None
    return Field(default, title=title, description=description, json_schema_extra=extra, **bounds)


class Section(BaseModel):
    """Base of every group of settings: immutable, and no unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class DataSettings(Section):
    """Which part of the file is the volume, and how large a voxel is."""

    voxel_size_um_zyx: tuple[Positive, Positive, Positive] | None = setting(
        None,
        "Voxel size",
        "Overrides the voxel size of the file, as Z Y X.",
        unit="µm",
    )
    channel: int = setting(0, "Channel", "Which channel to segment, from 0.", ge=0)
    timepoint: int = setting(0, "Time point", "Which time point to segment, from 0.", ge=0)
    level: int = setting(
        0, "Resolution level", "Which level of an OME-Zarr pyramid, 0 is the finest.", ge=0
    )


class RegionSettings(Section):
    """Which part of the volume is searched for cells; everything unless something is set."""

    box: str | None = setting(
        None,
        "Box",
        "Only these voxels, as Z0:Z1,Y0:Y1,X0:X1, from 0, ends not included, : for all. Results "
        "keep the size and the coordinates of the whole volume, with zeros outside; cells cut by "
        "the box count as touching the border.",
        unit="voxels",
    )
    mask: str | None = setting(
        None,
        "Mask",
        "Only where this TIFF or OME-Zarr is not zero; it covers the same extent, at any "
        "resolution.",
    )
    non_empty: bool = setting(
        False,
        "Non-empty part",
        "Only where the volume is brighter than its empty surroundings, with a margin.",
    )

    @field_validator("box", "mask", mode="before")
    @classmethod
    def _nothing_if_empty(cls, text: object) -> object:
        return (text.strip() or None) if isinstance(text, str) else text

    @field_validator("box")
    @classmethod
    def _as_box(cls, text: str | None) -> str | None:
        return None if text is None else parse_box(text)

    @model_validator(mode="after")
    def _one_of_them(self) -> RegionSettings:
        if self.mask is not None and self.non_empty:
            msg = "a mask says already what is empty: choose one of them"
            raise ValueError(msg)
        return self

    @property
    def is_whole(self) -> bool:
        """Whether the whole volume is searched."""
        return self.box is None and self.mask is None and not self.non_empty


class NetworkSettings(Section):
    """Which network finds the cells."""

    name: NetworkName = setting("TRAILMAP_MS", "Network", "The network that finds the cells.")
    weights: str | None = setting(
        None,
        "Weights",
        "A weights file of your own, or the name of imported weights; empty means bundled.",
    )
    input_size: int | None = setting(
        None,
        "Input size",
        "Window size that custom SegResNet or SwinUNetR weights were trained with; empty means "
        "read from the file, or 64.",
        unit="voxels",
        ge=16,
        le=512,
    )

    @field_validator("name", mode="before")
    @classmethod
    def _any_case_or_alias(cls, name: object) -> object:
        if not isinstance(name, str):
            return name
        known = {network.lower(): network for network in get_args(NetworkName)}
        return {**known, "wnet3d": "WNet"}.get(name.lower(), name)


class InferenceSettings(Section):
    """How the network is led over the volume."""

    window: int | Literal["auto", "whole"] = setting(
        "auto",
        "Window",
        "Edge of the windows the network sees; auto takes the network's own, whole takes the "
        "volume at once.",
        unit="voxels",
    )
    overlap: float = setting(
        0.25, "Overlap", "Share of a window that the next one repeats.", ge=0.0, le=0.9
    )
    batch: int = setting(
        0, "Windows at once", "How many windows run together; 0 chooses.", ge=0, le=64
    )
    device: str = setting(
        "auto",
        "Device",
        "auto, cpu, cuda, cuda:1, mps, or gpu and npu for those of Intel.",
        pattern=r"^(auto|cpu|mps|gpu|npu|cuda(:\d+)?)$",
    )
    keep_on_cpu: bool = setting(
        False, "Keep data on CPU", "Stitch in main memory; saves graphics memory."
    )
    precision: Precision = setting(
        "auto",
        "Precision",
        "Arithmetic inside the network; auto uses half precision only where it is native and "
        "does not change the cells.",
    )
    runtime: Runtime = setting(
        "auto",
        "Runtime",
        "What computes the network; auto takes what proves faster on this machine and draws the "
        "same cells.",
    )
    skip_empty: bool = setting(
        False,
        "Skip empty windows",
        "Windows that look like those in which the network was seen to find nothing are not run: "
        "much faster where tissue is sparse, but very faint cells could be lost.",
    )
    flip_averaging: bool = setting(
        False, "Average over flips", "Runs eight mirrored views; slower, a little more accurate."
    )

    @model_validator(mode="after")
    def _window_in_bounds(self) -> InferenceSettings:
        if isinstance(self.window, int) and not 8 <= self.window <= 1024:
            msg = f"window must be between 8 and 1024 voxels, not {self.window}"
            raise ValueError(msg)
        return self


class CellSizeSettings(Section):
    """Matching the cells' size to what the network learned, and anisotropy."""

    diameter: Positive | Literal["auto"] | None = setting(
        "auto",
        "Cell diameter",
        "Typical diameter of a cell; auto estimates it from the image. Resizes the volume to "
        "what the network learned.",
    )
    diameter_unit: Literal["um", "px"] = setting(
        "um", "Diameter unit", "Whether the diameter is in µm or in voxels along Y and X."
    )
    isotropic: bool = setting(
        False,
        "Isotropic results",
        "Resample results to the smallest voxel edge; needs the voxel size.",
    )

    def stated_px(self, lateral_um: float | None) -> float | None:
        """The diameter the user stated, in voxels along Y and X of so many µm.

        None where no diameter was stated, or one in µm for voxels of unknown size.
        """
        if not isinstance(self.diameter, (int, float)):
            return None
        if self.diameter_unit == "px":
            return float(self.diameter)
        return None if lateral_um is None else self.diameter / lateral_um


class ThresholdSettings(Section):
    """From probability to foreground."""

    threshold: float | None = setting(
        None,
        "Threshold",
        "Probability above which a voxel belongs to a cell; empty means the network's own.",
        ge=0.0,
        le=1.0,
    )
    class_choice: int | Literal["auto", "all"] = setting(
        "auto",
        "Class",
        "Which class of a multi-class network holds the cells: auto, all, or its number from 0.",
    )
    remove_large_voxels: int | None = setting(
        None,
        "Remove large parts",
        "Connected foreground larger than this is cleared before cells are told apart.",
        unit="voxels",
        ge=1,
    )


class InstanceSettings(Section):
    """How foreground becomes one label per cell."""

    method: InstanceMethod | None = setting(
        None, "Method", "How touching cells are told apart; empty means the network's own."
    )
    min_size_voxels: int | None = setting(
        None,
        "Smallest cell",
        "Cells smaller than this are dropped; empty means the method's own.",
        unit="voxels",
        ge=0,
    )
    min_uncut_voxels: int | None = setting(
        None,
        "Smallest uncut cell",
        "Cell peaks: cells smaller than this are dropped; those that the border of the volume "
        "cuts may be half as large. Empty means a sixteenth of a ball of the cell diameter, if "
        "that was given and no smallest cell was.",
        unit="voxels",
        ge=0,
    )
    spot_sigma: float | None = setting(
        None, "Spot sigma", "Voronoi-Otsu: how far apart seeds are.", unit="voxels", ge=0, le=100
    )
    outline_sigma: float | None = setting(
        None, "Outline sigma", "Voronoi-Otsu: outline smoothing.", unit="voxels", ge=0, le=100
    )
    seed_threshold: float | None = setting(
        None, "Seed threshold", "Watershed: probability above which seeds stand.", ge=0, le=1
    )
    min_seed_voxels: int | None = setting(
        None, "Smallest seed", "Watershed: smaller seeds are dropped.", unit="voxels", ge=0
    )
    seed_smoothing: float | None = setting(
        None,
        "Seed smoothing",
        "Cell peaks: blur before seeds are sought; in halves of voxels where these are coarse for "
        "the cells.",
        unit="voxels",
        ge=0,
        le=20,
    )
    seed_depth: float | None = setting(
        None, "Seed depth", "Cell peaks: how deep the dip between two cells must be.", ge=0, le=1
    )
    remove_border: bool = setting(
        False, "Drop cut cells", "Drops cells that touch the border of the volume."
    )


class StatisticsSettings(Section):
    """What is measured."""

    enabled: bool = setting(True, "Measure cells", "Writes one row per cell.")
    surface: bool = setting(
        True, "Surface", "Surface area and the sphericity that follows from it."
    )
    intensity: bool = setting(True, "Intensity", "Mean, minimum, maximum and spread of intensity.")
    uncertainty: bool = setting(
        True, "Uncertainty", "How unsure the network is of each cell, from 0 to 1."
    )


class OutputSettings(Section):
    """What is written, and how."""

    format: Literal["tif", "zarr"] = setting("tif", "Format", "TIFF or OME-Zarr.")
    ome_zarr_version: OmeVersion = setting(
        "auto",
        "OME-Zarr version",
        "0.5 (Zarr format 3, large images in shards) or 0.4, which older programs read.",
    )
    save_probability: bool = setting(
        True, "Save the semantic map", "Writes the probability map beside the labels."
    )
    probability_dtype: Literal["auto", "float32", "float16", "uint8"] = setting(
        "auto",
        "Map type",
        "How OME-Zarr stores the semantic map: auto means float16; uint8 (0 to 255) is the "
        "smallest and, as float32, read by every program. Cells are told apart on what was "
        "stored. TIFF always holds float32.",
    )
    label_dtype: Literal["uint32", "uint16", "uint64"] = setting(
        "uint32",
        "Label type",
        "uint16 only if fewer than 65,536 cells are found; uint64 is taken by itself when cells "
        "are too many for uint32.",
    )

    @property
    def stored_probability_dtype(self) -> str:
        """NumPy's name of what the map is stored as."""
        if self.format == "tif":
            return "float32"
        return "float16" if self.probability_dtype == "auto" else self.probability_dtype


class RunSettings(Section):
    """Everything that decides the result of a run."""

    data: DataSettings = DataSettings()
    region: RegionSettings = RegionSettings()
    network: NetworkSettings = NetworkSettings()
    inference: InferenceSettings = InferenceSettings()
    size: CellSizeSettings = CellSizeSettings()
    threshold: ThresholdSettings = ThresholdSettings()
    instances: InstanceSettings = InstanceSettings()
    statistics: StatisticsSettings = StatisticsSettings()
    output: OutputSettings = OutputSettings()

    def with_voxel_size(self, um_zyx: tuple[float, float, float] | None) -> RunSettings:
        """The same choices for a volume whose voxel size (Z, Y, X in µm) was given by hand."""
        data = DataSettings(**{**self.data.model_dump(), "voxel_size_um_zyx": um_zyx})
        return self.model_copy(update={"data": data})

    def for_any_volume(self) -> RunSettings:
        """The same choices without those that fit one volume only: its region."""
        return self.model_copy(update={"region": RegionSettings()})

    def with_absolute_paths(self) -> RunSettings:
        """The same choices, to be repeated from another folder."""
        if self.region.mask is None:
            return self
        mask = absolute(as_source(self.region.mask))
        return self.model_copy(update={"region": self.region.model_copy(update={"mask": mask})})
