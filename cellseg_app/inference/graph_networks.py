"""Networks that bring their own computation: TorchScript and ONNX files."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from cellseg_app.core.errors import WeightsError
from cellseg_app.inference.runtime.openvino_runtime import why_not_loaded

_PROBE_EDGE: Final = 64


class ScriptedNetwork(nn.Module):
    """A TorchScript file with the call of our own networks: one tensor in, one tensor out."""

    def __init__(self, script: nn.Module) -> None:
        super().__init__()
        self.script = script

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the first output (N, C, Z, Y, X) as float32.

        The published SegResNet returns its autoencoder loss as a second one.
        """
        output = self.script(x)
        first: torch.Tensor = output[0] if isinstance(output, (tuple, list)) else output
        return first.float()


class OnnxNetwork(nn.Module):
    """An ONNX file run by OpenVINO on the CPU in float32, called like our own networks.

    Attributes
    ----------
    window
        The extent the file is bound to (voxels), or None.
    classes
        Output channels, or None where the file leaves them open.

    Raises
    ------
    WeightsError
        The file is not ONNX or is not a network from (N, 1, Z, Y, X) to (N, C, Z, Y, X), or
        OpenVINO, which runs it, cannot be loaded.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        if (why_not := why_not_loaded()) is not None:
            raise WeightsError(
                f"ONNX files are run by OpenVINO, which cannot be loaded here ({why_not}).",
                "Install CellSeg again.",
                path=path,
            )
        import openvino

        self._lock = threading.Lock()
        try:
            core = openvino.Core()
            model = core.read_model(path)
            self._reject_other_shapes(model, path)
            # Without the hint OpenVINO computes in bfloat16 wherever the processor can.
            self._compiled: Any = core.compile_model(
                model,
                "CPU",
                {
                    "INFERENCE_PRECISION_HINT": "f32",
                    "INFERENCE_NUM_THREADS": torch.get_num_threads(),
                },
            )
        except RuntimeError as error:
            raise WeightsError(
                f"This is not a usable ONNX file ({str(error).strip().splitlines()[-1][:200]}).",
                "Export the network again, with its weights inside the file.",
                path=path,
            ) from error
        self.window = _static(model.input(0).partial_shape[2])
        self.classes = _static(model.output(0).partial_shape[1])
        self._batch = _static(model.input(0).partial_shape[0])
        self._dtype = model.input(0).element_type.to_dtype()

    @staticmethod
    def _reject_other_shapes(model: Any, path: Path) -> None:  # noqa: ANN401
        takes, gives = model.input(0).partial_shape, model.output(0).partial_shape
        usable = (
            len(model.inputs) == 1
            and takes.rank.is_static
            and len(takes) == 5
            and _static(takes[1]) in (None, 1)
            and gives.rank.is_static
            and len(gives) == 5
            and len({_static(takes[axis]) for axis in (2, 3, 4)}) == 1
        )
        if not usable:
            raise WeightsError(
                f"This ONNX file maps {takes} to {gives}, which is not one volume in, one out.",
                "Export the network with an input of shape (N, 1, Z, Y, X) and cubic windows.",
                path=path,
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the output (N, C, Z, Y, X) as float32, on the device of `x`."""
        windows = np.ascontiguousarray(x.detach().cpu().numpy(), dtype=self._dtype)
        step = self._batch or len(windows)
        outputs = [self._infer(windows[i : i + step]) for i in range(0, len(windows), step)]
        return torch.from_numpy(np.concatenate(outputs)).to(x.device)

    def _infer(self, windows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        missing = (self._batch or len(windows)) - len(windows)
        if missing:
            windows = np.concatenate([windows, np.repeat(windows[-1:], missing, axis=0)])
        # One compiled model has one set of buffers.
        with self._lock:
            output = np.array(self._compiled(windows)[0], dtype=np.float32)
        return output[: len(output) - missing]


def _static(dimension: Any) -> int | None:  # noqa: ANN401
    return int(dimension.get_length()) if dimension.is_static else None


def probe_classes(network: nn.Module, path: Path, *, window: int | None) -> int:
    """Return the number of output channels, found by running one empty window.

    Raises
    ------
    WeightsError
        The network does not run, or its output is not as large as its input.
    """
    edge = window or _PROBE_EDGE
    try:
        with torch.inference_mode():
            output = network(torch.zeros((1, 1, edge, edge, edge)))
    except Exception as error:
        raise WeightsError(
            f"The network in this file does not run on a window of {edge} voxels "
            f"({str(error).strip().splitlines()[-1][:200]}).",
            "Export it for one input of shape (1, 1, Z, Y, X), or give the right --input-size.",
            path=path,
        ) from error
    if output.ndim != 5 or tuple(output.shape[2:]) != (edge, edge, edge):
        raise WeightsError(
            f"The network in this file answers a window of {edge} voxels with the shape "
            f"{tuple(output.shape)}.",
            "Use a segmentation network whose output is as large as its input.",
            path=path,
        )
    return int(output.shape[1])
