"""Measurements: the reference's, analytic bodies, any blocks, any degenerate shape."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from skimage.measure import regionprops_table

from cellseg_app.analysis.measure import measure_cells
from cellseg_app.core.errors import InputError
from cellseg_app.core.settings import StatisticsSettings
from tests.synthetic_cells import foreground_map, peaked_map, touching_ellipsoids

REFERENCE = Path(__file__).parents[2] / "data" / "reference"
SPACINGS = [(1.0, 1.0, 1.0), (2.5, 1.0, 1.0), (2.0, 0.8, 0.8)]


def ellipsoid(
    half_axes: tuple[float, float, float], spacing: tuple[float, float, float]
) -> npt.NDArray[np.uint32]:
    """A digital ellipsoid, turned and off the lattice; sizes in µm."""
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    reach = [int(max(half_axes) / step) + 3 for step in spacing]
    axes = [(np.arange(-n, n + 1) + 0.3) * step for n, step in zip(reach, spacing, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) @ turn
    return (np.linalg.norm(points / half_axes, axis=-1) <= 1).astype(np.uint32)


def spheroid_area(a: float, c: float) -> float:
    """Surface of a prolate spheroid with half axes a, a, c, c > a."""
    e = np.sqrt(1 - a**2 / c**2)
    return float(2 * np.pi * a**2 * (1 + c / (a * e) * np.arcsin(e)))


def test_statistics_of_the_reference_are_reproduced() -> None:
    with np.load(REFERENCE / "postprocess.npz") as file:
        labels = file["watershed"]
    truth = pd.read_csv(REFERENCE / "watershed_stats.csv")
    found = measure_cells(labels, block_zyx=(40, 96, 50))
    for column, name in {
        "n_voxels": "Volume",
        "centroid_z_voxel": "Centroid x",
        "centroid_y_voxel": "Centroid y",
        "centroid_x_voxel": "Centroid z",
        "sphericity_axes": "Sphericity (axes)",
    }.items():
        np.testing.assert_allclose(found.cells[column], truth[name], rtol=1e-9)
    first = truth.iloc[0]
    assert found.summary["n_objects"] == first["Number objects"]
    assert found.summary["total_voxels"] == first["Total image volume"]
    assert found.summary["labelled_voxels"] == first["Total object volume (pixels)"]
    assert found.summary["filling_ratio"] == first["Filling ratio"]
    assert [found.summary[f"size_{axis}_voxels"] for axis in "zyx"] == [96, 96, 96]


@pytest.mark.parametrize("spacing", SPACINGS)
def test_an_ellipsoid_has_its_volume_axes_and_surface(spacing: tuple[float, float, float]) -> None:
    a, c = 9.0, 14.0
    row = measure_cells(ellipsoid((a, a, c), spacing), spacing_um_zyx=spacing).cells.iloc[0]
    volume = 4 / 3 * np.pi * a * a * c
    assert row["volume_um3"] == pytest.approx(volume, rel=0.02)
    assert row["axis_major_um"] == pytest.approx(2 * c, rel=0.02)
    assert row["axis_middle_um"] == pytest.approx(2 * a, rel=0.02)
    assert row["axis_minor_um"] == pytest.approx(2 * a, rel=0.02)
    assert row["surface_um2"] == pytest.approx(spheroid_area(a, c), rel=0.03)
    sphericity = np.pi ** (1 / 3) * (6 * volume) ** (2 / 3) / spheroid_area(a, c)
    assert row["sphericity_surface"] == pytest.approx(sphericity, rel=0.03)


@pytest.mark.parametrize(("radius", "error"), [(3, 0.04), (5, 0.02), (10, 0.01)])
def test_the_surface_of_a_ball_is_right_within_the_stated_error(radius: int, error: float) -> None:
    ball = ellipsoid((radius, radius, radius), (1.0, 1.0, 1.0))
    row = measure_cells(ball).cells.iloc[0]
    assert row["surface_voxel2"] == pytest.approx(4 * np.pi * radius**2, rel=error)


def test_no_measurement_depends_on_the_blocks() -> None:
    labels = touching_ellipsoids((40, 50, 60), 60, radius=(4, 9))
    labels[10:14, 20:24, :] = labels.max() + 1
    image = np.random.default_rng(0).integers(0, 65535, labels.shape, dtype=np.uint16)
    probability = (image / 65535).astype(np.float16)
    arguments: dict[str, Any] = {"image": image, "probability": probability}
    whole = measure_cells(labels, spacing_um_zyx=(2, 1, 1), block_zyx=labels.shape, **arguments)
    for block in [(16, 16, 16), (40, 50, 7), (3, 50, 60)]:
        cut = measure_cells(
            labels, spacing_um_zyx=(2, 1, 1), block_zyx=block, workers=2, **arguments
        )
        pd.testing.assert_frame_equal(cut.cells, whole.cells, rtol=1e-12)
        assert cut.summary == whole.summary


def test_positions_boxes_and_intensities_are_those_of_regionprops() -> None:
    labels = touching_ellipsoids((30, 40, 50), 30, radius=(4, 8))
    labels[labels == 3] = 70_001
    image = np.random.default_rng(1).normal(100, 20, labels.shape).astype(np.float32)
    cells = measure_cells(labels, image, block_zyx=(16, 40, 20)).cells
    names = ("intensity_mean", "intensity_min", "intensity_max", "intensity_std")
    truth = regionprops_table(
        labels, image, properties=("label", "area", "centroid", "bbox", *names)
    )
    assert cells["label"].max() == 70_001
    np.testing.assert_array_equal(cells["label"], truth["label"])
    np.testing.assert_array_equal(cells["n_voxels"], truth["area"])
    for axis, name in enumerate("zyx"):
        np.testing.assert_allclose(cells[f"centroid_{name}_voxel"], truth[f"centroid-{axis}"])
        np.testing.assert_array_equal(cells[f"bbox_{name}_min"], truth[f"bbox-{axis}"])
        np.testing.assert_array_equal(cells[f"bbox_{name}_max"], truth[f"bbox-{axis + 3}"])
    for name in names:
        np.testing.assert_allclose(cells[name], truth[name], rtol=1e-5)


def test_one_voxel_and_flat_cells_have_finite_sizes_and_no_axis_sphericity() -> None:
    labels = np.zeros((6, 9, 9), np.uint32)
    labels[1, 1, 1] = 1
    labels[3, 1:8, 1:8] = 2
    labels[5, 0, :] = 3
    cells = measure_cells(labels, spacing_um_zyx=(3.0, 1.0, 1.0)).cells
    assert cells["sphericity_axes"].isna().all()
    numbers = cells.drop(columns="sphericity_axes").to_numpy(dtype=float)
    assert np.isfinite(numbers).all()
    assert (cells[["axis_minor_um", "surface_um2"]] > 0).all(axis=None)
    assert cells["axis_minor_um"][1] == pytest.approx(2 * np.sqrt(5 * 9 / 12))
    assert list(cells["touches_border"]) == [False, False, True]


def test_a_perfect_ball_has_axis_sphericity_one() -> None:
    cube = np.zeros((7, 7, 7), np.uint32)
    cube[2:5, 2:5, 2:5] = 1
    assert measure_cells(cube).cells["sphericity_axes"][0] == pytest.approx(1)


def test_an_axis_of_one_voxel_is_no_border() -> None:
    labels = np.zeros((1, 9, 9), np.uint32)
    labels[0, 3:5, 3:5] = 1
    labels[0, 0, 7] = 2
    assert list(measure_cells(labels).cells["touches_border"]) == [False, True]


@pytest.mark.parametrize("kind", [peaked_map, foreground_map])
@pytest.mark.parametrize("block", [(30, 34, 50), (7, 34, 50), (16, 16, 16)])
def test_clear_cells_are_certain_and_faint_ones_are_not(
    kind: Callable[..., Any], block: tuple[int, int, int]
) -> None:
    labels = np.zeros((30, 34, 50), np.uint32)
    grid = np.indices(labels.shape)
    for label, x in enumerate((9, 25, 41), start=1):
        centre = np.reshape((15, 17, x), (3, 1, 1, 1))
        labels[((grid - centre) ** 2).sum(0) < 6.5**2] = label
    clear = kind(labels, noise=0.0).astype(np.float32)
    # The third cell stands out less than half as much, the second hardly at all.
    probability = np.where(labels == 2, 0.45 + 0.08 * clear, clear)
    probability = np.where(labels == 3, 0.3 + 0.4 * clear, probability)
    cells = measure_cells(labels, probability=probability, block_zyx=block, workers=2).cells
    certain, undecided, doubtful = cells["uncertainty"]
    assert certain < 0.5
    assert undecided > 0.9
    assert certain + 0.2 < doubtful < undecided
    whole = measure_cells(labels, probability=probability, block_zyx=labels.shape).cells
    np.testing.assert_allclose(cells["uncertainty"], whole["uncertainty"], rtol=1e-12)
    assert cells["uncertainty"].between(0, 1).all()


def test_uncertainty_is_left_out_where_it_is_not_wanted_or_not_known() -> None:
    labels = np.ones((3, 3, 3), np.uint32)
    unwanted = StatisticsSettings(uncertainty=False)
    half = np.full((3, 3, 3), 0.5, np.float16)
    assert "uncertainty" not in measure_cells(labels).cells
    assert "uncertainty" not in measure_cells(labels, probability=half, settings=unwanted).cells
    assert measure_cells(labels, probability=half).cells["uncertainty"][0] == 1


def test_without_cells_the_table_is_empty_and_has_all_columns() -> None:
    empty = np.zeros((4, 5, 6), np.uint32)
    some = empty.copy()
    some[1, 2, 3] = 1
    image = np.ones(empty.shape, np.uint16)
    nothing = measure_cells(empty, image, image, spacing_um_zyx=(1, 1, 1))
    assert len(nothing.cells) == 0
    assert list(nothing.cells) == list(
        measure_cells(some, image, image, spacing_um_zyx=(1, 1, 1)).cells
    )
    assert nothing.summary["n_objects"] == 0
    assert nothing.summary["density_per_mm3"] == 0


def test_columns_follow_what_is_known_and_wanted() -> None:
    labels = np.ones((3, 3, 3), np.uint32)
    image = np.ones((3, 3, 3), np.uint16)
    bare = measure_cells(labels, image, settings=StatisticsSettings(surface=False, intensity=False))
    assert not [c for c in bare.cells if "um" in c or "surface" in c or "intensity" in c]
    assert "total_volume_um3" not in bare.summary
    full = measure_cells(labels, image, spacing_um_zyx=(2.0, 1.0, 1.0))
    assert full.cells["volume_um3"][0] == 54
    assert full.cells["centroid_z_um"][0] == 2
    assert full.summary["density_per_mm3"] == pytest.approx(1 / 54e-9)


def test_an_image_of_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match="shape"):
        measure_cells(np.ones((3, 3, 3), np.uint32), np.ones((3, 3, 4), np.uint16))


def test_fifty_thousand_cells_take_seconds() -> None:
    grid = np.arange(1, 37 * 37 * 37 + 1, dtype=np.uint32).reshape(37, 37, 37)
    labels = np.kron(grid, np.ones((3, 3, 3), np.uint32))
    labels[::3] = 0
    start = time.perf_counter()
    cells = measure_cells(labels, spacing_um_zyx=(1, 1, 1)).cells
    assert len(cells) == 37**3 > 50_000
    assert time.perf_counter() - start < 20
