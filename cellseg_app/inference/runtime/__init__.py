"""Ways to compute a network: each turns a loaded module into one function on windows.

PyTorch runs everything everywhere and is what the others are held against; OpenVINO runs the
networks faster on CPUs and on Intel graphics.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch

# (N, 1, Z, Y, X) float32 → (N, C, Z, Y, X), on the device the windows lie on.
Forward = Callable[[torch.Tensor], torch.Tensor]
RuntimeName = Literal["torch", "openvino"]
