"""PyTorch: CPUs, CUDA and Apple graphics; half precision by autocast."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import nn

from cellseg_app.core.settings import Precision
from cellseg_app.inference.runtime import Forward

_DTYPES: Final[Mapping[str, torch.dtype]] = {
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def torch_forward(module: nn.Module, device: str, precision: Precision) -> Forward:
    """Return the module as a function on a torch device, in a precision."""
    placed = module.to(device)
    if precision not in _DTYPES:
        return placed
    kind, dtype = device.split(":")[0], _DTYPES[precision]

    def forward(batch: torch.Tensor) -> torch.Tensor:
        with torch.autocast(kind, dtype=dtype):
            result: torch.Tensor = placed(batch)
        return result

    return forward
