"""Names of results follow the guide, fit every file system and never hit a taken one."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellseg_app.io.naming import (
    corrected_names,
    free_path,
    free_result_names,
    is_result_name,
    remove_results,
    result_stem,
    volume_name,
)

WHEN = datetime(2022, 4, 6, 15, 49, 42)


def test_the_documented_example(tmp_path: Path) -> None:
    names = free_result_names(tmp_path, "somatomotor", model="VNet", when=WHEN, pred_id=3)

    stem = "somatomotor_VNet_2022_04_06_15_49_42_pred3"
    assert [path.name for path in names.all] == [
        f"{stem}.tif",
        f"Instance_seg_{stem}.tif",
        f"{stem}.csv",
        f"{stem}.json",
    ]
    assert {path.parent for path in names.all} == {tmp_path}


@pytest.mark.parametrize("taken", ["probability", "labels", "table", "record"])
def test_a_taken_name_is_passed_over(tmp_path: Path, taken: str) -> None:
    first = free_result_names(tmp_path, "a", model="VNet", when=WHEN)
    getattr(first, taken).write_text("old")

    second = free_result_names(tmp_path, "a", model="VNet", when=WHEN)

    assert second.stem == "a_VNet_2022_04_06_15_49_42_pred2"
    assert not any(path.exists() for path in second.all)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/cortex.ome.tif", "cortex"),
        ("cortex.OME.TIFF", "cortex"),
        ("cortex.v2.tif", "cortex.v2"),
        ("brain.zarr", "brain"),
        ("brain.ome.zarr/", "brain"),
        ("slices.2024", "slices.2024"),
        ("Hirn µ 脳.tif", "Hirn µ 脳"),
        (".tif", ".tif"),
    ],
)
def test_volume_names(path: str, name: str) -> None:
    assert volume_name(path) == name


def test_the_folder_one_stands_in_has_a_name_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stack").mkdir()
    monkeypatch.chdir(tmp_path / "stack")
    assert volume_name(".") == "stack"


def test_illegal_characters_and_unicode() -> None:
    assert result_stem('a<b>:"c"|?*\\/\n', "V/Net", WHEN, 1).startswith("a_b___c________V_Net_")
    assert result_stem("Zelle µ 脳", "VNet", WHEN, 1).startswith("Zelle µ 脳_VNet")


@given(st.text(), st.integers(1, 10**6))
def test_any_name_becomes_one_that_every_file_system_takes(original: str, pred_id: int) -> None:
    stem = result_stem(original, "TRAILMAP_MS", WHEN, pred_id)

    assert len(f"Instance_seg_{stem}.zarr".encode()) <= 255
    assert not set(stem) & set('<>:"/\\|?*\x00\n\r\t')
    assert stem == stem.strip(" .")
    assert stem.endswith(f"_TRAILMAP_MS_2022_04_06_15_49_42_pred{pred_id}")
    assert is_result_name(f"{stem}.tif")


def test_own_results_are_recognized() -> None:
    assert is_result_name("Instance_seg_a_VNet_2022_04_06_15_49_42_pred3.tif")
    assert is_result_name("x/a_VNet_2022_04_06_15_49_42_pred12.zarr")
    assert is_result_name("Instance_seg_a_VNet_2022_04_06_15_49_42_pred3_corrected2.tif")
    assert not is_result_name("a_pred3.tif")
    assert not is_result_name("embryo_2022_04_06.tif")


def test_corrected_results_count_on_and_keep_one_ending(tmp_path: Path) -> None:
    assert corrected_names(tmp_path, "a_Net_pred1").stem == "a_Net_pred1_corrected"
    (tmp_path / "a_Net_pred1_corrected.parquet").write_text("")
    names = corrected_names(tmp_path, "a_Net_pred1_corrected", image_format="zarr")
    assert names.labels.name == "Instance_seg_a_Net_pred1_corrected2.zarr"
    assert names.record.name == "a_Net_pred1_corrected2.json"


def test_free_path(tmp_path: Path) -> None:
    path = tmp_path / "summary.csv"
    assert free_path(path) == path
    path.write_text("")
    assert free_path(path).name == "summary_2.csv"
    free_path(path).write_text("")
    assert free_path(path).name == "summary_3.csv"


def test_removing_a_run_leaves_all_others(tmp_path: Path) -> None:
    gone = [
        "a_Net_pred1.tif",
        "a_Net_pred1.csv",
        "Instance_seg_a_Net_pred1.tif",
        "Instance_seg_a_Net_pred1_class2.tif",
    ]
    kept = ["a_Net_pred12.tif", "Instance_seg_a_Net_pred12.tif", "aa_Net_pred1.tif", "a.tif"]
    for name in (*gone, *kept):
        (tmp_path / name).touch()
    remove_results(tmp_path, "a_Net_pred1")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
