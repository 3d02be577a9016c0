"""The weights the CellSeg3D authors published: where they lie and how to cite them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ADDRESS: Final = "https://huggingface.co/C-Achard/cellseg3d/resolve/main/"
ARCHIVES: Final[Mapping[str, str]] = {
    "SwinUNetR": "SwinUNetR_latest.tar.gz",
    "SegResNet": "SegResNet_latest.tar.gz",
    "WNet": "wnet_latest.tar.gz",
    "TRAILMAP_MS": "TRAILMAP_latest.tar.gz",
    "VNet": "VNet_latest.tar.gz",
}
LICENCE: Final = "As stated at https://huggingface.co/C-Achard/cellseg3d"
CITATION: Final = (
    "Achard et al., CellSeg3D: self-supervised 3D cell segmentation for fluorescence "
    "microscopy, eLife 2024"
)
_SUFFIX: Final = "-published"


def published_name(architecture: str) -> str:
    """Return what the weights list calls the published weights of an architecture."""
    return architecture + _SUFFIX


def without_suffix(name: str) -> str:
    """Return the architecture in the name of published weights; other names unchanged."""
    return name[: -len(_SUFFIX)] if name.lower().endswith(_SUFFIX) else name
