"""Runs as work for the engine's lane. The engine, and torch with it, is loaded on first use."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cellseg_app.core.errors import UserError
from cellseg_app.core.results import RunFailure
from cellseg_app.core.settings import NetworkSettings, RunSettings
from cellseg_app.core.volume import SpacingZYX
from cellseg_app.state.unfinished import note_batch
from cellseg_app.workers.jobs import JobContext, Work
from cellseg_app.workers.scratch import remove_dead_scratch

if TYPE_CHECKING:
    from cellseg_app.inference.devices import DeviceInfo
    from cellseg_app.inference.weights import LoadedNetwork
    from cellseg_app.pipeline.reporting import Reporting


class NetworkShelf:
    """Keeps the network loaded last, so that previews do not load it every time."""

    def __init__(self) -> None:
        self._key: object = None
        self._loaded: LoadedNetwork | None = None
        self._lock = threading.Lock()

    def network(self, settings: NetworkSettings) -> LoadedNetwork:
        """Return the network that the settings mean.

        Raises
        ------
        UserError
            There are no such weights, or they cannot be used.
        """
        from cellseg_app.inference.catalog import find_weights
        from cellseg_app.pipeline.networks import network_for

        path = find_weights(settings.name, settings.weights)
        key = (settings, path, path.stat().st_mtime_ns)
        with self._lock:
            if self._loaded is None or self._key != key:
                self._loaded = None
                self._loaded = network_for(settings, named=not _is_custom(settings))
                self._key = key
            return self._loaded


def _is_custom(settings: NetworkSettings) -> bool:
    # Weights that bring their own computation belong to none of the five networks.
    from cellseg_app.inference.cards import card_path_for, looks_like_card, read_card
    from cellseg_app.inference.catalog import find_weights

    if settings.weights is None:
        return False
    path = find_weights(None, settings.weights)
    card = path if looks_like_card(path) else card_path_for(path)
    return looks_like_card(card) and read_card(card).architecture == "custom"


@dataclass(frozen=True, slots=True)
class EngineReady:
    """The engine is loaded; these processors can be chosen."""

    devices: tuple[DeviceInfo, ...]


def reporting(context: JobContext) -> Reporting:
    """The engine's way to talk, led to the window."""
    from cellseg_app.pipeline.reporting import Reporting

    return Reporting(context.progress, context.cancel, context.note, considerate=True)


def warming_up() -> Work:
    """Work that loads the engine while the user looks for a volume; gives `EngineReady`."""

    def work(_context: JobContext) -> EngineReady:
        from cellseg_app.inference.devices import available_devices
        from cellseg_app.inference.nets import segresnet  # noqa: F401 - brings hundreds of modules
        from cellseg_app.pipeline import (  # noqa: F401 - loads them for later
            batch,
            corrections,
            resegment,
        )

        remove_dead_scratch()
        return EngineReady(tuple(available_devices()))

    return work


def recognizing(weights: str) -> Work:
    """Work that says what a weights file is; gives its `ModelCard`."""

    def work(_context: JobContext) -> object:
        from cellseg_app.inference.catalog import weights_info

        return weights_info(weights).card

    return work


def estimating(
    shelf: NetworkShelf, source: Path, *, output_folder: Path, settings: RunSettings
) -> Work:
    """Work that gives the `Estimate` of one volume's run, and says the notes about it."""

    def work(context: JobContext) -> object:
        from cellseg_app.pipeline.preparing import RunRequest, prepare

        request = RunRequest(source, output_folder, settings, datetime.now().astimezone())
        ready = prepare(request, shelf.network(settings.network), reporting(context))
        for sentence in ready.notes:
            context.note(sentence)
        return ready.estimate

    return work


def running_batch(
    shelf: NetworkShelf,
    sources: Sequence[Path],
    *,
    output_folder: Path,
    settings: RunSettings,
    voxel_sizes_um_zyx: Mapping[Path, SpacingZYX],
    note: Path,
    scheduler: str | None = None,
) -> Work:
    """Work that runs a batch; tells `ClusterJoined` and `BatchEvent`s, gives the `BatchResult`.

    `note` is written first, so that the next start can offer to go on after a crash.
    `scheduler` is the address of Dask workers that compute the blocks, as behind `--scheduler`.
    """

    def work(context: JobContext) -> object:
        from cellseg_app.cluster.connect import optional_cluster
        from cellseg_app.pipeline.batch import run_batch

        note_batch(
            note,
            sources,
            output_folder=output_folder,
            settings=settings,
            voxel_sizes_um_zyx=voxel_sizes_um_zyx,
        )
        loaded = shelf.network(settings.network)
        with optional_cluster(scheduler, context.note, context.cancel) as cluster:
            if cluster is not None:
                context.tell(ClusterJoined(cluster.n_workers, cluster.dashboard))
            return run_batch(
                sources,
                output_folder,
                settings,
                loaded,
                report=reporting(context),
                on_event=context.tell,
                voxel_sizes_um_zyx=voxel_sizes_um_zyx,
                cluster=cluster,
            )

    return work


@dataclass(frozen=True, slots=True)
class ClusterJoined:
    """Workers of a Dask scheduler compute the run.

    Attributes
    ----------
    dashboard
        Address of the scheduler's web page; "" where it has none.
    """

    n_workers: int
    dashboard: str


@dataclass(frozen=True, slots=True)
class Resegmented:
    """One volume, told apart anew."""

    old_record: Path
    record: Path
    n_cells: int


def resegmenting(records: Sequence[Path], settings: RunSettings) -> Work:
    """Work that applies everything after the network to stored results; no network runs.

    Tells `Resegmented` for each, gives the list of `RunFailure` of those that could not be done.
    """

    def work(context: JobContext) -> list[RunFailure]:
        from cellseg_app.pipeline.resegment import find_probability, resegment

        failures = []
        for path in records:
            context.cancel.raise_if_cancelled()
            try:
                stored = find_probability(path)
                merged = with_cell_settings(stored.settings, settings)
                result = resegment(stored, merged, path.parent, reporting(context))
            except UserError as error:
                failures.append(RunFailure(path, error.problem, error.remedy))
                continue
            context.tell(Resegmented(path, result.files.record, result.n_cells))
        return failures

    return work


def with_cell_settings(of_run: RunSettings, chosen: RunSettings) -> RunSettings:
    """The settings of a run with everything after the network replaced."""
    return of_run.model_copy(
        update={
            "threshold": chosen.threshold,
            "instances": chosen.instances,
            "statistics": chosen.statistics,
            "output": chosen.output,
        }
    )
