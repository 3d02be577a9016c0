"""The weights list: what is here, what the user's words mean, importing, and verifying."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cellseg_app.core.errors import OutputError, WeightsError
from cellseg_app.inference.archives import extract_weights
from cellseg_app.inference.cards import ModelCard, read_card, write_card
from cellseg_app.inference.catalog import (
    WeightsFolders,
    find_weights,
    list_weights,
    verify_weights,
    weights_info,
)
from cellseg_app.inference.fingerprint import sha256_of
from cellseg_app.inference.installation import import_weights
from cellseg_app.inference.nets import build_network
from cellseg_app.inference.weights import load_network

SMALL = {"vae": False, "blocks_down": [1, 1], "blocks_up": [1]}


@pytest.fixture
def folders(tmp_path: Path) -> WeightsFolders:
    """Folders as after installation: SegResNet is bundled, the user has nothing."""
    where = WeightsFolders(tmp_path / "bundled", tmp_path / "user")
    where.bundled.mkdir()
    weights = save_weights(where.bundled / "SegResNet.pth", seed=0)
    card = ModelCard(
        name="SegResNet",
        title="SegResNet of our own",
        architecture="SegResNet",
        options=dict(SMALL),
        weights_file=weights.name,
        weights_sha256=sha256_of(weights),
    )
    write_card(card, where.bundled / "SegResNet.json")
    (where.bundled / "curve.json").write_text('{"loss": [3, 2, 1]}')
    return where


def save_weights(path: Path, *, seed: int, architecture: str = "SegResNet") -> Path:
    torch.manual_seed(seed)
    options = dict(SMALL) if architecture == "SegResNet" else {"f_maps": 2, "num_levels": 2}
    torch.save(build_network(architecture, options).state_dict(), path)
    return path


def test_the_list_shows_what_is_here_and_what_can_be_had(folders: WeightsFolders) -> None:
    entries = list_weights(folders=folders)
    assert [(e.name, e.origin) for e in entries[:1]] == [("SegResNet", "bundled")]
    assert {(e.architecture, e.origin) for e in entries[1:]} == {
        (name, "published") for name in ("SwinUNetR", "SegResNet", "WNet", "TRAILMAP_MS", "VNet")
    }


def test_a_network_means_its_bundled_weights(folders: WeightsFolders) -> None:
    assert find_weights("segresnet", folders=folders) == folders.bundled / "SegResNet.json"
    assert find_weights(None, "SEGRESNET", folders=folders).name == "SegResNet.json"
    with pytest.raises(WeightsError, match="weights download TRAILMAP_MS"):
        find_weights("TRAILMAP_MS", folders=folders)
    with pytest.raises(WeightsError, match="weights download WNet"):
        find_weights(None, "wnet-published", folders=folders)
    with pytest.raises(WeightsError, match=r"called 'mine'.*one of: SegResNet"):
        find_weights(None, "mine", folders=folders)


def test_imported_weights_are_found_by_their_name(folders: WeightsFolders, tmp_path: Path) -> None:
    source = save_weights(tmp_path / "axon net.pth", seed=1, architecture="TRAILMAP_MS")
    entry = import_weights(source, folders=folders)
    source.unlink()
    assert (entry.name, entry.architecture, entry.origin) == ("axon-net", "TRAILMAP_MS", "user")
    card_path = find_weights(None, "Axon-Net", folders=folders)
    assert load_network(card_path, network="TRAILMAP_MS").card == entry.card
    with pytest.raises(WeightsError, match=r"Choose your own \(axon-net\)"):
        find_weights("TRAILMAP_MS", folders=folders)


def test_importing_twice_keeps_one_and_another_file_gets_another_name(
    folders: WeightsFolders, tmp_path: Path
) -> None:
    source = save_weights(tmp_path / "SegResNet.pth", seed=1)
    first = import_weights(source, folders=folders)
    again = import_weights(source.rename(tmp_path / "moved.pth"), folders=folders)
    other = import_weights(save_weights(tmp_path / "SegResNet.pth", seed=2), folders=folders)
    assert (first.name, again.name, other.name) == ("SegResNet-2", "SegResNet-2", "SegResNet-3")
    assert {e.name for e in list_weights(folders=folders) if e.origin == "user"} == {
        "SegResNet-2",
        "SegResNet-3",
    }


def test_a_card_comes_along_with_its_weights(folders: WeightsFolders, tmp_path: Path) -> None:
    weights = save_weights(tmp_path / "w.pth", seed=1)
    card = read_card(folders.bundled / "SegResNet.json").model_copy(
        update={
            "name": "better",
            "weights_file": "w.pth",
            "weights_sha256": sha256_of(weights),
            "object_diameter_voxels": 9.5,
        }
    )
    write_card(card, tmp_path / "w.json")
    entry = import_weights(weights, folders=folders)
    assert entry.name == "better"
    assert entry.card is not None
    assert entry.card.object_diameter_voxels == 9.5
    assert not entry.card.cellseg3d_compatible


def test_nothing_is_left_of_a_refused_import(folders: WeightsFolders, tmp_path: Path) -> None:
    weights = save_weights(tmp_path / "w.pth", seed=1)
    with pytest.raises(WeightsError, match="Choose SegResNet"):
        import_weights(weights, network="VNet", folders=folders)
    (tmp_path / "w.pth").write_bytes(b"nonsense")
    with pytest.raises(WeightsError):
        import_weights(weights, folders=folders)
    assert not folders.user.exists() or not list(folders.user.iterdir())


def test_an_import_into_a_place_that_cannot_be_written_says_so(
    folders: WeightsFolders, tmp_path: Path
) -> None:
    folders.user.write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="in the way"):
        import_weights(save_weights(tmp_path / "w.pth", seed=1), folders=folders)


def test_verify_finds_the_one_changed_byte(folders: WeightsFolders, tmp_path: Path) -> None:
    import_weights(save_weights(tmp_path / "mine.pth", seed=1), folders=folders)
    assert all(check.ok for check in verify_weights(folders=folders))
    damaged = folders.user / "mine.pth"
    content = bytearray(damaged.read_bytes())
    content[-100] ^= 1
    damaged.write_bytes(content)
    checks = {check.name: check for check in verify_weights(folders=folders)}
    assert checks["SegResNet"].ok
    assert "SHA-256" in checks["mine"].problem
    damaged.unlink()
    assert "missing" in {e.name: e.problem for e in list_weights(folders=folders)}["mine"]
    assert not verify_weights(["mine"], folders=folders)[0].ok
    with pytest.raises(WeightsError, match="missing"):
        find_weights(None, "mine", folders=folders)


def test_a_broken_card_is_listed_as_broken(folders: WeightsFolders) -> None:
    folders.user.mkdir()
    (folders.user / "bad.json").write_text('{"card_version": 1}')
    entry = weights_info("bad", folders=folders)
    assert "not a usable model card" in entry.problem
    with pytest.raises(WeightsError, match="bad"):
        find_weights(None, "bad", folders=folders)


def test_info_of_a_name_a_network_and_a_file(folders: WeightsFolders, tmp_path: Path) -> None:
    assert weights_info("SegResNet", folders=folders).title == "SegResNet of our own"
    assert weights_info("VNet-published", folders=folders).card is None
    weights = save_weights(tmp_path / "w.pth", seed=1, architecture="TRAILMAP_MS")
    card = weights_info(weights, folders=folders).card
    assert card is not None
    assert card.options == {"f_maps": 2, "num_levels": 2}
    with pytest.raises(WeightsError, match="nothing"):
        weights_info("nothing", folders=folders)


def test_the_list_comes_without_loading_torch() -> None:
    code = (
        "import sys, cellseg_app.inference.catalog as catalog; catalog.list_weights();"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def archive_of(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for info, content in members:
            info.size = len(content) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(content))
    return path


def regular(name: str) -> tarfile.TarInfo:
    return tarfile.TarInfo(name)


def link(kind: bytes, name: str, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_a_published_archive_can_be_imported(folders: WeightsFolders, tmp_path: Path) -> None:
    content = save_weights(tmp_path / "w.pth", seed=1).read_bytes()
    archive = archive_of(
        tmp_path / "SegResNet_latest.tar.gz",
        (regular("._SegResNet_latest.pth"), b"macOS shadow"),
        (regular("SegResNet_latest.pth"), content),
    )
    entry = import_weights(archive, folders=folders)
    assert entry.name == "SegResNet_latest"
    assert entry.card is not None
    assert entry.card.weights_sha256 == sha256_of(tmp_path / "w.pth")


@pytest.mark.parametrize(
    "members",
    [
        [(regular("../../escaped.pth"), b"x")],
        [(regular("/tmp/escaped.pth"), b"x")],
        [(regular("C:\\escaped.pth"), b"x")],
        [(link(tarfile.SYMTYPE, "w.pth", "/etc/passwd"), b"")],
        [(link(tarfile.LNKTYPE, "w.pth", "/etc/passwd"), b"")],
        [(regular("w.pth"), b"x"), (link(tarfile.SYMTYPE, "more", ".."), b"")],
        [(link(tarfile.FIFOTYPE, "w.pth", ""), b"")],
        [(regular("a.pth"), b"x"), (regular("b.pth"), b"y")],
        [(regular("readme.txt"), b"x")],
        [(regular("w.pth"), bytes(2000))],
        [(regular("filler"), bytes(2000)), (regular("w.pth"), b"x")],
        [(regular(f"{i}.txt"), b"") for i in range(200)],
    ],
    ids=[
        "up",
        "absolute",
        "drive",
        "symlink",
        "hardlink",
        "late symlink",
        "fifo",
        "two",
        "none",
        "too large",
        "too large beside",
        "too many",
    ],
)
def test_a_malicious_archive_leaves_nothing_behind(
    tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]]
) -> None:
    archive = archive_of(tmp_path / "a.tar.gz", *members)
    with pytest.raises(WeightsError):
        extract_weights(archive, tmp_path / "out" / "w.pth", limit_bytes=1000)
    assert not list((tmp_path / "out").iterdir())
    assert not list(tmp_path.rglob("escaped.pth"))


@pytest.mark.parametrize(
    "damage",
    [lambda content: content[: len(content) // 2], lambda content: b"\x1f\x8b" + bytes(99)],
    ids=["truncated", "garbage"],
)
def test_a_damaged_archive_is_refused(
    folders: WeightsFolders, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    content = save_weights(tmp_path / "w.pth", seed=1).read_bytes()
    archive = archive_of(tmp_path / "a.tar.gz", (regular("w.pth"), content))
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(WeightsError, match="damaged or incomplete"):
        import_weights(archive, folders=folders)
