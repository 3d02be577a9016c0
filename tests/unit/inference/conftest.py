from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from cellseg_app.inference.runtime.openvino_runtime import why_not_loaded


@pytest.fixture
def without_openvino(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine on which `import openvino` fails."""
    monkeypatch.setitem(sys.modules, "openvino", None)
    why_not_loaded.cache_clear()
    yield
    why_not_loaded.cache_clear()
