"""The five architectures, one a file, built by name and options.

Importing this package loads neither torch nor MONAI; building a network does.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Final, NamedTuple

from pydantic import ValidationError

from cellseg_app.core.errors import SettingsError
from cellseg_app.inference.nets.traits import NetworkOptions, NetworkTraits

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "ARCHITECTURES",
    "NetworkOptions",
    "NetworkTraits",
    "architecture_name",
    "build_network",
    "network_options",
    "network_traits",
    "quick_form",
]


class _Source(NamedTuple):
    module: str
    options: str


_SOURCES: Final[Mapping[str, _Source]] = {
    "SwinUNetR": _Source("swinunetr", "SwinUNetROptions"),
    "SegResNet": _Source("segresnet", "SegResNetOptions"),
    "WNet": _Source("wnet", "WNetOptions"),
    "TRAILMAP_MS": _Source("trailmap_ms", "TrailmapOptions"),
    "VNet": _Source("vnet", "VNetOptions"),
}
_ALIASES: Final[Mapping[str, str]] = {"wnet3d": "WNet", "trailmap": "TRAILMAP_MS"}

ARCHITECTURES: Final[tuple[str, ...]] = tuple(_SOURCES)


def architecture_name(name: str) -> str:
    """Return the architecture that `name` means, whatever its case; WNet3D means WNet.

    Raises
    ------
    SettingsError
        No architecture has that name.
    """
    by_lower = {known.lower(): known for known in ARCHITECTURES} | dict(_ALIASES)
    try:
        return by_lower[name.strip().lower()]
    except KeyError:
        raise SettingsError(
            f"There is no network called {name!r}.",
            f"Choose one of {', '.join(ARCHITECTURES)}.",
        ) from None


def network_options(architecture: str, options: Mapping[str, object]) -> NetworkOptions:
    """Return the checked, complete options of an architecture.

    Raises
    ------
    SettingsError
        An option does not exist for this architecture or its value is out of bounds.
    """
    name = architecture_name(architecture)
    options_class: type[NetworkOptions] = getattr(_module(name), _SOURCES[name].options)
    try:
        return options_class.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "all together"
        raise SettingsError(
            f"The options of {name} are not usable ({where}: {first['msg']}).",
            "Correct the options in the model card.",
        ) from error


def build_network(architecture: str, options: Mapping[str, object]) -> nn.Module:
    """Return a freshly initialized network.

    Parameters
    ----------
    architecture
        One of `ARCHITECTURES` (any case, WNet3D for WNet).
    options
        Fields of the architecture's options model that differ from the published size.

    Returns
    -------
    torch.nn.Module
        Takes (N, in_channels, Z, Y, X) float32 and returns one tensor (N, classes, Z, Y, X).

    Raises
    ------
    SettingsError
        Unknown architecture or option.
    """
    name = architecture_name(architecture)
    network: nn.Module = _module(name).build(network_options(name, options))
    return network


def network_traits(architecture: str, options: Mapping[str, object]) -> NetworkTraits:
    """Return what a network of these options demands of a window, without building it."""
    name = architecture_name(architecture)
    traits: NetworkTraits = _module(name).traits(network_options(name, options))
    return traits


def quick_form(architecture: str, network: nn.Module) -> nn.Module:
    """Return a network that gives the same answers (to rounding) with fewer operations.

    It shares its weights with `network`, which is returned itself where nothing can be saved.

    Parameters
    ----------
    architecture
        What the network is; anything that is none of `ARCHITECTURES` stays as it is.
    network
        In eval mode.
    """
    if architecture not in ARCHITECTURES:
        return network
    quick: nn.Module = getattr(_module(architecture), "quick_form", lambda same: same)(network)
    return quick


def _module(name: str) -> ModuleType:
    return import_module(f"{__name__}.{_SOURCES[name].module}")
