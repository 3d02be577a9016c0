"""A methods paragraph for a paper, written from a run record."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cellseg_app.core.edits import edits_sentence
from cellseg_app.io.run_record import RunRecord

_NETWORK_SOURCES = {
    "SegResNet": "Myronenko, A. 3D MRI brain tumor segmentation using autoencoder "
    "regularization. BrainLes 2018, arXiv:1810.11654.",
    "SwinUNetR": "Hatamizadeh, A. et al. Swin UNETR: Swin transformers for semantic "
    "segmentation of brain tumors in MRI images. BrainLes 2021, arXiv:2201.01266.",
    "VNet": "Milletari, F., Navab, N. & Ahmadi, S.-A. V-Net: fully convolutional neural networks "
    "for volumetric medical image segmentation. 3DV 2016, arXiv:1606.04797.",
    "TRAILMAP_MS": "Friedmann, D. et al. Mapping mesoscale axonal projections in the mouse brain "
    "using a 3D convolutional network. PNAS 117, 11068-11075 (2020).",
    "WNet": "Xia, X. & Kulis, B. W-Net: a deep model for fully unsupervised image segmentation. "
    "arXiv:1711.08506 (2017).",
}
_CELLSEG3D = (
    "Achard, C. et al. CellSeg3D, self-supervised 3D cell segmentation for fluorescence "
    "microscopy. eLife, doi:10.7554/eLife.99848."
)
_MONAI = "Cardoso, M. J. et al. MONAI: an open-source framework for deep learning in healthcare. "
_MONAI_SOURCE = f"{_MONAI}arXiv:2211.02701 (2022)."
_METHODS = {
    "cell-peaks": "by a watershed from the peaks of the probability map",
    "voronoi-otsu": "by Voronoi-Otsu labelling",
    "watershed": "by a seeded watershed of the probability map",
    "connected-components": "as connected components",
}


@dataclass(frozen=True, slots=True)
class Selection:
    """Those of a run's cells that the user kept.

    Attributes
    ----------
    n_cells
        How many they are.
    conditions
        What each of them fulfils, such as `n_voxels ≥ 30`.
    """

    n_cells: int
    conditions: tuple[str, ...]


def methods_paragraph(record: RunRecord, kept: Selection | None = None) -> str:
    """Describe a run in sentences for the methods section of a paper, with references.

    Says only what the record holds, and which of the cells were kept; the user adds the
    microscope and the sample.
    """
    sources: list[str] = []
    sentences = [
        _program_sentence(record),
        _volume_sentence(record),
        _region_sentence(record),
        _network_sentence(record, sources),
        _scale_sentence(record),
        _threshold_sentence(record),
        _instances_sentence(record),
        _result_sentence(record),
        _corrections_sentence(record),
        _selection_sentence(kept),
    ]
    paragraph = " ".join(sentence for sentence in sentences if sentence)
    references = "\n".join(f"{n}. {source}" for n, source in enumerate(sources, start=1))
    return f"{paragraph}\n\nReferences\n{references}\n" if sources else f"{paragraph}\n"


def _program_sentence(record: RunRecord) -> str:
    own = record.versions.get("cellseg", "")
    others = [
        f"{shown} {record.versions[name]}"
        for name, shown in (("python", "Python"), ("torch", "PyTorch"), ("monai", "MONAI"))
        if name in record.versions
    ]
    with_others = f" ({', '.join(others)})" if others else ""
    return f"Cells were segmented with CellSeg {own}".rstrip() + f"{with_others}."


def _volume_sentence(record: RunRecord) -> str:
    shape = _by(record.input.shape_zyx)
    spacing = record.input.spacing_um_zyx
    voxels = (
        f"voxels of {_by(spacing)} µm" if spacing is not None else "voxels, voxel size not stated"
    )
    return f"The volume {Path(record.input.path).name} had {shape} {voxels} (Z × Y × X)."


def _region_sentence(record: RunRecord) -> str:
    region = record.used.region
    if region is None:
        return ""
    ranges = ", ".join(
        f"{axis} {start} to {stop - 1}"
        for axis, (start, stop) in zip("ZYX", region.box_zyx, strict=True)
    )
    within = ""
    if region.mask is not None:
        within = f" and to the mask {Path(region.mask).name} (SHA-256 {region.mask_sha256[:16]})"
    elif region.without_surroundings:
        within = " without the empty surroundings"
    share = region.n_voxels / math.prod(region.shape_zyx)
    return (
        f"The search was restricted to the voxels {ranges}{within}, {share:.3g} of the volume; "
        "cells cut by this region are marked as touching the border."
    )


def _network_sentence(record: RunRecord, sources: list[str]) -> str:
    network, used = record.network, record.used
    known = [
        source
        for source in (_NETWORK_SOURCES.get(network.name), network.citation or None)
        if source is not None
    ]
    if network.name == "WNet" and not any("CellSeg3D" in source for source in known):
        known.append(_CELLSEG3D)
    if "monai" in record.versions:
        known.append(_MONAI_SOURCE)
    weights = f"weights {network.title or Path(network.weights).name or 'of the user'}"
    windows = ""
    if used.window_zyx is not None:
        share = f" overlapping by {used.overlap:.0%}" if used.overlap is not None else ""
        windows = f", in windows of {_by(used.window_zyx)} voxels{share}"
    averaged = ", averaged over mirrored views" if record.settings.inference.flip_averaging else ""
    return (
        f"Foreground probability was computed by the network {network.name}"
        f"{_cite(known, sources)} ({weights}, SHA-256 {network.weights_sha256[:16]}){windows}"
        f"{averaged}, in {used.precision} on {used.device}."
    )


def _scale_sentence(record: RunRecord) -> str:
    used = record.used
    if used.scale_zyx is None or all(abs(factor - 1) < 1e-9 for factor in used.scale_zyx):
        return ""
    if used.diameter_um is not None:
        diameter = f", for a cell diameter of {used.diameter_um:.3g} µm"
    elif used.diameter_px is not None:
        diameter = f", for a cell diameter of {used.diameter_px:.3g} voxels"
    else:
        diameter = ""
    return (
        f"For the network the volume was resampled by factors of {_by(used.scale_zyx)} "
        f"(Z × Y × X){diameter}."
    )


def _threshold_sentence(record: RunRecord) -> str:
    used = record.used
    if used.threshold is None:
        return ""
    of_class = ""
    if used.foreground_class is not None:
        of_class = " of any class" if used.foreground_class == "all" else ""
        of_class = of_class or f" of class {used.foreground_class}"
    large = record.settings.threshold.remove_large_voxels
    cleared = f"; connected parts larger than {large} voxels were cleared" if large else ""
    return (
        f"Voxels with a probability{of_class} above {used.threshold:.4g} were taken as "
        f"foreground{cleared}."
    )


def _instances_sentence(record: RunRecord) -> str:
    method = record.used.instance_method
    if method is None or method == "none":
        return ""
    how = _METHODS.get(method, f"by the method {method}")
    options = ", ".join(
        f"{name.replace('_', ' ')} {value:.4g}"
        if isinstance(value, float)
        else f"{name.replace('_', ' ')} {value}"
        for name, value in record.used.instance_options.items()
        if not name.endswith("_is_automatic")
    )
    border = (
        " Cells cut by the border of the volume were dropped."
        if record.settings.instances.remove_border
        else ""
    )
    told = f"Cells were told apart {how}{f' ({options})' if options else ''}.{_finer(record)}"
    return f"{told}{border}"


def _finer(record: RunRecord) -> str:
    """On which voxels, where these were not the map's."""
    used = record.used
    if used.instance_method != "cell-peaks" or max(used.refine_zyx) == 1:
        return ""
    return (
        " For this the probability map was interpolated by cubic convolution to "
        f"{_by(used.refine_zyx)} voxels for one (Z × Y × X), and each voxel above the threshold "
        "was given to the cell that fills most of it."
    )


