"""What is kept only as long as it is looked at."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from cellseg_app.workers.scratch import (
    HeldArray,
    make_scratch_folder,
    remove_dead_scratch,
    scratch_folder,
)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's temporary folder, for one test."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_the_folder_goes_with_the_last_who_looks(temporary: Path) -> None:
    folder = make_scratch_folder()
    values = np.arange(24).reshape(2, 3, 4)
    held = HeldArray(values, folder)
    other = held
    np.testing.assert_array_equal(held[slice(0, 2), slice(1, 2), slice(0, 4)], values[:, 1:2])
    del held
    assert folder.exists()
    del other
    assert not folder.exists()


def test_a_folder_goes_when_its_block_fails(temporary: Path) -> None:
    def fill_and_fail() -> None:
        with scratch_folder() as folder:
            (folder / "a").write_text("a")
            raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        fill_and_fail()
    assert not list(temporary.iterdir())


def test_folders_of_killed_processes_are_removed_and_others_stay(temporary: Path) -> None:
    dead = temporary / "cellseg-live-999999999-abc"
    dead.mkdir()
    (dead / "labels.tif").write_bytes(b"x")
    own = make_scratch_folder()
    foreign = temporary / "somebody-else"
    foreign.mkdir()
    remove_dead_scratch()
    assert not dead.exists()
    assert own.exists()
    assert str(os.getpid()) in own.name
    assert foreign.exists()
