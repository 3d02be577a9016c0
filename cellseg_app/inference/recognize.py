"""Which of the five networks, and of what width, a state dict belongs to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from cellseg_app.core.errors import SettingsError, WeightsError
from cellseg_app.inference.nets import ARCHITECTURES, network_options

Shapes = Mapping[str, tuple[int, ...]]

# A file with a few keys missing must still be recognized, or they could not be listed.
_PREFIXES: Final[Mapping[str, tuple[str, ...]]] = {
    "SegResNet": ("convInit.", "down_layers.", "up_layers.", "up_samples.", "conv_final.", "vae_"),
    "SwinUNetR": ("swinViT.", "encoder1.", "encoder10.", "decoder5.", "out.conv."),
    "VNet": ("in_tr.", "down_tr", "up_tr", "out_tr."),
    "TRAILMAP_MS": ("encoders.", "decoders.", "final_conv."),
    "WNet": ("encoder.", "decoder."),
}
_DECISIVE: Final[Mapping[str, str]] = {
    "SegResNet": r"down_layers\.\d+\.\d+\.conv1\.conv\.weight",
    "SwinUNetR": r"swinViT\.layers\d\.\d\.blocks\.",
    "VNet": r"(down|up)_tr(32|64|128|256)\.",
    "TRAILMAP_MS": r"(en|de)coders\.\d+\.basic_module\.SingleConv\d\.",
    "WNet": r"encoder\.(in_b|conv1|conv2|bot|deconv2|deconv3|out_b)\.module\.",
}
_VAE_CHANNELS: Final = 16


class Recognized(NamedTuple):
    """An architecture and those of its options that differ from the published size."""

    architecture: str
    options: dict[str, object]


def recognize_architecture(keys: Mapping[str, object]) -> str | None:
    """Return the architecture most of whose keys these are, or None."""
    for architecture, pattern in _DECISIVE.items():
        known = sum(key.startswith(_PREFIXES[architecture]) for key in keys)
        if 2 * known > len(keys) and any(re.match(pattern, key) for key in keys):
            return architecture
    return None


def recognize(shapes: Shapes) -> Recognized:
    """Return architecture and width from the names and shapes of the weights.

    Parameters
    ----------
    shapes
        Every key of the state dict with the shape of its tensor.

    Raises
    ------
    WeightsError
        The keys are those of none of the five networks, or the shapes fit none.
    """
    architecture = recognize_architecture(shapes)
    if architecture is None:
        first = ", ".join(list(shapes)[:3])
        raise WeightsError(
            f"These are weights of none of the five networks (they begin with {first}).",
            f"Choose weights of {', '.join(ARCHITECTURES)}.",
        )
    found = {
        name: value for name, value in _READERS[architecture](shapes).items() if value is not None
    }
    try:
        options = network_options(architecture, found)
    except SettingsError as error:
        raise WeightsError(
            f"These weights look like {architecture}, but of a shape it cannot have. {error}",
            "The file may be damaged, or come from a changed network.",
        ) from error
    return Recognized(architecture, options.model_dump(mode="json", exclude_defaults=True))


def size_of_vae_input(shapes: Shapes, *, levels: int) -> int | None:
    """Return the window extent a SegResNet with autoencoder was trained with, in voxels.

    The first fully connected layer sees 16 channels at half the deepest level, so extents up
    to the next multiple give the same file; the smallest is returned.
    """
    elements = _size(shapes, "vae_fc1.weight", 1)
    if not elements:
        return None
    edge = round((elements / _VAE_CHANNELS) ** (1 / 3))
    return edge * 2**levels if _VAE_CHANNELS * edge**3 == elements else None


def _size(shapes: Shapes, key: str, axis: int) -> int | None:
    shape = shapes.get(key, ())
    return shape[axis] if axis < len(shape) else None


def _numbers(shapes: Shapes, pattern: str) -> set[int]:
    matches = (re.match(pattern, key) for key in shapes)
    return {int(match.group(1)) for match in matches if match}


def _segresnet(shapes: Shapes) -> dict[str, object]:
    levels_down = len(_numbers(shapes, r"down_layers\.(\d+)\."))
    levels_up = len(_numbers(shapes, r"up_layers\.(\d+)\."))
    down = [len(_numbers(shapes, rf"down_layers\.{i}\.(\d+)\.conv1\.")) for i in range(levels_down)]
    up = [len(_numbers(shapes, rf"up_layers\.{i}\.(\d+)\.")) for i in range(levels_up)]
    return {
        "in_channels": _size(shapes, "convInit.conv.weight", 1),
        "init_filters": _size(shapes, "convInit.conv.weight", 0),
        "classes": _size(shapes, "conv_final.2.conv.weight", 0),
        "blocks_down": tuple(down) or None,
        "blocks_up": tuple(up) or None,
        "vae": any(key.startswith("vae_") for key in shapes),
        "vae_latent": _size(shapes, "vae_fc1.weight", 0),
        "input_size": size_of_vae_input(shapes, levels=levels_down),
    }


def _swinunetr(shapes: Shapes) -> dict[str, object]:
    stages = range(1, 5)
    depths = [len(_numbers(shapes, rf"swinViT\.layers{s}\.0\.blocks\.(\d+)\.")) for s in stages]
    table = "swinViT.layers{}.0.blocks.0.attn.relative_position_bias_table"
    heads = [_size(shapes, table.format(stage), 1) for stage in stages]
    return {
        "in_channels": _size(shapes, "swinViT.patch_embed.proj.weight", 1),
        "feature_size": _size(shapes, "swinViT.patch_embed.proj.weight", 0),
        "classes": _size(shapes, "out.conv.conv.weight", 0),
        "depths": tuple(depths) if all(depths) else None,
        "num_heads": tuple(heads) if all(heads) else None,
    }


def _vnet(shapes: Shapes) -> dict[str, object]:
    return {
        "in_channels": _size(shapes, "in_tr.conv_block.conv.weight", 1),
        "base_features": _size(shapes, "in_tr.conv_block.conv.weight", 0),
        "classes": _size(shapes, "out_tr.conv2.weight", 0),
        "bias": any(key.startswith("down_tr") and key.endswith("conv.bias") for key in shapes),
    }


def _trailmap_ms(shapes: Shapes) -> dict[str, object]:
    return {
        "in_channels": _size(shapes, "encoders.0.basic_module.SingleConv1.conv.weight", 1),
        "f_maps": _size(shapes, "encoders.0.basic_module.SingleConv2.conv.weight", 0),
        "num_levels": len(_numbers(shapes, r"encoders\.(\d+)\.")) or None,
        "classes": _size(shapes, "final_conv.weight", 0),
    }


def _wnet(shapes: Shapes) -> dict[str, object]:
    firsts = ("in_b.module.0", "conv1.module.1", "conv2.module.1", "bot.module.1")
    channels = [_size(shapes, f"encoder.{first}.weight", 0) for first in firsts]
    return {
        "in_channels": _size(shapes, "encoder.in_b.module.0.weight", 1),
        "channels": tuple(channels) if all(channels) else None,
        "classes": _size(shapes, "encoder.out_b.module.8.weight", 0),
    }


_READERS: Final[Mapping[str, Callable[[Shapes], dict[str, object]]]] = {
    "SegResNet": _segresnet,
    "SwinUNetR": _swinunetr,
    "VNet": _vnet,
    "TRAILMAP_MS": _trailmap_ms,
    "WNet": _wnet,
}
