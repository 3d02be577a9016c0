"""One loaded network in every runtime, device and precision that is asked for."""

from __future__ import annotations

from typing import Final
from weakref import WeakKeyDictionary

from torch import nn

from cellseg_app.core.settings import Precision
from cellseg_app.core.volume import ShapeZYX
from cellseg_app.inference.runtime import Forward, RuntimeName
from cellseg_app.inference.runtime.converted import converted_network
from cellseg_app.inference.runtime.openvino_runtime import OpenVinoForward
from cellseg_app.inference.runtime.torch_runtime import torch_forward
from cellseg_app.inference.weights import LoadedNetwork

_INTEL_ONLY: Final = ("gpu", "npu")
_KEPT: Final = 2
_Key = tuple[ShapeZYX, str, Precision, int]
# Compiling takes seconds; the volumes of a batch and repeated previews share it.
_compiled: WeakKeyDictionary[nn.Module, dict[_Key, OpenVinoForward]] = WeakKeyDictionary()


def torch_device(device: str) -> str:
    """Return where tensors lie for a device: Intel graphics are fed from main memory."""
    return "cpu" if device in _INTEL_ONLY else device


def open_forward(
    loaded: LoadedNetwork,
    runtime: RuntimeName,
    *,
    device: str,
    precision: Precision,
    window: ShapeZYX,
    at_once: int,
) -> Forward:
    """Return the network as a function on windows.

    Parameters
    ----------
    loaded
        The network.
    runtime
        What computes it.
    device
        cpu, cuda:N, mps; gpu and npu are Intel's and need OpenVINO.
    precision
        Arithmetic inside the network.
    window
        Shape of the windows to come, as the network sees them; other shapes work, more slowly.
    at_once
        How many windows will be given at once.

    Raises
    ------
    Exception
        Whatever OpenVINO meets in a network it cannot convert or run.
    """
    if loaded.cpu_only:
        return loaded.module
    in_torch = torch_forward(loaded.module, torch_device(device), precision)
    if runtime == "torch":
        return in_torch
    kept, key = _compiled.setdefault(loaded.module, {}), (window, device, precision, at_once)
    if key not in kept:
        while len(kept) >= _KEPT:
            kept.pop(next(iter(kept)))
        kept[key] = OpenVinoForward(
            converted_network(loaded, window),
            window,
            unit=device,
            precision=precision,
            at_once=at_once,
            instead=in_torch,
        )
    return kept[key]
