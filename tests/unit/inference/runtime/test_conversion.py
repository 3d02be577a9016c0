from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cellseg_app.core.settings import Precision
from cellseg_app.inference.runtime import converted
from cellseg_app.inference.runtime.converted import converted_network, is_converted
from cellseg_app.inference.runtime.forwards import open_forward
from cellseg_app.inference.runtime.openvino_runtime import OpenVinoForward
from cellseg_app.inference.weights import LoadedNetwork
from cellseg_app.paths import resource_path, user_cache_path
from tests.seeded_networks import stored_network

PUBLISHED: dict[str, dict[str, object]] = {
    "SegResNet": {},
    "WNet": {},
    "TRAILMAP_MS": {},
    "VNet": {},
}
# Of the published width, converting takes a minute on a busy machine; see the slow test.
NARROW_SWIN: dict[str, object] = {"feature_size": 12}
SMALLEST_WINDOW = {"SwinUNetR": 64}
TINY: dict[str, object] = {"f_maps": 4, "num_levels": 2}


def _bundled() -> list[tuple[str, dict[str, object]]]:
    cards = [json.loads(p.read_text("utf-8")) for p in resource_path("weights").glob("*.json")]
    return [(card["architecture"], card["options"]) for card in cards]


def _openvino(
    loaded: LoadedNetwork,
    edge: int,
    precision: Precision = "float32",
    at_once: int = 2,
) -> OpenVinoForward:
    window = (edge, edge, edge)
    forward = open_forward(
        loaded, "openvino", device="cpu", precision=precision, window=window, at_once=at_once
    )
    assert isinstance(forward, OpenVinoForward)
    return forward


def _windows(n: int, edge: int) -> torch.Tensor:
    return torch.rand(n, 1, edge, edge, edge, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("architecture", "options"),
    [
        *PUBLISHED.items(),
        ("SwinUNetR", NARROW_SWIN),
        pytest.param("SwinUNetR", {}, marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
        *_bundled(),
    ],
    ids=lambda value: str(value)[:40],
)
def test_every_network_gives_the_same_output_as_in_pytorch(
    architecture: str, options: dict[str, object], tmp_path: Path
) -> None:
    edge = SMALLEST_WINDOW.get(architecture, 32)
    loaded = stored_network(architecture, options, tmp_path)
    windows = _windows(1, edge)
    with torch.inference_mode():
        expected = loaded.module(windows)
    forward = _openvino(loaded, edge, at_once=1)
    found = forward(windows)
    assert forward.trouble is None
    assert found.shape == expected.shape
    assert float(expected.std()) > 1e-4, "a constant output proves nothing"
    scale = max(1.0, float(expected.abs().max()))
    assert float((found - expected).abs().max()) < 1e-4 * scale


def test_windows_are_independent_of_how_many_run_at_once(tmp_path: Path) -> None:
    loaded = stored_network("TRAILMAP_MS", TINY, tmp_path)
    windows = _windows(5, 16)
    together = _openvino(loaded, 16, at_once=2)(windows)
    alone = _openvino(loaded, 16, at_once=1)
    for window, expected in zip(windows, together, strict=True):
        np.testing.assert_array_equal(alone(window[None])[0], expected)


def test_windows_of_another_shape_are_computed_too(tmp_path: Path) -> None:
    loaded = stored_network("TRAILMAP_MS", TINY, tmp_path)
    forward, windows = _openvino(loaded, 16), _windows(1, 24)
    with torch.inference_mode():
        torch.testing.assert_close(forward(windows), loaded.module(windows))


def test_a_network_is_converted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = stored_network("TRAILMAP_MS", TINY, tmp_path)
    assert not is_converted(loaded, (16, 16, 16))
    first = _output(converted_network(loaded, (16, 16, 16)))
    assert is_converted(loaded, (16, 16, 16))
    assert not is_converted(loaded, (24, 24, 24))
    monkeypatch.setattr(torch.jit, "trace", _never)
    np.testing.assert_array_equal(_output(converted_network(loaded, (16, 16, 16))), first)


def test_a_damaged_conversion_is_made_again(tmp_path: Path) -> None:
    loaded = stored_network("TRAILMAP_MS", TINY, tmp_path)
    first = _output(converted_network(loaded, (16, 16, 16)))
    (description,) = (user_cache_path() / "networks").glob("*.xml")
    description.write_text("<net", encoding="utf-8")
    np.testing.assert_array_equal(_output(converted_network(loaded, (16, 16, 16))), first)
    assert description.stat().st_size > 1000


def test_other_weights_are_another_conversion(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = stored_network("TRAILMAP_MS", TINY, tmp_path / "a")
    converted_network(one, (16, 16, 16))
    other = stored_network("TRAILMAP_MS", TINY | {"f_maps": 6}, tmp_path / "b")
    assert not is_converted(other, (16, 16, 16))


def test_the_cache_forgets_what_was_used_longest_ago(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = stored_network("TRAILMAP_MS", TINY, tmp_path)
    converted_network(loaded, (16, 16, 16))
    size = sum(p.stat().st_size for p in (user_cache_path() / "networks").iterdir())
    monkeypatch.setattr(converted, "_MAX_BYTES", int(2.2 * size))
    for age, edge in ((300, 24), (200, 32)):
        converted_network(loaded, (edge,) * 3)
        for path in (user_cache_path() / "networks").glob("*.xml"):
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - age))
    converted_network(loaded, (40, 40, 40))
    assert [is_converted(loaded, (edge,) * 3) for edge in (16, 24, 32, 40)] == [
        False,
        False,
        True,
        True,
    ]
    kept = {path.suffix for path in (user_cache_path() / "networks").iterdir()}
    assert kept == {".xml", ".bin"}


def test_a_cache_that_cannot_be_written_only_costs_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("CELLSEG_CACHE", str(blocked))
    loaded = stored_network("TRAILMAP_MS", TINY, tmp_path)
    assert _output(converted_network(loaded, (16, 16, 16))).shape == (1, 1, 16, 16, 16)


def _output(model: Any) -> np.ndarray:
    import openvino

    options = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(model, "CPU", options)
    return np.array(compiled(_windows(1, 16).numpy())[0])


def _never(*arguments: object, **options: object) -> None:
    raise AssertionError("converted again")


# In a process of its own: threads that earlier tests have left tell nothing.
_CORES_WHILE_COMPUTING = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
import torch
from tests.unit.inference.runtime.test_conversion import TINY, _openvino, _windows
from tests.seeded_networks import stored_network

torch.set_num_threads(1)
forward = _openvino(stored_network("TRAILMAP_MS", TINY, Path(sys.argv[1])), 32, at_once=1)
seen = set()
with ThreadPoolExecutor(1) as beside:
    computing = beside.submit(forward, _windows(60, 32))
    while not computing.done():
        for task in Path("/proc/self/task").iterdir():
            with suppress(OSError):
                seen.add(frozenset(os.sched_getaffinity(int(task.name))))
print(*(sorted(each) for each in seen))
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux tells it there")
def test_no_thread_is_bound_to_a_core_that_another_run_would_be_bound_to_as_well(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", _CORES_WHILE_COMPUTING, str(tmp_path)]
    told = subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parents[4],
    )
    assert told.stdout.strip() == str(sorted(os.sched_getaffinity(0)))
