"""Bringing weights into the user's folder: from a file, or from the published archives."""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from cellseg_app.atomic import atomic_path
from cellseg_app.core.errors import WeightsError
from cellseg_app.core.progress import CancelToken, ProgressSink
from cellseg_app.inference import published
from cellseg_app.inference.archives import extract_weights, is_archive
from cellseg_app.inference.cards import CARD_SUFFIX, ModelCard, write_card
from cellseg_app.inference.catalog import (
    WeightsEntry,
    WeightsFolders,
    list_weights,
    verify_weights,
    weights_info,
)
from cellseg_app.inference.download import download
from cellseg_app.inference.fingerprint import sha256_of
from cellseg_app.inference.nets import architecture_name
from cellseg_app.inference.weights import load_network
from cellseg_app.inference.weights_formats import read_weights
from cellseg_app.paths import user_cache_path

_log = logging.getLogger(__name__)


def import_weights(
    path: Path,
    *,
    network: str | None = None,
    input_size: int | None = None,
    folders: WeightsFolders | None = None,
) -> WeightsEntry:
    """Copy a weights file into the user's folder, with a card made from what is in it.

    A card beside the file comes along. A tar archive as published is unpacked. The same file
    imported twice gives the entry of the first time.

    Parameters
    ----------
    path
        Weights file, model card, or archive with one .pth file.
    network
        Refuse the file unless it is for this architecture.
    input_size
        Window extent that weights without a card were trained with (voxels).
    folders
        Other folders than this installation's.

    Raises
    ------
    WeightsError
        The file cannot be used.
    OutputError
        The user's folder cannot be written to.
    """
    where = folders or WeightsFolders.default()
    if is_archive(path):
        with tempfile.TemporaryDirectory() as scratch:
            name = path.name.split(".")[0] or "weights"
            unpacked = Path(scratch) / f"{name}.pth"
            extract_weights(path, unpacked)
            return import_weights(unpacked, network=network, input_size=input_size, folders=where)
    loaded = load_network(path, network=network, input_size=input_size)
    return _install(loaded.path, loaded.card, where)


def download_weights(
    name: str,
    *,
    progress: ProgressSink | None = None,
    cancel: CancelToken | None = None,
    folders: WeightsFolders | None = None,
    address: str = published.ADDRESS,
) -> WeightsEntry:
    """Download published CellSeg3D weights into the user's folder; called only when asked for.

    Parameters
    ----------
    name
        An architecture, or the name of published weights in the weights list.
    progress, cancel
        Bytes done and in all; looked at four times per megabyte.
    folders
        Other folders than this installation's.
    address
        Where the archives lie.

    Raises
    ------
    WeightsError
        Offline, no such file, or not the network it should be.
    OutputError
        No room or no permission.
    Cancelled
        Asked for by `cancel`; the next call goes on where this one stopped.
    """
    where = folders or WeightsFolders.default()
    architecture = architecture_name(published.without_suffix(name))
    present = _intact(published.published_name(architecture), where)
    if present is not None:
        _log.info("%s is already here", present.name)
        return present
    url = urljoin(address, published.ARCHIVES[architecture])
    archive = user_cache_path() / "downloads" / published.ARCHIVES[architecture]
    download(url, archive, progress=progress, cancel=cancel)
    try:
        return _install_published(archive, architecture, url, where)
    finally:
        archive.unlink(missing_ok=True)


def _install_published(
    archive: Path, architecture: str, url: str, where: WeightsFolders
) -> WeightsEntry:
    with tempfile.TemporaryDirectory() as scratch:
        unpacked = Path(scratch) / f"{architecture}.pth"
        extract_weights(archive, unpacked)
        card = load_network(unpacked, network=architecture).card
        origin: dict[str, Any] = {
            "title": f"{architecture} (published with CellSeg3D)",
            "licence": published.LICENCE,
            "source": url,
            "citation": published.CITATION,
            "notes": f"{card.notes} Archive SHA-256: {sha256_of(archive)}.",
        }
        name = published.published_name(architecture)
        return _install(unpacked, card.model_copy(update=origin), where, name=name)


def _intact(name: str, where: WeightsFolders) -> WeightsEntry | None:
    entry = weights_info(name, folders=where)
    if entry.origin == "published" or not verify_weights([name], folders=where)[0].ok:
        return None
    return entry


def _install(
    path: Path, card: ModelCard, where: WeightsFolders, *, name: str | None = None
) -> WeightsEntry:
    here = list_weights(folders=where)
    same = [entry for entry in here if name is None and _is_same(entry, card)]
    if same:
        return same[0]
    chosen = name or _free_name(card.name, {entry.name.lower() for entry in here})
    target = where.user / f"{chosen}{path.suffix}"
    with atomic_path(target) as temporary:
        shutil.copyfile(path, temporary)
        if sha256_of(temporary) != card.weights_sha256:
            raise WeightsError("The file changed while it was copied.", "Try again.", path=path)
    _check_stands_alone(target, card)
    installed = card.model_copy(update={"name": chosen, "weights_file": target.name})
    write_card(installed, target.with_suffix(CARD_SUFFIX))
    return weights_info(chosen, folders=where)


def _is_same(entry: WeightsEntry, card: ModelCard) -> bool:
    return (
        entry.card is not None
        and not entry.problem
        and entry.card.weights_sha256 == card.weights_sha256
        and entry.card.window_default == card.window_default
    )


def _check_stands_alone(target: Path, card: ModelCard) -> None:
    # ONNX may keep its weights in a second file, which a copy leaves behind.
    if card.file_kind != "onnx":
        return
    try:
        read_weights(target)
    except WeightsError:
        target.unlink()
        raise


def _free_name(name: str, taken: set[str]) -> str:
    candidate, number = name, 2
    while candidate.lower() in taken:
        candidate, number = f"{name}-{number}", number + 1
    return candidate
