"""Fixtures every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder of real volumes beside the checkout; tests that need it skip where it is absent."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the real volumes (../shared) are not on this machine")
    return folder


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the small files that every clone has."""
    return REPOSITORY / "tests" / "data"


@pytest.fixture(autouse=True)
def _own_user_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELLSEG_DATA", str(tmp_path / "user-data"))
    monkeypatch.setenv("CELLSEG_CACHE", str(tmp_path / "user-cache"))
