"""What a simulated volume may look like: settings of a run and the ranges of each preset."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Span = tuple[float, float]
PresetName = Literal["mixed", "tissue", "embryo", "culture", "two_photon", "empty"]
RegionKind = Literal["full", "ball", "half", "layer", "clusters", "shell"]


class SimulationSettings(BaseModel):
    """One recipe for simulated nuclei volumes; the same settings and seed give the same bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: PresetName = Field("mixed", description="Kind of specimen; mixed draws one a volume.")
    extent_voxels_zyx: tuple[int, int, int] | None = Field(
        None,
        description="Size of the volume in lateral voxels; the slices are fewer by the anisotropy.",
    )
    extent_diameters: float = Field(
        8.0, gt=0, description="Edge of a cubic volume in nucleus diameters, if no size is given."
    )
    diameter_um: Span = Field((6.0, 14.0), description="Typical diameter of a nucleus.")
    diameter_voxels: Span = Field(
        (3.2, 16.0), description="The same in lateral voxels (drawn log-uniformly)."
    )
    anisotropy: Span = Field((1.0, 5.0), description="Axial over lateral voxel size.")
    photons: Span = Field(
        (8.0, 2000.0), description="Photons a voxel from a typical nucleus (drawn log-uniformly)."
    )
    empty_fraction: float = Field(
        0.04, ge=0.0, le=1.0, description="Share of volumes without any nucleus (mixed preset)."
    )
    label_level: float = Field(
        0.3,
        gt=0.0,
        lt=1.0,
        description="A nucleus is labelled where it stands above this share of its own peak. "
        "People draw at 0.2 (mouse embryos of BBBC050) to 0.5 of it.",
    )
    label_minimum_snr: float = Field(
        8.0, ge=0.0, description="A nucleus that stands out less than this is not labelled."
    )


class PresetRanges(BaseModel):
    """Ranges one kind of specimen is drawn from; lengths in nucleus diameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    regions: tuple[RegionKind, ...] = ("full",)
    fill: Span = Field((0.05, 0.4), description="Share of the inhabited space taken by nuclei.")
    contact: Span = Field((0.75, 1.1), description="Distance kept by neighbours, over radii sum.")
    size_spread: Span = (0.05, 0.25)
    elongation: Span = Field((1.0, 1.5), description="Longest over middle half-axis.")
    flatness: Span = Field((1.0, 1.4), description="Middle over shortest half-axis.")
    flat_in_z: bool = False
    deformation: Span = (0.0, 0.2)
    brightness_spread: Span = (0.1, 0.7)
    mitotic_share: Span = (0.0, 0.06)
    texture: Span = (0.0, 0.5)
    psf_lateral: Span = (0.03, 0.12)
    psf_axial_ratio: Span = (1.0, 4.0)
    background: Span = (0.0, 0.4)
    haze: Span = (0.0, 0.3)
    attenuation: Span = (0.0, 0.8)
    debris: Span = (0.0, 1.0)
    anisotropy: Span = (1.0, 5.0)


PRESETS: dict[str, PresetRanges] = {
    "tissue": PresetRanges(
        regions=("full", "half", "full", "clusters"),
        fill=(0.01, 0.4),
        background=(0.02, 0.9),
        debris=(0.2, 1.0),
        elongation=(1.0, 2.2),
        psf_lateral=(0.04, 0.16),
        anisotropy=(1.0, 3.5),
    ),
    "embryo": PresetRanges(
        regions=("ball", "ball", "shell", "full", "clusters"),
        fill=(0.06, 0.5),
        contact=(0.7, 1.15),
        mitotic_share=(0.0, 0.15),
        background=(0.0, 0.3),
        debris=(0.0, 0.4),
        psf_lateral=(0.03, 0.1),
        psf_axial_ratio=(1.5, 6.0),
        anisotropy=(1.5, 5.0),
    ),
    "culture": PresetRanges(
        regions=("layer", "layer", "clusters"),
        fill=(0.05, 0.5),
        flatness=(1.2, 2.6),
        flat_in_z=True,
        elongation=(1.0, 2.0),
        deformation=(0.0, 0.3),
        texture=(0.1, 0.7),
        background=(0.0, 0.2),
        debris=(0.0, 0.5),
        anisotropy=(1.0, 5.0),
    ),
    "two_photon": PresetRanges(
        regions=("full", "half", "clusters"),
        fill=(0.003, 0.1),
        brightness_spread=(0.3, 0.9),
        background=(0.1, 1.5),
        debris=(0.3, 1.0),
        psf_lateral=(0.04, 0.15),
        psf_axial_ratio=(1.5, 5.0),
        anisotropy=(1.5, 4.0),
    ),
}
