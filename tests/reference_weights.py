"""The weights with which the reference outputs of the published networks were made."""

from __future__ import annotations

import zlib

import numpy as np
import torch
from torch import nn


def reference_weights(network: nn.Module, *, seed: int = 7) -> dict[str, torch.Tensor]:
    """Fill every weight from its own name, as the reference outputs were made."""
    filled = {}
    for key, value in network.state_dict().items():
        if not value.is_floating_point():
            filled[key] = value
            continue
        rng = np.random.Generator(np.random.PCG64(zlib.crc32(f"{seed}:{key}".encode())))
        noise = rng.standard_normal(tuple(value.shape)).astype(np.float32)
        if value.ndim >= 2:
            noise = noise * np.float32(np.sqrt(2.0 / np.prod(value.shape[1:])))
        elif key.endswith("running_var"):
            noise = 1 + np.float32(0.1) * np.abs(noise)
        elif key.endswith("weight"):
            noise = 1 + np.float32(0.1) * noise
        else:
            noise = np.float32(0.1) * noise
        filled[key] = torch.from_numpy(noise)
    return filled
