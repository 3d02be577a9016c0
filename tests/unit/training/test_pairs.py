"""A user's images and labels are found in the layouts people use, and faults are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from cellseg_app.core.errors import InputError, SettingsError
from cellseg_app.inference.cards import Normalization
from cellseg_app.training.finetune_samples import Preparation, prepare_finetuning
from cellseg_app.training.pairs import clean_labels, find_user_pairs
from cellseg_app.training.samples import list_samples, read_sample
from cellseg_app.training.simulator.stream import write_volume
from tests.labelled_balls import balls, write_pair

CUBE = (1.0, 1.0, 1.0)


def _plan(**changes: object) -> Preparation:
    values: dict[str, object] = {
        "object_diameter_voxels": 11.0,
        "normalization": Normalization(),
        "target": "centre_peaked",
        "fallback_spacing_um_zyx": None,
        "validation_share": 0.25,
        "hold_out": (),
        "seed": 0,
        "judged_voxels": 64,
    }
    return Preparation(**{**values, **changes})  # type: ignore[arg-type]


def _two_folders(folder: Path, images: str, labels: str) -> None:
    image, truth = balls(1)
    for name, volume in ((images, image), (labels, truth)):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_volume(path, volume, CUBE)


def test_three_layouts_are_understood(tmp_path: Path) -> None:
    write_pair(tmp_path / "beside", "a", 1)
    _two_folders(tmp_path / "in", "images/b.tif", "labels/b.tif")
    _two_folders(tmp_path / "apart", "raw/c.tif", "truth/c_mask.tif")
    (tmp_path / "apart" / "raw" / "notes.txt").write_text("not a volume")
    pairs = find_user_pairs(
        [tmp_path / "beside", tmp_path / "in"],
        tmp_path / "apart" / "raw",
        tmp_path / "apart" / "truth",
    )
    assert [pair.name for pair in pairs] == ["a", "b", "c"]
    assert [pair.labels.name for pair in pairs] == ["a_labels.tif", "b.tif", "c_mask.tif"]


def test_what_cannot_be_paired_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        find_user_pairs([tmp_path / "nowhere"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"NAME_image\.tif.*images and labels"):
        find_user_pairs([tmp_path / "empty"])
    _two_folders(tmp_path, "images/b.tif", "labels/other.tif")
    with pytest.raises(InputError, match="called like"):
        find_user_pairs([tmp_path])
    _two_folders(tmp_path / "two", "images/b.tif", "labels/b.tif")
    _two_folders(tmp_path / "two", "images/b.tif", "labels/b_seg.tif")
    with pytest.raises(InputError, match="same image"):
        find_user_pairs([tmp_path / "two"])
    write_pair(tmp_path / "x", "a", 1)
    write_pair(tmp_path / "y", "a", 2)
    with pytest.raises(InputError, match="called a"):
        find_user_pairs([tmp_path / "x", tmp_path / "y"])


def test_labels_as_people_save_them_become_numbered_objects() -> None:
    _, truth = balls(3, n=4)
    n_true = len(np.unique(truth)) - 1
    as_floats = clean_labels(truth.astype(np.float32) * 1000, Path("a.tif"))
    assert as_floats.max() == n_true
    huge = np.where(truth > 0, truth.astype(np.uint32) + 4_000_000_000, 0)
    assert clean_labels(huge, Path("a.tif")).max() == n_true
    with pytest.raises(InputError, match="fractions"):
        clean_labels(truth / 7, Path("a.tif"))


def test_a_mask_with_one_number_is_divided_into_its_parts() -> None:
    mask = np.zeros((12, 12, 24), np.uint8)
    mask[3:8, 3:8, 3:8] = mask[3:8, 3:8, 14:19] = 255
    assert clean_labels(mask, Path("a.tif")).max() == 2


def test_faults_of_the_files_are_named(tmp_path: Path) -> None:
    image, truth = balls(1)
    write_volume(tmp_path / "a_image.tif", image, CUBE)
    write_volume(tmp_path / "a_labels.tif", truth[:20], CUBE)
    pairs = find_user_pairs([tmp_path])
    with pytest.raises(InputError, match=r"a_labels\.tif.*differ in shape.*a_image\.tif"):
        prepare_finetuning(pairs, tmp_path / "out", _plan())
    write_volume(tmp_path / "a_labels.tif", np.zeros_like(truth), CUBE)
    with pytest.raises(InputError, match="None of the 1 label volumes holds a cell"):
        prepare_finetuning(pairs, tmp_path / "out", _plan())
    tifffile.imwrite(tmp_path / "a_image.tif", image)
    write_volume(tmp_path / "a_labels.tif", truth, CUBE)
    with pytest.raises(InputError, match="--voxel-size"):
        prepare_finetuning(pairs, tmp_path / "out", _plan())
    data = prepare_finetuning(pairs, tmp_path / "out", _plan(object_diameter_voxels=None))
    assert data.judged


def test_one_volume_is_judged_by_a_part_of_itself(tmp_path: Path) -> None:
    write_pair(tmp_path, "a", 1, edge=48)
    data = prepare_finetuning(find_user_pairs([tmp_path]), tmp_path / "out", _plan())
    (learn,), (judge,) = list_samples([data.learn]), list_samples([data.validation])
    sizes = [read_sample(path).image.size for path in (learn, judge)]
    assert sizes[1] / sum(sizes) == pytest.approx(0.25, abs=0.02)
    assert all(read_sample(path).labels.any() for path in (learn, judge))


def test_volumes_are_held_out_by_share_or_by_name(tmp_path: Path) -> None:
    for seed, name in enumerate(("a", "b", "c", "d")):
        write_pair(tmp_path / "data", name, seed)
    pairs = find_user_pairs([tmp_path / "data"])
    by_share = prepare_finetuning(pairs, tmp_path / "1", _plan())
    assert len(list_samples([by_share.validation])) == 1
    assert len(list_samples([by_share.learn])) == 3
    by_name = prepare_finetuning(pairs, tmp_path / "2", _plan(hold_out=("c", "d")))
    assert [path.stem for path in list_samples([by_name.validation])] == ["c", "d"]
    for pattern, complaint in (("*", "every volume"), ("x*", "no volume")):
        with pytest.raises(SettingsError, match=f"{complaint}.*a, b, c, d"):
            prepare_finetuning(pairs, tmp_path / "3", _plan(hold_out=(pattern,)))


def test_an_empty_volume_among_others_teaches_what_is_no_cell(tmp_path: Path) -> None:
    write_pair(tmp_path / "data", "full", 1)
    image, truth = balls(2)
    write_volume(tmp_path / "data" / "none_image.tif", image, CUBE)
    write_volume(tmp_path / "data" / "none_labels.tif", np.zeros_like(truth), CUBE)
    data = prepare_finetuning(find_user_pairs([tmp_path / "data"]), tmp_path / "out", _plan())
    learned = {path.stem: read_sample(path) for path in list_samples([data.learn])}
    assert not learned["none"].target.any()
    assert learned["full"].target.any()


def test_corrected_labels_are_prepared_anew(tmp_path: Path) -> None:
    write_pair(tmp_path / "data", "a", 1)
    pairs = find_user_pairs([tmp_path / "data"])
    first = prepare_finetuning(pairs, tmp_path / "out", _plan())
    assert prepare_finetuning(pairs, tmp_path / "out", _plan()) == first
    write_pair(tmp_path / "data", "a", 2)
    second = prepare_finetuning(pairs, tmp_path / "out", _plan())
    assert second.fingerprint != first.fingerprint
    assert not first.learn.exists()
