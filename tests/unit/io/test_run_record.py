"""The run record brings back the settings, and says in words what was done."""

from __future__ import annotations

import json
import os
import shutil
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from cellseg_app.core.errors import Cancelled, InputError
from cellseg_app.core.progress import CancelToken
from cellseg_app.core.settings import DataSettings, InstanceSettings, RunSettings
from cellseg_app.io import hashing
from cellseg_app.io.hashing import (
    ContentHash,
    content_hash,
    file_sha256,
    files_in,
    same_content,
)
from cellseg_app.io.methods_text import methods_paragraph
from cellseg_app.io.run_record import (
    RecordedChoices,
    RecordedFiles,
    RecordedInput,
    RecordedNetwork,
    RunRecord,
    read_record,
    write_record,
)


@pytest.fixture
def record() -> RunRecord:
    settings = RunSettings(
        data=DataSettings(voxel_size_um_zyx=(2, 0.8, 0.8)),
        instances=InstanceSettings(method="watershed", remove_border=True),
    )
    return RunRecord(
        versions={"cellseg": "0.1.0", "python": "3.11.7", "torch": "2.13.0", "monai": "1.6.1"},
        started=datetime(2025, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
        settings=settings,
        input=RecordedInput(
            path="/data/Zelle µ.tif",
            sha256="ab" * 32,
            shape_zyx=(51, 114, 112),
            dtype="uint16",
            spacing_um_zyx=(2, 0.8, 0.8),
        ),
        network=RecordedNetwork(
            name="SegResNet", title="bundled", weights="/home/me/w.pt", weights_sha256="cd" * 32
        ),
        used=RecordedChoices(
            device="cpu",
            precision="float32",
            window_zyx=(64, 64, 64),
            overlap=0.25,
            threshold=0.5,
            foreground_class=0,
            scale_zyx=(2.0, 0.8, 0.8),
            diameter_um=9.6,
            instance_method="watershed",
            instance_options={"seed_threshold": 0.9, "min_size_voxels": 30},
        ),
        n_cells=28,
        summary={"density_per_mm3": 1.5e4, "mean_sphericity": float("nan")},
        seconds={"network": 12.5},
        notes=("Taken: channel 1 of 2 (counted from 0).",),
        files=RecordedFiles(labels="Instance_seg_a.tif"),
    )


def test_a_record_reads_back_equal(tmp_path: Path, record: RunRecord) -> None:
    write_record(tmp_path / "a.json", record)
    found = read_record(tmp_path / "a.json")

    assert found.settings == record.settings
    assert found.model_copy(update={"summary": {}}) == record.model_copy(update={"summary": {}})
    assert "µ" in (tmp_path / "a.json").read_text(encoding="utf-8")
    json.loads((tmp_path / "a.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda r: r.update(schema_version=99), "newer version"),
        (lambda r: r.pop("settings"), "not a run record"),
        (lambda r: r["settings"]["inference"].update(overlap=2), "settings.inference.overlap"),
        (lambda r: r["settings"].update(colour="red"), "settings.colour"),
        (lambda r: r.pop("network"), "network"),
    ],
)
def test_a_record_that_cannot_be_used(
    tmp_path: Path, record: RunRecord, change: Any, reason: str
) -> None:
    content = json.loads(record.model_dump_json())
    change(content)
    (tmp_path / "a.json").write_text(json.dumps(content))

    with pytest.raises(InputError, match=reason) as caught:
        read_record(tmp_path / "a.json")

    assert "a.json" in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "II*"])
def test_files_that_are_no_record(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match="not a run record"):
        read_record(tmp_path / "a.json")
    with pytest.raises(InputError, match="not there"):
        read_record(tmp_path / "b.json")


def test_later_fields_of_the_same_format_are_passed_over(tmp_path: Path, record: RunRecord) -> None:
    content = json.loads(record.model_dump_json())
    content["input"]["acquired"] = "yesterday"
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert read_record(tmp_path / "a.json").input == record.input


def test_the_methods_paragraph_says_what_was_done(record: RunRecord) -> None:
    text = methods_paragraph(record)

    for part in (
        "CellSeg 0.1.0 (Python 3.11.7, PyTorch 2.13.0, MONAI 1.6.1)",
        "Zelle µ.tif had 51 × 114 × 112 voxels of 2 × 0.8 × 0.8 µm",
        "network SegResNet [1, 2] (weights bundled, SHA-256 cdcdcdcdcdcdcdcd)",
        "windows of 64 × 64 × 64 voxels overlapping by 25%",
        "in float32 on cpu",
        "resampled by factors of 2 × 0.8 × 0.8 (Z × Y × X), for a cell diameter of 9.6 µm",
        "probability of class 0 above 0.5",
        "seeded watershed of the probability map (seed threshold 0.9, min size voxels 30)",
        "Cells cut by the border of the volume were dropped.",
        "28 cells were found.",
        "1. Myronenko",
        "2. Cardoso",
    ):
        assert part in text


