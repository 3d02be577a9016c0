"""The run record: put together at the end of a run, and turned into settings again."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from cellseg_app import __version__
from cellseg_app.core.settings import RunSettings
from cellseg_app.core.volume import ShapeZYX
from cellseg_app.inference.session import NetworkSession
from cellseg_app.io.naming import ResultNames
from cellseg_app.io.run_record import (
    RecordedChoices,
    RecordedFiles,
    RecordedInput,
    RecordedNetwork,
    RunRecord,
)
from cellseg_app.pipeline.cells_stage import FoundCells
from cellseg_app.pipeline.regions import RunRegion

_DECIDING: Final = ("torch", "monai", "numpy", "scipy", "scikit-image", "tifffile", "openvino")


def versions() -> dict[str, str]:
    """Versions of this program, Python and the libraries that decide a result."""
    found = {"cellseg": __version__, "python": platform.python_version()}
    for package in _DECIDING:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def network_of(session: NetworkSession) -> RecordedNetwork:
    """The network as the record describes it."""
    card, loaded = session.card, session.loaded
    return RecordedNetwork(
        name=card.architecture,
        title=card.title,
        weights=str(loaded.path),
        weights_sha256=loaded.sha256,
        options=dict(card.options),
        citation=card.citation,
        licence=card.licence,
    )


def choices_of(
    session: NetworkSession,
    spacing_um_zyx: tuple[float, ...] | None,
    region: RunRegion | None,
    refine_zyx: ShapeZYX,
) -> RecordedChoices:
    """What the network's part used where the settings said auto."""
    lattice, source = session.lattice, session.volume_shape_zyx
    diameter_px = lattice.diameter_px
    lateral_um = None if spacing_um_zyx is None else (spacing_um_zyx[1] * spacing_um_zyx[2]) ** 0.5
    z, y, x = (new / old for new, old in zip(lattice.shape_zyx, source, strict=True))
    return RecordedChoices(
        device=session.placement.device,
        precision=session.precision,
        runtime=session.runtime,
        batch=session.placement.batch,
        window_zyx=session.grid.window_zyx,
        overlap=session.overlap,
        scale_zyx=None if lattice.shape_zyx == source else (z, y, x),
        diameter_px=diameter_px,
        diameter_um=None if diameter_px is None or lateral_um is None else diameter_px * lateral_um,
        region=None if region is None else region.recorded(),
        refine_zyx=refine_zyx,
    )


def with_cells(choices: RecordedChoices, cells: list[FoundCells]) -> RecordedChoices:
    """The choices, completed by what telling the cells apart used."""
    first = cells[0]
    return choices.model_copy(
        update={
            "threshold": first.threshold,
            "foreground_class": first.class_index if len(cells) == 1 else "all",
            "instance_method": first.method,
            "instance_options": dict(first.method_options),
        }
    )


@dataclass(frozen=True, slots=True)
class Finished:
    """What the record adds once everything is written."""

    started: datetime
    names: ResultNames
    probability_path: Path | None
    cells: list[FoundCells]
    seconds: dict[str, float]
    notes: tuple[str, ...]


def complete_record(
    finished: Finished,
    *,
    settings: RunSettings,
    recorded_input: RecordedInput,
    network: RecordedNetwork,
    choices: RecordedChoices,
    estimate: dict[str, Any],
) -> RunRecord:
    """Return the record of a run that has ended."""
    cells = finished.cells
    notes = (*finished.notes, *(note for found in cells for note in found.notes))
    return RunRecord(
        versions=versions(),
        platform=platform.platform(),
        started=finished.started,
        finished=datetime.now(timezone.utc).astimezone(),
        settings=settings,
        input=recorded_input,
        network=network,
        used=with_cells(choices, cells),
        n_cells=sum(found.n_cells for found in cells),
        summary=dict(cells[0].summary),
        seconds={stage: round(s, 3) for stage, s in finished.seconds.items()},
        estimate=estimate,
        notes=notes,
        files=_relative_files(finished),
    )


def _relative_files(finished: Finished) -> RecordedFiles:
    folder = finished.names.record.parent

    def relative(path: Path | None) -> str | None:
        if path is None or not path.is_relative_to(folder):
            return None if path is None else path.resolve().as_posix()
        return path.relative_to(folder).as_posix()

    first, *others = finished.cells
    return RecordedFiles(
        probability=relative(finished.probability_path),
        labels=relative(first.labels_path),
        table=relative(first.table_path),
        more=tuple(
            name
            for found in others
            for name in (relative(found.labels_path), relative(found.table_path))
            if name is not None
        ),
    )


def settings_to_repeat(record: RunRecord) -> RunSettings:
    """Return settings that give the record's result again: every automatic choice is fixed.

    The device stays as it was asked for, since another machine may not have it.
    """
    used, values = record.used, record.settings.model_dump()
    values["inference"].update(precision=used.precision)
    if used.runtime is not None:
        values["inference"].update(runtime=used.runtime)
    if used.batch:
        values["inference"].update(batch=used.batch)
    if values["size"]["diameter"] == "auto":
        values["size"].update(diameter=used.diameter_px, diameter_unit="px")
    if values["data"]["voxel_size_um_zyx"] is None:
        values["data"].update(voxel_size_um_zyx=record.input.spacing_um_zyx)
    if used.foreground_class is not None:
        values["threshold"].update(class_choice=used.foreground_class)
    if used.instance_method is not None:
        options = {k: v for k, v in used.instance_options.items() if k in values["instances"]}
        values["instances"].update(method=used.instance_method, **options)
    if used.instance_method != "voronoi-otsu" or values["threshold"]["threshold"] is not None:
        values["threshold"].update(threshold=used.threshold)
    return RunSettings.model_validate(values)
