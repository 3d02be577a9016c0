"""Results appear whole or not at all, and full or read-only disks are told in a sentence."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cellseg_app.atomic import atomic_path, output_error, remove_leftovers, write_text_atomic
from cellseg_app.core.errors import OutputError
from cellseg_app.io.log_file import log_to
from cellseg_app.io.space import free_bytes, require_free_space, require_writable


def test_text_appears_whole_in_a_folder_that_was_missing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.txt"
    write_text_atomic(path, "µ\n")
    assert path.read_bytes() == "µ\n".encode()
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_folders_appear_whole_too(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a.zarr") as temporary:
        temporary.mkdir()
        (temporary / "0").write_text("x")
        assert not (tmp_path / "a.zarr").exists()
    assert (tmp_path / "a.zarr" / "0").read_text() == "x"


def _break_off(path: Path, error: BaseException) -> None:
    with atomic_path(path) as temporary:
        temporary.mkdir()
        (temporary / "half").write_text("x")
        raise error


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt()])
def test_what_breaks_off_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        _break_off(tmp_path / "a", error)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_with_the_name_of_the_result(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"a\.tif: The disk is full\. Free some space"):
        _break_off(tmp_path / "a.tif", OSError(errno.ENOSPC, "No space left on device"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_really_full_disk() -> None:
    with pytest.raises(OSError, match="No space") as caught, Path("/dev/full").open("wb") as file:
        file.write(bytes(10_000_000))
    assert output_error("a.tif", caught.value).problem == "The disk is full."


def test_an_existing_file_stays_where_it_may_not_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with (
        pytest.raises(OutputError, match="in the way"),
        atomic_path(tmp_path / "a", replace=False) as temporary,
    ):
        temporary.write_text("new")
    assert (tmp_path / "a").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_leftovers_of_a_killed_process_are_removed_and_those_of_living_ones_stay(
    tmp_path: Path,
) -> None:
    script = (
        "import os, sys; from cellseg_app.atomic import atomic_path\n"
        "with atomic_path(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half'); os._exit(9)"
    )
    subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a.tif")],
        check=False,
        cwd=Path(__file__).resolve().parents[3],
    )
    assert len(list(tmp_path.iterdir())) == 1
    assert not (tmp_path / "a.tif").exists()

    with atomic_path(tmp_path / "b.tif") as temporary:
        temporary.write_text("alive")
        removed = remove_leftovers(tmp_path)

    assert len(removed) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["b.tif"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(errno.EACCES, "denied"), "cannot be written to"),
        (OSError(errno.EROFS, "read-only"), "cannot be written to"),
        (OSError(errno.ENAMETOOLONG, "long"), "too long"),
        (FileExistsError(errno.EEXIST, "exists"), "in the way"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
    ],
)
def test_sentences_for_failed_writes(error: OSError, words: str) -> None:
    found = output_error("out/a.tif", error)
    assert words in found.problem
    assert found.remedy
    assert str(found).startswith("out/a.tif: ")


def test_a_file_in_place_of_the_output_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    for folder in (tmp_path / "out", tmp_path / "out" / "deeper"):
        with pytest.raises(OutputError, match="in the way"):
            require_writable(folder)


@pytest.mark.skipif(
    sys.platform == "win32" or getattr(os, "geteuid", lambda: 1)() == 0,
    reason="permissions do not bind this user",
)
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="cannot be written to"):
        require_writable(tmp_path)
    tmp_path.chmod(0o700)


def test_a_writable_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    require_writable(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_too_little_space_is_refused_before_the_work(tmp_path: Path) -> None:
    missing = tmp_path / "not" / "yet"
    require_free_space(missing, 1)
    with pytest.raises(OutputError, match=r"need about .* GiB, but only .* are free") as caught:
        require_free_space(missing, free_bytes(missing) + 2**40)
    assert "yet" in str(caught.value)


def test_the_log_of_a_run_lies_beside_its_results(tmp_path: Path) -> None:
    logger = logging.getLogger("cellseg_app.io.test")
    with log_to(tmp_path / "out" / "run.log"):
        logger.info("Zelle µ")
    logger.info("later")

    text = (tmp_path / "out" / "run.log").read_text(encoding="utf-8")
    assert "INFO cellseg_app.io.test: Zelle µ" in text
    assert "later" not in text