def _result_sentence(record: RunRecord) -> str:
    corrections = record.corrections
    n_cells = record.n_cells if corrections is None else corrections.n_cells_found
    if n_cells is None:
        return ""
    noun = "cell was" if n_cells == 1 else "cells were"
    return f"{n_cells:,} {noun} found."


def _corrections_sentence(record: RunRecord) -> str:
    if record.corrections is None or record.n_cells is None:
        return ""
    done = edits_sentence(record.corrections.all_edits).removesuffix(".")
    noun = "cell" if record.n_cells == 1 else "cells"
    return f"{done}, which left {record.n_cells:,} {noun}."


def _selection_sentence(kept: Selection | None) -> str:
    if kept is None:
        return ""
    noun = "cell was" if kept.n_cells == 1 else "cells were"
    return f"Of these, {kept.n_cells:,} {noun} kept, by {' and '.join(kept.conditions)}."


def _cite(known: Sequence[str], sources: list[str]) -> str:
    if not known:
        return ""
    numbers = []
    for source in known:
        if source not in sources:
            sources.append(source)
        numbers.append(str(sources.index(source) + 1))
    return f" [{', '.join(numbers)}]"


def _by(values: Sequence[float]) -> str:
    return " × ".join(f"{value:g}" if value < 1e6 else f"{value:.0f}" for value in values)
