"""Which weights there are: bundled ones, the user's own, and the published ones to be had.

Nothing here loads torch or goes to the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cellseg_app.core.errors import SettingsError, WeightsError
from cellseg_app.inference import published
from cellseg_app.inference.cards import (
    CARD_SUFFIX,
    ModelCard,
    card_path_for,
    looks_like_card,
    read_card,
)
from cellseg_app.inference.fingerprint import sha256_of
from cellseg_app.inference.nets import ARCHITECTURES, architecture_name
from cellseg_app.paths import resource_path, user_data_path

Origin = Literal["bundled", "user", "published"]


@dataclass(frozen=True)
class WeightsFolders:
    """Where weights and their cards lie: those that ship with the program, and the user's own."""

    bundled: Path
    user: Path

    @classmethod
    def default(cls) -> WeightsFolders:
        """Return the folders of this installation."""
        return cls(resource_path("weights"), user_data_path() / "weights")


@dataclass(frozen=True)
class WeightsEntry:
    """One line of the weights list.

    Attributes
    ----------
    origin
        `published` means: can be downloaded, is not here.
    card, card_path
        None for what is not here; `card` also for a card that cannot be used.
    problem
        Why the weights cannot be used as they are; empty when they can.
    """

    name: str
    architecture: str
    title: str
    origin: Origin
    card: ModelCard | None = None
    card_path: Path | None = None
    problem: str = ""

    @property
    def weights_path(self) -> Path | None:
        """The weights file, or None for what is not here."""
        if self.card is None or self.card_path is None:
            return None
        return self.card_path.with_name(self.card.weights_file)


@dataclass(frozen=True)
class Verification:
    """Whether one weights file is still the one its card was written for."""

    name: str
    path: Path
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether the hash is right."""
        return not self.problem


def list_weights(*, folders: WeightsFolders | None = None) -> list[WeightsEntry]:
    """Return all weights: bundled, the user's own, then published ones not yet downloaded."""
    where = folders or WeightsFolders.default()
    here = [*_entries(where.bundled, "bundled"), *_entries(where.user, "user")]
    names = {entry.name for entry in here}
    to_be_had = [
        WeightsEntry(
            name=published.published_name(architecture),
            architecture=architecture,
            title=f"{architecture} (published with CellSeg3D, not downloaded)",
            origin="published",
        )
        for architecture in ARCHITECTURES
    ]
    return here + [entry for entry in to_be_had if entry.name not in names]


def find_weights(
    network: str | None, weights: str | Path | None = None, *, folders: WeightsFolders | None = None
) -> Path:
    """Return the card or weights file that the user means.

    Parameters
    ----------
    network
        The architecture whose own weights are meant when `weights` is not given.
    weights
        A file, or a name from the weights list in any case.
    folders
        Other folders than this installation's.

    Raises
    ------
    WeightsError
        There are no such weights here; the remedy says how to get them.
    SettingsError
        `network` is unknown, or neither is given.
    """
    if weights is not None:
        if Path(weights).is_file():
            return Path(weights)
        return _card_path(_named(str(weights), folders))
    if network is None:
        raise SettingsError("No network was chosen.", f"Choose one of {', '.join(ARCHITECTURES)}.")
    return _card_path(_default_entry(architecture_name(network), folders))


def weights_info(name: str | Path, *, folders: WeightsFolders | None = None) -> WeightsEntry:
    """Return the entry of a name, of an architecture's own weights, or of any weights file.

    Raises
    ------
    WeightsError
        There are no such weights, or the file cannot be used.
    """
    path = Path(name)
    if path.is_file():
        return _entry_of_file(path)
    try:
        return _named(str(name), folders)
    except WeightsError:
        if str(name).lower() not in {known.lower() for known in (*ARCHITECTURES, "WNet3D")}:
            raise
        return _default_entry(architecture_name(str(name)), folders)


