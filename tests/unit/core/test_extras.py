from __future__ import annotations

import sys

import pytest

from cellseg_app.core.extras import how_to_install


def test_the_frozen_program_does_not_ask_for_pip_inside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert how_to_install("cluster") == 'Install it with pip install "cellseg-app[cluster]".'
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert "CellSeg for Python" in how_to_install("cluster")
