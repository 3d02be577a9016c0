"""What is remembered: settings that never stop the start, presets, unfinished batches."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cellseg_app.core.errors import InputError
from cellseg_app.core.progress import Progress
from cellseg_app.core.settings import RunSettings, ThresholdSettings
from cellseg_app.state.presets import delete_preset, list_presets, load_preset, save_preset
from cellseg_app.state.run_share import RunShare
from cellseg_app.state.session import Session
from cellseg_app.state.settings import FormSettings, UserSettings, read_settings, write_settings
from cellseg_app.state.unfinished import forget_batch, note_batch, read_batch
from cellseg_app.ui.cells import Cells  # noqa: F401 - the panels' room must be importable alone


@pytest.mark.parametrize(
    "content",
    ["", "nonsense", "[]", "null", '{"form": 3}', '{"recent": {"a": 1}}', "\x00\xff", "{" * 9000],
)
def test_a_damaged_file_gives_defaults(tmp_path: Path, content: str) -> None:
    path = tmp_path / "window.json"
    path.write_text(content, encoding="utf-8")
    assert read_settings(path) == UserSettings()


def test_one_bad_value_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "window.json"
    settings = UserSettings(recent=("/a", "/b"), theme="dark")
    write_settings(path, settings)
    content = json.loads(path.read_text(encoding="utf-8"))
    content["theme"] = "purple"
    content["form"]["run"]["inference"]["overlap"] = 17
    content["form"]["run"]["threshold"]["threshold"] = 0.3
    content["added_by_a_newer_version"] = 1
    path.write_text(json.dumps(content), encoding="utf-8")
    read = read_settings(path)
    assert read.recent == ("/a", "/b")
    assert read.theme == "system"
    assert read.form.run.inference.overlap == RunSettings().inference.overlap
    assert read.form.run.threshold.threshold == 0.3


def test_settings_that_cannot_be_written_do_not_raise(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("x", encoding="utf-8")
    write_settings(in_the_way / "window.json", UserSettings())


def test_recent_files_are_unique_and_newest_first() -> None:
    settings = UserSettings()
    for name in ("a", "b", "a"):
        settings = settings.with_recent(Path(name))
    assert settings.recent == ("a", "b")


def test_presets_are_saved_listed_loaded_deleted(tmp_path: Path) -> None:
    chosen = RunSettings(threshold=ThresholdSettings(threshold=0.42))
    path = save_preset(tmp_path, "Cortex: 4/2", chosen)
    (name,) = list_presets(tmp_path)
    assert load_preset(tmp_path / f"{name}.json") == chosen
    delete_preset(path)
    assert list_presets(tmp_path) == []


def test_a_bad_preset_names_the_value(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text('{"threshold": {"threshold": 7}}', encoding="utf-8")
    with pytest.raises(InputError, match="threshold"):
        load_preset(path)


def test_an_unfinished_batch_is_found_again_until_it_is_forgotten(tmp_path: Path) -> None:
    note, volume = tmp_path / "unfinished.json", tmp_path / "a.tif"
    volume.write_bytes(b"x")
    note_batch(
        note,
        [volume],
        output_folder=tmp_path,
        settings=RunSettings(),
        voxel_sizes_um_zyx={volume: (2.0, 1.0, 1.0)},
    )
    batch = read_batch(note)
    assert batch is not None
    assert batch.paths == [volume]
    volume.unlink()
    assert read_batch(note) is None, "nothing to go on with"
    forget_batch(note)
    assert not note.exists()


def test_a_volume_is_listed_once(tmp_path: Path) -> None:
    session = Session()
    a, b = tmp_path / "a", tmp_path / "b"
    assert session.add([a, b, a]) == [a, b]
    assert session.add([b]) == []
    session.current = a
    session.remove([a])
    assert session.current == b


def test_a_share_of_a_run_never_goes_back_and_tells_the_time_left() -> None:
    now = [0.0]
    share = RunShare(2, clock=lambda: now[0])
    seen = [share.batch]
    for volume in range(2):
        share.begin_volume()
        stages = (("checking", 3), ("trying", 4), ("network", 10), ("writing map", 4), ("x", 2))
        for stage, total in stages:
            for done in range(total + 1):
                now[0] += 1
                share.take(Progress(stage, done, total))
                seen.append(share.batch)
        assert 0.8 < share.volume < 1
        share.end_volume()
        seen.append(share.batch)
        assert share.done == volume + 1
    assert seen == sorted(seen)
    assert seen[-1] == 1
    applied = RunShare(has_network=False)
    applied.take(Progress("cells", 1, 2))
    assert applied.volume > 0.1
    half = RunShare(1, clock=lambda: now[0])
    assert half.remaining_s is None
    now[0] += 30
    half.take(Progress("network", 5, 10))
    assert half.remaining_s == pytest.approx(45)


def test_a_voxel_size_given_by_hand_holds_for_its_volume(tmp_path: Path) -> None:
    session = Session()
    a, b = tmp_path / "a", tmp_path / "b"
    session.add([a, b])
    session.change(a, voxel_size_um_zyx=(3.0, 1.0, 1.0))
    assert session.run_settings(a).data.voxel_size_um_zyx == (3.0, 1.0, 1.0)
    assert session.run_settings(b) == session.form.run
    session.change_all(voxel_size_um_zyx=(1.0, 1.0, 1.0))
    assert session.run_settings(b).data.voxel_size_um_zyx == (1.0, 1.0, 1.0)


def test_a_region_is_not_remembered_for_other_volumes(tmp_path: Path) -> None:
    run = RunSettings.model_validate(
        {"region": {"box": "0:5,:,:"}, "threshold": {"threshold": 0.4}}
    )
    path = tmp_path / "window.json"
    write_settings(path, UserSettings(form=FormSettings(run=run)))
    again = read_settings(path).form.run
    assert again.region.is_whole
    assert again.threshold.threshold == 0.4
    assert load_preset(save_preset(tmp_path, "p", run)).region.is_whole