def verify_weights(
    names: Sequence[str] = (), *, folders: WeightsFolders | None = None
) -> list[Verification]:
    """Return whether weights files still have the SHA-256 their cards state; all without names.

    Raises
    ------
    WeightsError
        A name is not in the list.
    """
    if names:
        entries = [weights_info(name, folders=folders) for name in names]
    else:
        entries = [e for e in list_weights(folders=folders) if e.origin != "published"]
    return [_verification(entry) for entry in entries]


def _verification(entry: WeightsEntry) -> Verification:
    path = entry.weights_path
    if path is None or entry.card is None:
        problem = entry.problem or "not downloaded"
        return Verification(entry.name, entry.card_path or Path(entry.name), problem)
    try:
        found = sha256_of(path)
    except OSError as error:
        return Verification(entry.name, path, f"cannot be read ({error.strerror})")
    expected = entry.card.weights_sha256
    problem = "" if found == expected else f"SHA-256 is {found}, the card says {expected}"
    return Verification(entry.name, path, problem)


def _entries(folder: Path, origin: Origin) -> list[WeightsEntry]:
    if not folder.is_dir():
        return []
    cards = sorted(folder.glob(f"*{CARD_SUFFIX}"), key=lambda path: path.name.lower())
    return [_entry_of_card(path, origin) for path in cards if looks_like_card(path)]


def _entry_of_card(path: Path, origin: Origin) -> WeightsEntry:
    try:
        card = read_card(path)
    except WeightsError as error:
        return WeightsEntry(path.stem, "?", path.stem, origin, card_path=path, problem=str(error))
    missing = not path.with_name(card.weights_file).is_file()
    return WeightsEntry(
        name=card.name,
        architecture=card.architecture,
        title=card.title,
        origin=origin,
        card=card,
        card_path=path,
        problem=f"the weights file {card.weights_file} is missing" if missing else "",
    )


def _entry_of_file(path: Path) -> WeightsEntry:
    if path.suffix == CARD_SUFFIX:
        return _entry_of_card(path, "user")
    beside = card_path_for(path)
    if looks_like_card(beside) and read_card(beside).weights_file == path.name:
        return _entry_of_card(beside, "user")
    # Only a file without a card has to be opened, and only then is torch needed.
    from cellseg_app.inference.weights import card_for
    from cellseg_app.inference.weights_formats import read_weights

    card = card_for(read_weights(path))
    return WeightsEntry(card.name, card.architecture, card.title, "user", card, beside)


def _named(name: str, folders: WeightsFolders | None) -> WeightsEntry:
    entries = list_weights(folders=folders)
    for entry in entries:
        if entry.name.lower() == name.lower():
            return entry
    known = ", ".join(entry.name for entry in entries if entry.origin != "published")
    raise WeightsError(
        f"There is no weights file and no entry in the weights list called {name!r}.",
        f"Give the path of a file or one of: {known or 'nothing here yet'}.",
    )


def _default_entry(architecture: str, folders: WeightsFolders | None) -> WeightsEntry:
    entries = [e for e in list_weights(folders=folders) if e.architecture == architecture]
    bundled = [entry for entry in entries if entry.origin == "bundled"]
    # Weights a user imported are used only where they are named.
    ranked = [
        *(entry for entry in bundled if entry.name == architecture),
        *bundled,
        *(entry for entry in entries if entry.name == published.published_name(architecture)),
    ]
    if not ranked or ranked[0].origin == "published":
        own = [entry.name for entry in entries if entry.origin == "user"]
        raise WeightsError(
            f"No weights of {architecture} are installed.",
            f"Choose your own ({', '.join(own)})." if own else _download_hint(architecture),
        )
    return ranked[0]


def _download_hint(architecture: str) -> str:
    return (
        f"Get the published ones with `cellseg weights download {architecture}`, or give a "
        "weights file of your own."
    )


def _card_path(entry: WeightsEntry) -> Path:
    if entry.origin == "published":
        raise WeightsError(f"{entry.name} is not installed.", _download_hint(entry.architecture))
    if entry.problem or entry.card_path is None:
        raise WeightsError(
            f"The weights {entry.name} cannot be used: {entry.problem}.",
            "Install, download or import them again.",
        )
    return entry.card_path
