"""The real volumes open as their README says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from cellseg_app.io.inputs import expand_inputs
from cellseg_app.io.open import check_values, describe, open_volume

VOLUMES: dict[str, tuple[tuple[int, int, int], tuple[float, float, float] | None]] = {
    "mesospim_c5": ((124, 86, 94), None),
    "mesospim_very_small": ((64, 64, 64), None),
    "cellfinder_crop_cortex": ((30, 510, 667), (5, 2, 2)),
    "arabidopsis_lateralroot_lightsheet": ((80, 160, 160), (0.25, 0.1625, 0.1625)),
    "embryo_nuclei_neubias": ((37, 118, 132), (4, 0.8286, 0.8286)),
    "confocal_culture_Series006": ((28, 1024, 1024), None),
    "bbbc050_test_Emb1_t451": ((51, 114, 112), (2, 0.8, 0.8)),
    "gonuclear_ovule_1135": ((100, 100, 100), (0.2837, 0.1268, 0.1268)),
    "organoid_R0_obj36": ((44, 126, 132), (0.6, 0.216, 0.216)),
    "drosophila_simview_t0": ((29, 101, 151), None),
    "celegans_emb01_t104": ((30, 224, 320), None),
}


@pytest.mark.parametrize("name", VOLUMES)
def test_shape_voxel_size_and_values(shared_dir: Path, name: str) -> None:
    shape, spacing = VOLUMES[name]
    path = shared_dir / "data" / name / "image.tif"

    info = describe(path)
    volume = check_values(open_volume(path))

    assert info.problem == ""
    assert info.shape_zyx == volume.data.shape == shape
    assert info.spacing_um_zyx == (spacing if spacing is None else pytest.approx(spacing))
    np.testing.assert_array_equal(volume.data[:, :, :], tifffile.imread(path))


def test_a_pattern_finds_them_all(shared_dir: Path) -> None:
    found = expand_inputs([f"{shared_dir}/data/*/image.tif"])
    assert {path.parent.name for path in found} == set(VOLUMES)
