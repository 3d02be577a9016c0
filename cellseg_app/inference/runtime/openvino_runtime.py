"""OpenVINO: CPUs and Intel graphics, one window per request, several requests at once."""

from __future__ import annotations

import logging
import platform
import threading
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from cellseg_app.core.settings import Precision
from cellseg_app.core.volume import ShapeZYX
from cellseg_app.inference.runtime import Forward

_log = logging.getLogger(__name__)

# Always said aloud: left alone, OpenVINO computes in bfloat16 wherever the processor can.
_PRECISION_HINTS: Final[Mapping[Precision, str]] = {
    "float32": "f32",
    "bfloat16": "bf16",
    "float16": "f16",
}


@cache
def why_not_loaded() -> str | None:
    """Return why OpenVINO cannot be loaded on this machine; None where it can."""
    try:
        import openvino

        openvino.Core()
    except (ImportError, OSError, RuntimeError) as error:
        _log.warning("OpenVINO cannot be loaded; PyTorch computes everything.", exc_info=True)
        return last_line(error)
    return None


def intel_units() -> list[str]:
    """Return the Intel processors beside the CPU that OpenVINO can use here: gpu, npu."""
    if why_not_loaded() is not None:
        return []
    import openvino

    found = {name.split(".")[0].lower() for name in openvino.Core().available_devices}
    return [unit for unit in ("gpu", "npu") if unit in found]


@cache
def processor_name() -> str:
    """What the CPU calls itself, such as "AMD EPYC 9654 96-Core Processor"."""
    if why_not_loaded() is None:
        import openvino

        name = str(openvino.Core().get_property("CPU", "FULL_DEVICE_NAME")).strip()
        if name:
            return name
    return platform.processor() or platform.machine()


class OpenVinoForward:
    """A converted network as a function on windows of one shape.

    Windows of another shape, and all windows once OpenVINO has failed, go to `instead`.

    Parameters
    ----------
    model
        OpenVINO model that takes one window, (1, 1, Z, Y, X).
    window
        Its shape.
    unit
        cpu, gpu or npu.
    precision
        Arithmetic inside the network.
    at_once
        How many windows run beside each other; on a CPU, the cores are shared out among them.
    instead
        The same network in PyTorch.

    Raises
    ------
    RuntimeError
        OpenVINO cannot run this network on this unit.
    """

    def __init__(
        self,
        model: Any,  # noqa: ANN401 - openvino brings no types
        window: ShapeZYX,
        *,
        unit: str,
        precision: Precision,
        at_once: int,
        instead: Forward,
    ) -> None:
        import openvino

        options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": _PRECISION_HINTS[precision]}
        if unit == "cpu":
            threads = torch.get_num_threads()
            options["INFERENCE_NUM_THREADS"] = threads
            options["NUM_STREAMS"] = max(1, min(at_once, threads))
            # Pinned, the threads of every process would sit on the same first cores.
            options["ENABLE_CPU_PINNING"] = False
        compiled = openvino.Core().compile_model(model, unit.upper(), options)
        self.trouble: str | None = None
        self._window = window
        self._instead = instead
        self._lock = threading.Lock()
        self._requests = [compiled.create_infer_request() for _ in range(max(1, at_once))]

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the network's output (N, C, Z, Y, X) float32 for windows (N, 1, Z, Y, X)."""
        if self.trouble is not None or tuple(batch.shape[2:]) != self._window:
            return self._instead(batch)
        windows = np.ascontiguousarray(batch.detach().cpu().numpy(), dtype=np.float32)
        try:
            with self._lock:
                outputs = self._run(windows)
        except RuntimeError as error:
            if "alloc" in str(error) or "memory" in str(error).lower():
                raise
            self.trouble = last_line(error)
            _log.warning("OpenVINO failed (%s); PyTorch goes on.", self.trouble)
            return self._instead(batch)
        return torch.from_numpy(outputs).to(batch.device)

    def _run(self, windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        outputs: list[npt.NDArray[np.float32]] = []
        step = len(self._requests)
        for first in range(0, len(windows), step):
            part = windows[first : first + step]
            busy = self._requests[: len(part)]
            for request, window in zip(busy, part, strict=True):
                request.start_async({0: window[np.newaxis]}, share_inputs=True)
            for request in busy:
                request.wait()
            outputs.extend(np.array(r.get_output_tensor(0).data, np.float32) for r in busy)
        return np.concatenate(outputs)


def last_line(error: BaseException) -> str:
    """Return what an error says in the end, in one line; OpenVINO puts the cause last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:200]
