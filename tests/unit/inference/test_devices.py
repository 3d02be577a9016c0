"""What the devices of this machine are called."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from cellseg_app.inference.devices import available_devices


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="only Linux tells it there")
def test_the_processor_is_called_by_its_own_name() -> None:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    (cpu,) = [device for device in available_devices() if device.name == "cpu"]
    expected = names[0] if names else platform.machine()
    assert " ".join(cpu.title.split()).startswith(" ".join(expected.split()))
    assert cpu.title.endswith(" cores)")
