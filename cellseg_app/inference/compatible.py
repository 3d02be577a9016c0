"""Cards for weights that come without one: published or plugin-trained CellSeg3D checkpoints.

They reproduce what the CellSeg3D plugin 0.2.4 does around its networks: axes handed over as
X, Y, Z; every window clipped to its 1 % and 99 % quantiles; every output window stretched to
0…1. Weights trained elsewhere get the same card, because nothing in the file says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cellseg_app.core.errors import SettingsError
from cellseg_app.inference.cards import FileKind, ModelCard, Normalization, OutputSpec
from cellseg_app.inference.fingerprint import sha256_of
from cellseg_app.inference.nets import architecture_name, network_traits

_WINDOW: Final = 64
_THRESHOLDS: Final[Mapping[str, float]] = {
    "SegResNet": 0.30,
    "SwinUNetR": 0.40,
    "VNet": 0.15,
    "TRAILMAP_MS": 0.15,
    "WNet": 0.60,
}
_NORMALIZATION: Final = Normalization(
    scope="window", kind="quantile_clip", low_quantile=0.01, high_quantile=0.99
)
_NOTES: Final = (
    "Handled as the CellSeg3D plugin 0.2.4 does: X, Y, Z axis order, quantile clipping and "
    "output stretching window by window. Stretching finds cells in empty windows too."
)


def compatible_card(
    architecture: str,
    weights_path: Path,
    input_size: int | None = None,
    *,
    options: Mapping[str, object] | None = None,
    name: str | None = None,
    file_kind: FileKind = "state_dict",
    classes: int | None = None,
    window: int | None = None,
) -> ModelCard:
    """Return a card that reproduces the plugin's numbers for a checkpoint without a card.

    Parameters
    ----------
    architecture
        One of the five, or "custom" for a TorchScript or ONNX file that shows none.
    weights_path
        The weights file; its name and hash go into the card.
    input_size
        Window extent the weights were trained with (voxels); 64 when not given.
    options
        What was recognized in the file, where it differs from the published size.
    name
        The card's name; the file's own without it.
    file_kind, classes, window
        For TorchScript and ONNX: the kind of file, its output channels, and the window
        extent it is bound to, if any (voxels).

    Raises
    ------
    SettingsError
        Unknown architecture, or an input size it cannot have.
    """
    known = architecture if architecture == "custom" else architecture_name(architecture)
    traits = None if known == "custom" else network_traits(known, options or {})
    channels = classes or (traits.classes if traits else 1)
    fixed = window or (traits.fixed_window if traits else None)
    # A graph bound to one window is asked for nothing else, whatever its architecture allows.
    divisor = 1 if window or not traits else traits.divisor
    minimum = 1 if window or not traits else traits.minimum
    _check_input_size(known, input_size, divisor=divisor, minimum=minimum, fixed=fixed)
    title = "Custom network" if known == "custom" else known
    return ModelCard.model_validate(
        {
            "name": name or card_name(weights_path.stem),
            "title": f"{title} (CellSeg3D-compatible, {weights_path.name})",
            "architecture": known,
            "options": dict(options or {}),
            "weights_file": weights_path.name,
            "weights_sha256": sha256_of(weights_path),
            "file_kind": file_kind,
            "input_axes": "XYZ",
            "normalization": _NORMALIZATION,
            "output": OutputSpec(
                activation="stretch_per_window",
                target="classes" if channels > 1 else "foreground",
            ),
            "classes": channels,
            "window_default": fixed or input_size or _WINDOW,
            "window_fixed": fixed is not None,
            "divisor": divisor,
            "minimum": minimum,
            # The plugin's Gaussian is 0.01 of a window wide and floored at a thousandth: a plain
            # mean everywhere but in the few voxels at the centre of each window.
            "blend_sigma": None,
            "default_threshold": _THRESHOLDS.get(known, 0.5),
            "cellseg3d_compatible": True,
            "notes": _NOTES,
        }
    )


def _check_input_size(
    name: str, input_size: int | None, *, divisor: int, minimum: int, fixed: int | None
) -> None:
    if input_size is None:
        return
    if fixed and input_size != fixed:
        raise SettingsError(
            f"These {name} weights are bound to windows of {fixed} voxels, not {input_size}.",
            f"Leave the input size away or give {fixed}.",
        )
    if input_size % divisor or input_size < minimum:
        raise SettingsError(
            f"{name} cannot have been trained with windows of {input_size} voxels.",
            f"Give an input size of {minimum} or more that is a multiple of {divisor}.",
        )


def card_name(text: str) -> str:
    """Return `text` with what a card's name may not hold replaced by hyphens."""
    cleaned = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in text)
    return cleaned.lstrip("._-")[:100] or "weights"
