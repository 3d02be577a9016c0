"""Which processors there are, what they can do natively, and how much memory is left on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from cellseg_app.core.errors import SettingsError
from cellseg_app.core.settings import Precision
from cellseg_app.inference.runtime.openvino_runtime import intel_units, processor_name


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """A processor the user can choose.

    Attributes
    ----------
    name
        What `--device` takes: cpu, cuda:0, mps, gpu, npu.
    title
        What it is called, for people.
    memory_bytes
        Memory it has in all.
    """

    name: str
    title: str
    memory_bytes: int


@dataclass(frozen=True)
class EngineOrigin:
    """Which torch computes, and where it lies: a GPU pack replaces the one that came with us."""

    version: str
    folder: Path


def use_threads(n: int) -> None:
    """Let networks of this process compute on so many threads, however many cores there are."""
    torch.set_num_threads(max(1, n))


def engine_origin() -> EngineOrigin:
    """Return which torch is loaded."""
    return EngineOrigin(str(torch.__version__), Path(torch.__file__).parent)


def available_devices() -> list[DeviceInfo]:
    """Return every usable processor; the first one is taken unless another proves faster."""
    devices = []
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            devices.append(
                DeviceInfo(f"cuda:{index}", properties.name, int(properties.total_memory))
            )
    memory_bytes = int(psutil.virtual_memory().total)
    if torch.backends.mps.is_available():
        devices.append(DeviceInfo("mps", "Apple graphics", memory_bytes))
    cores = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    title = f"{processor_name()} ({cores} cores)"
    devices.append(DeviceInfo("cpu", title, memory_bytes))
    titles = {"gpu": "Intel graphics", "npu": "Intel neural processor"}
    devices.extend(DeviceInfo(unit, titles[unit], memory_bytes) for unit in intel_units())
    return devices


def choose_device(wanted: str) -> str:
    """Return the device for `auto`, `cpu`, `cuda`, `cuda:N`, `mps`, `gpu` or `npu`.

    Raises
    ------
    SettingsError
        This machine does not have the device asked for.
    """
    names = [device.name for device in available_devices()]
    if wanted == "auto":
        return names[0]
    name = "cuda:0" if wanted == "cuda" else wanted
    if name not in names:
        raise SettingsError(
            f"This machine has no device {wanted!r}.",
            f"Choose one of auto, {', '.join(names)}.",
        )
    return name


def native_half_precision(device: str) -> Precision | None:
    """Return the half precision that a device computes natively, or None."""
    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    if device in ("gpu", "npu"):
        return "float16"
    if device == "cpu" and _cpu_has_bfloat16():
        return "bfloat16"
    return None


def _cpu_has_bfloat16() -> bool:
    # Not every build of torch has these probes; without them half precision stays off.
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, probe, lambda: False)() for probe in probes)
