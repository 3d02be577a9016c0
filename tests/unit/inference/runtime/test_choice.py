from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cellseg_app.core.progress import Progress, StageProgress
from cellseg_app.core.settings import RunSettings
from cellseg_app.core.volume import Volume
from cellseg_app.inference.runtime import agreement as agreement_module
from cellseg_app.inference.runtime import choice as choice_module
from cellseg_app.inference.session import NetworkSession
from cellseg_app.inference.session_setup import open_session
from cellseg_app.inference.weights import LoadedNetwork
from tests.seeded_networks import stored_network

TINY: dict[str, object] = {"f_maps": 4, "num_levels": 2}
Open = Callable[..., NetworkSession]


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedNetwork:
    return stored_network("TRAILMAP_MS", TINY, tmp_path, window_default=16)


@pytest.fixture
def open_with() -> Open:
    image = np.random.default_rng(0).random((6, 6, 22), dtype=np.float32)

    def opened(
        loaded: LoadedNetwork, reports: list[Progress] | None = None, **inference: object
    ) -> NetworkSession:
        settings = RunSettings.model_validate({"inference": inference})
        progress = None if reports is None else reports.append
        return open_session(loaded, Volume(image, None, "v"), settings, progress=progress)

    return opened


@pytest.fixture
def every_run_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice_module, "_FEW_WINDOWS", 0)
    monkeypatch.setattr(choice_module, "_WORTH_CONVERTING_S", 0.0)


def _probability(session: NetworkSession) -> np.ndarray:
    stage = StageProgress(None, "network", session.grid.n_windows)
    return np.concatenate([slab.probability for slab in session.slabs(stage)], axis=1)


def test_both_runtimes_give_the_same_probability(loaded: LoadedNetwork, open_with: Open) -> None:
    maps = {}
    for runtime in ("torch", "openvino"):
        session = open_with(loaded, runtime=runtime, precision="float32")
        assert session.runtime == runtime
        maps[runtime] = _probability(session).astype(np.float32)
    assert maps["torch"].std() > 0.001
    np.testing.assert_allclose(maps["openvino"], maps["torch"], atol=1e-3)


def test_a_run_of_few_windows_tries_nothing(loaded: LoadedNetwork, open_with: Open) -> None:
    session = open_with(loaded, window=48)
    assert (session.runtime, session.precision) == ("torch", "float32")
    assert any("few windows" in note for note in session.notes)


@pytest.mark.usefixtures("every_run_is_worth_it")
def test_the_faster_runtime_is_remembered(
    loaded: LoadedNetwork, open_with: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_with(loaded, precision="float32")
    assert any("computed by" in note for note in first.notes)
    tried: list[str] = []
    original = choice_module.Trials.run

    def counted(
        self: choice_module.Trials,
        candidate: choice_module.Candidate,
        known_s: float | None = None,
    ) -> object:
        tried.append(candidate.runtime)
        return original(self, candidate, known_s)

    monkeypatch.setattr(choice_module.Trials, "run", counted)
    again = open_with(loaded, precision="float32")
    assert again.runtime == first.runtime
    assert set(tried) == {first.runtime}
    # One pass is enough then, and the estimate does not hang on how busy the machine is just now.
    if first.runtime == "openvino":
        assert again.timing.seconds_per_window == pytest.approx(
            first.timing.seconds_per_window, rel=0.05
        )


@pytest.mark.usefixtures("every_run_is_worth_it")
def test_conversion_is_announced(loaded: LoadedNetwork, open_with: Open) -> None:
    reports: list[Progress] = []
    open_with(loaded, reports)
    assert any("converting" in report.message for report in reports)
    assert all(report.done <= report.total for report in reports)


class _Unconvertible(torch.nn.Module):
    """A network with an operation that OpenVINO does not know."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        slices = x.flatten(0, 2)
        return (x.flatten(0, 2) * torch.linalg.svdvals(slices)[:, :1, None]).view_as(x)


@pytest.mark.parametrize("runtime", ["auto", "openvino"])
@pytest.mark.usefixtures("every_run_is_worth_it")
def test_what_openvino_cannot_run_is_run_by_pytorch_and_said(
    loaded: LoadedNetwork, open_with: Open, runtime: str
) -> None:
    session = open_with(replace(loaded, module=_Unconvertible()), runtime=runtime)
    assert session.runtime == "torch"
    assert any("OpenVINO does not run this network" in note for note in session.notes)
    assert np.isfinite(_probability(session)).all()


@pytest.mark.parametrize("runtime", ["auto", "openvino"])
@pytest.mark.usefixtures("every_run_is_worth_it", "without_openvino")
def test_pytorch_computes_where_openvino_cannot_be_loaded_and_it_is_said(
    loaded: LoadedNetwork, open_with: Open, runtime: str
) -> None:
    session = open_with(loaded, runtime=runtime)
    assert session.runtime == "torch"
    assert any("OpenVINO cannot be loaded here" in note for note in session.notes)
    assert np.isfinite(_probability(session)).all()


def test_openvino_failing_half_way_is_survived_and_said(
    loaded: LoadedNetwork, open_with: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = {"precision": "float32", "overlap": 0.75, "batch": 1}
    expected = _probability(open_with(loaded, runtime="torch", **same))
    session = open_with(loaded, runtime="openvino", **same)
    runs = 0
    original = type(session.forward)._run

    def breaking(self: object, windows: np.ndarray) -> np.ndarray:
        nonlocal runs
        runs += 1
        if runs > 1:
            raise RuntimeError("device lost")
        return original(self, windows)  # type: ignore[no-any-return]

    monkeypatch.setattr(type(session.forward), "_run", breaking)
    np.testing.assert_allclose(_probability(session), expected, atol=1e-3)
    assert runs == 2
    assert any("device lost" in note for note in session.notes)


@pytest.mark.usefixtures("every_run_is_worth_it")
def test_half_precision_that_changes_cells_is_not_taken(
    loaded: LoadedNetwork, open_with: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice_module, "native_half_precision", lambda device: "bfloat16")
    monkeypatch.setattr(agreement_module, "_ENOUGH_FOREGROUND_VOXELS", 0)
    monkeypatch.setattr(agreement_module, "AGREEMENT", 0.0)
    assert open_with(loaded).precision == "bfloat16"
    monkeypatch.setattr(agreement_module, "AGREEMENT", 1.01)
    session = open_with(loaded)
    assert session.precision == "float32"
    assert any("would change the foreground" in note for note in session.notes)


def test_what_is_asked_for_is_not_questioned(loaded: LoadedNetwork, open_with: Open) -> None:
    session = open_with(loaded, runtime="openvino", precision="bfloat16")
    assert (session.runtime, session.precision) == ("openvino", "bfloat16")
    assert any("bfloat16 was asked for" in note for note in session.notes)