def test_the_methods_paragraph_says_where_voxels_were_divided(
    record: RunRecord,
) -> None:
    def paragraph(method: str, refine_zyx: tuple[int, int, int]) -> str:
        changed = {"instance_method": method, "refine_zyx": refine_zyx}
        used = record.used.model_copy(update=changed)
        return methods_paragraph(record.model_copy(update={"used": used}))

    assert "interpolated by cubic convolution to 2 × 1 × 1 voxels for one" in paragraph(
        "cell-peaks", (2, 1, 1)
    )
    for unrefined in (paragraph("watershed", (2, 1, 1)), paragraph("cell-peaks", (1, 1, 1))):
        assert "interpolated" not in unrefined


def test_the_methods_paragraph_says_nothing_that_was_not_done(record: RunRecord) -> None:
    bare = record.model_copy(
        update={
            "used": RecordedChoices(device="cpu", precision="float32", scale_zyx=(1, 1, 1)),
            "input": record.input.model_copy(update={"spacing_um_zyx": None}),
            "n_cells": None,
            "settings": RunSettings(),
        }
    )
    text = methods_paragraph(bare)

    assert "voxel size not stated" in text
    for word in ("resampled", "foreground{", "told apart", "found", "None", "border", "windows"):
        assert word not in text


def test_the_hash_of_a_folder_follows_content_and_names(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    (folder / "sub").mkdir(parents=True)
    (folder / "1.tif").write_bytes(b"one")
    (folder / "sub" / "2.tif").write_bytes(b"two")
    first = file_sha256(folder)

    folder.rename(tmp_path / "b")
    (tmp_path / "b" / ".DS_Store").write_bytes(b"x")
    assert file_sha256(tmp_path / "b") == first

    (tmp_path / "b" / "1.tif").rename(tmp_path / "b" / "3.tif")
    renamed = file_sha256(tmp_path / "b")
    (tmp_path / "b" / "3.tif").write_bytes(b"One")
    assert len({first, renamed, file_sha256(tmp_path / "b")}) == 3


def test_the_hash_of_a_file_is_its_sha256_and_can_be_cancelled(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert file_sha256(tmp_path / "a") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        file_sha256(tmp_path / "a", cancel=token)
    with pytest.raises(InputError, match="gone"):
        file_sha256(tmp_path / "b")


def test_a_terabyte_is_told_by_samples_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "_SAMPLES", 16)
    large = tmp_path / "large.raw"
    with large.open("wb") as file:
        file.write(b"header")
        # A hole: nothing of it lies on the disk.
        file.truncate(10**12)
    found = content_hash(large)
    assert (found.sha256, len(found.sampled_sha256)) == ("", 64)
    os.utime(large, (1, 1))
    assert same_content(large, found)
    for place in (3, 10**12 - 5):
        with large.open("r+b") as file:
            file.seek(place)
            file.write(b"x")
        assert not same_content(large, found)
        found = content_hash(large)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        content_hash(large, cancel=token)


def test_the_sampled_hash_of_a_folder_follows_names_sizes_and_metadata(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "_MOST_READ_WHOLE", 0)
    monkeypatch.setattr(hashing, "_SAMPLE_BYTES", 8)
    monkeypatch.setattr(hashing, "_SAMPLES", 4)
    folder = tmp_path / "a.zarr"
    for name in ("0/c/0/0/0", "0/c/0/0/1", "0.b"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(bytes(4000))
    (folder / "0" / "zarr.json").write_text('{"shape": [1, 2, 3]}')
    seen = [content_hash(folder).sampled_sha256]
    (folder / ".DS_Store").write_bytes(b"x")
    shutil.copytree(folder, tmp_path / "b.zarr")
    assert content_hash(tmp_path / "b.zarr").sampled_sha256 == seen[0]
    (folder / "0" / "zarr.json").write_text('{"shape": [3, 2, 1]}')
    seen.append(content_hash(folder).sampled_sha256)
    (folder / "0.b").write_bytes(bytes(4001))
    seen.append(content_hash(folder).sampled_sha256)
    (folder / "0.b").rename(folder / "0.c")
    seen.append(content_hash(folder).sampled_sha256)
    assert len(set(seen)) == 4
    assert content_hash("https://host/a.zarr") == ContentHash()


def test_files_come_in_the_order_of_their_whole_names(tmp_path: Path) -> None:
    for name in ("a/b", "a.b", "a-b", "a/c/d", "a0", "b"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"1")
    names = [file.name for file in files_in(tmp_path)]
    assert names == sorted(names)
    assert len(names) == 6
