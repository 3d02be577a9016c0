from __future__ import annotations

import numpy as np
import pytest

from cellseg_app.core.errors import SettingsError
from cellseg_app.core.settings import CellSizeSettings
from cellseg_app.core.volume import SpacingZYX, Volume
from cellseg_app.inference.cards import ModelCard
from cellseg_app.inference.lattice import network_lattice


def _card(diameter: float | None = 10.0) -> ModelCard:
    return ModelCard(
        name="net",
        title="net",
        architecture="SegResNet",
        weights_file="net.safetensors",
        weights_sha256="0" * 64,
        object_diameter_voxels=diameter,
        voxel_size_um=1.0,
    )


def _volume(spacing: SpacingZYX | None, shape: tuple[int, int, int] = (20, 100, 100)) -> Volume:
    image = np.random.default_rng(0).normal(100, 5, shape).astype(np.float32)
    return Volume(image, spacing, "v")


def test_anisotropic_volume_becomes_isotropic_with_cells_of_the_learned_size() -> None:
    settings = CellSizeSettings(diameter=10.0)
    lattice = network_lattice(_volume((2.0, 0.5, 0.5)), _card(), settings)
    assert lattice.shape_zyx == (40, 50, 50)
    assert lattice.diameter_px == pytest.approx(20.0)
    assert lattice.view(_volume((2.0, 0.5, 0.5)).data).shape == (40, 50, 50)


def test_diameter_in_voxels_counts_along_y_and_x() -> None:
    settings = CellSizeSettings(diameter=20.0, diameter_unit="px")
    assert network_lattice(_volume(None), _card(), settings).shape_zyx == (10, 50, 50)


def test_a_few_percent_are_not_worth_resampling() -> None:
    settings = CellSizeSettings(diameter=10.5, diameter_unit="px")
    assert network_lattice(_volume((1.0, 1.0, 1.0)), _card(), settings).shape_zyx == (20, 100, 100)


def test_diameter_in_micrometres_needs_the_voxel_size() -> None:
    with pytest.raises(SettingsError, match="14px"):
        network_lattice(_volume(None), _card(), CellSizeSettings(diameter=12.0))


def test_networks_that_learned_no_size_see_the_volume_as_it_is() -> None:
    lattice = network_lattice(
        _volume((2.0, 0.5, 0.5)), _card(None), CellSizeSettings(diameter=10.0)
    )
    assert lattice.shape_zyx == (20, 100, 100)


def test_where_no_cell_shows_the_learned_voxel_size_decides() -> None:
    lattice = network_lattice(_volume((2.0, 0.5, 0.5)), _card(), CellSizeSettings())
    assert lattice.diameter_source == "card"
    assert lattice.shape_zyx == (40, 50, 50)


def test_unknown_voxel_size_is_said() -> None:
    settings = CellSizeSettings(diameter=20.0, diameter_unit="px")
    assert any("cubes" in note for note in network_lattice(_volume(None), _card(), settings).notes)
