"""Volumes with known cells, and the command line run inside the test's process."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from cellseg_app.cli import main
from cellseg_app.io.tiff_write import write_volume_tiff
from tests.blur_network import write_blur_network

SHAPE = (44, 60, 72)
SPACING_UM = (2.0, 1.0, 1.0)


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a network with one class."""
    return write_blur_network(tmp_path_factory.mktemp("weights"), "blur")


@pytest.fixture(scope="session")
def two_class_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a network with two classes, of which the second is bright."""
    return write_blur_network(tmp_path_factory.mktemp("weights"), "blur2", classes=2)


@dataclass(frozen=True)
class Cells:
    """A volume with cells, and what is known of them."""

    image: np.ndarray
    labels: np.ndarray

    @property
    def count(self) -> int:
        return int(self.labels.max())


@pytest.fixture(scope="session")
def cells() -> Cells:
    """Round cells on a lattice, none touching another, some cut by the border."""
    centres = np.zeros(SHAPE, bool)
    centres[6::15, 8::16, 8::16] = True
    distance, index = ndimage.distance_transform_edt(~centres, return_indices=True)
    numbers = np.zeros(SHAPE, np.int32)
    numbers[centres] = np.arange(1, centres.sum() + 1)
    labels = np.where(distance <= 4.5, numbers[tuple(index)], 0)
    noise = np.random.default_rng(0).normal(0, 20, SHAPE)
    image = 200 + 1500 * ndimage.gaussian_filter((labels > 0).astype(float), 0.7) + noise
    return Cells(image.astype(np.uint16), labels)


@pytest.fixture
def volume_file(tmp_path: Path, cells: Cells) -> Path:
    """The cells as an ImageJ TIFF with voxel size."""
    path = tmp_path / "input" / "cells.tif"
    path.parent.mkdir()
    return write_volume_tiff(path, cells.image, spacing_um_zyx=SPACING_UM)


@pytest.fixture
def twin_file(volume_file: Path, cells: Cells) -> Path:
    """The same cells in a second file beside the first."""
    path = volume_file.with_name("twin.tif")
    return write_volume_tiff(path, cells.image, spacing_um_zyx=SPACING_UM)


@dataclass(frozen=True)
class Outcome:
    """How a command ended and what it said, as JSON lines."""

    code: int
    events: list[dict[str, Any]]
    errors: str

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == kind]

    @property
    def record(self) -> Path:
        return Path(self.of("result")[0]["record"])


Command = Callable[..., Outcome]


def record_of(path: Path) -> dict[str, Any]:
    """A run record, as JSON holds it."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def tiff_labels(record: Path) -> np.ndarray:
    """The labels of a run that were stored as TIFF."""
    return tifffile.imread(record.parent / record_of(record)["files"]["labels"])


@pytest.fixture
def cellseg(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `cellseg ARGUMENTS --json` in this process."""

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        words: Sequence[str] = [str(word) for word in arguments]
        code = main([*words, "--json"])
        printed = capsys.readouterr()
        lines = [json.loads(line) for line in printed.out.splitlines()]
        return Outcome(code, lines, printed.err)

    return run
