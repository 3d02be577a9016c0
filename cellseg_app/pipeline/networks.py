"""Which network a run or a record means."""

from __future__ import annotations

from pathlib import Path

from cellseg_app.core.errors import WeightsError
from cellseg_app.core.settings import NetworkSettings
from cellseg_app.inference.catalog import find_weights, list_weights
from cellseg_app.inference.weights import LoadedNetwork, load_network
from cellseg_app.io.run_record import RunRecord


def network_for(settings: NetworkSettings, *, named: bool = True) -> LoadedNetwork:
    """Load the network that the settings mean.

    Parameters
    ----------
    settings
        Network, weights and input size.
    named
        Whether the user chose the network; if not, weights of any network will do.

    Raises
    ------
    UserError
        There are no such weights, they are damaged, or they are for another network.
    """
    if settings.weights is None:
        path = find_weights(settings.name)
        return load_network(path, network=settings.name, input_size=settings.input_size)
    path = find_weights(settings.name if named else None, settings.weights)
    return load_network(
        path, network=settings.name if named else None, input_size=settings.input_size
    )


def network_of_record(record: RunRecord) -> LoadedNetwork:
    """Load the very weights of a record, wherever they lie on this machine.

    Raises
    ------
    WeightsError
        No weights here have the hash that the record names.
    """
    return network_with_hash(
        record.network.weights_sha256,
        Path(record.network.weights),
        record.settings.network.input_size,
    )


def network_with_hash(wanted: str, path: Path, input_size: int | None) -> LoadedNetwork:
    """Load the very weights of a SHA-256: at `path`, or wherever they lie on this machine.

    Raises
    ------
    WeightsError
        No weights here have this hash.
    """
    candidates = [entry.card_path for entry in list_weights() if _has_hash(entry.card, wanted)]
    for candidate in (path, *candidates):
        if candidate is None or not candidate.is_file():
            continue
        loaded = load_network(candidate, input_size=input_size)
        if loaded.sha256 == wanted:
            return loaded
    raise WeightsError(
        f"The weights of this run (SHA-256 {wanted[:12]}…) are not on this machine.",
        "Import them with `cellseg weights import FILE`, then run the record again.",
        path=path,
    )


def _has_hash(card: object, wanted: str) -> bool:
    return getattr(card, "weights_sha256", None) == wanted
