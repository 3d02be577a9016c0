"""Everything from the threshold on, again, from a stored probability map: no network runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cellseg_app.core.errors import InputError, UserError
from cellseg_app.core.results import RunFiles, RunResult
from cellseg_app.core.settings import RunSettings
from cellseg_app.core.volume import LazyArray, ShapeZYX
from cellseg_app.inference.resample import ResampledArray
from cellseg_app.io.hashing import ContentHash, content_hash, same_content
from cellseg_app.io.naming import ResultNames, free_result_names, remove_results, volume_name
from cellseg_app.io.open import open_volume
from cellseg_app.io.run_record import (
    RecordedChoices,
    RecordedInput,
    RecordedNetwork,
    RunRecord,
    read_record,
    write_record,
)
from cellseg_app.io.space import require_writable
from cellseg_app.pipeline.cells_stage import FoundCells, find_cells, scene_of
from cellseg_app.pipeline.choices import CellDefaults
from cellseg_app.pipeline.image_files import open_probability
from cellseg_app.pipeline.placing import place_results
from cellseg_app.pipeline.recording import Finished, complete_record
from cellseg_app.pipeline.regions import region_of_record
from cellseg_app.pipeline.reporting import Reporting
from cellseg_app.pipeline.workspace import Workspace, fingerprint

_RECORD_SUFFIX: Final = ".json"


@dataclass(frozen=True, slots=True)
class StoredProbability:
    """A probability map on disk and what is known about the run that made it.

    Attributes
    ----------
    path
        The map.
    record
        The run's record; None for a map without one.
    """

    path: Path
    record: RunRecord | None

    @property
    def settings(self) -> RunSettings:
        """The settings to start from."""
        return RunSettings() if self.record is None else self.record.settings

    @property
    def defaults(self) -> CellDefaults:
        """What holds where the settings leave it open: what the run used."""
        used = None if self.record is None else self.record.used
        if used is None:
            return CellDefaults()
        if used.instance_method in (None, "none"):
            return CellDefaults(used.threshold or 0.5, refine_zyx=used.refine_zyx)
        options = dict(used.instance_options)
        if options.pop("min_size_is_automatic", False):
            # It was found from the cells above one threshold; above another there are others.
            options.pop("min_size_voxels", None)
            # This follows from the settings, as long as they give no smallest cell.
            options.pop("min_uncut_voxels", None)
        threshold = 0.5 if used.threshold is None else used.threshold
        method = used.instance_method or ""
        return CellDefaults(threshold, method, options, used.refine_zyx)


def find_probability(record_or_probability: Path) -> StoredProbability:
    """Return the map that a record, or a map itself, stands for.

    Raises
    ------
    InputError
        The record names no map, or the map is gone.
    """
    given = record_or_probability
    if given.suffix.lower() != _RECORD_SUFFIX:
        beside = given.with_suffix(_RECORD_SUFFIX)
        return StoredProbability(given, read_record(beside) if beside.is_file() else None)
    record = read_record(given)
    if record.files.probability is None:
        raise InputError(
            "This run did not save its probability map.",
            "Run the volume again with the semantic map saved.",
            path=given,
        )
    path = given.parent / record.files.probability
    if not path.exists():
        raise InputError(
            f"The probability map {path.name} is gone.",
            "Put it back beside the record, or run the volume again.",
            path=given,
        )
    return StoredProbability(path, record)


def resegment(
    stored: StoredProbability, settings: RunSettings, output_folder: Path, report: Reporting
) -> RunResult:
    """Label and measure again; results get names of their own beside the old ones.

    Parameters
    ----------
    stored
        See `find_probability`.
    settings
        Only the parts after the network matter; start from `stored.settings`.
    output_folder
        Where results go.
    report
        Progress, cancelling, sentences.

    Raises
    ------
    UserError
        The map or the settings cannot be used.
    """
    require_writable(output_folder)
    started = datetime.now().astimezone()
    probability, spacing = open_probability(stored.path)
    z, y, x = probability.shape[1:]
    image, image_notes = image_of(stored.record, (z, y, x))
    region, region_notes = region_of_record(stored.record, (z, y, x))
    image_notes = (*image_notes, *region_notes)
    for note in image_notes:
        report.say(note)
    workspace = Workspace(
        output_folder, stored.path.name, fingerprint(str(stored.path.resolve()), str(started))
    )
    try:
        with report.stage("cells"):
            cells = find_cells(
                scene_of(probability, image, spacing, region=region),
                _with_known_class(stored, settings, image),
                stored.defaults,
                save=True,
                workspace=workspace,
                report=report,
            )
        names, cells = _placed(stored, settings, output_folder, started, cells)
    finally:
        workspace.remove()
    notes = (f"Re-segmented from {stored.path.name}; no network ran.", *image_notes)
    finished = Finished(started, names, stored.path, cells, report.seconds, notes)
    record = _record(stored, settings, finished, (z, y, x))
    write_record(names.record, record)
    return RunResult(
        name=names.stem,
        source=Path(record.input.path),
        shape_zyx=(z, y, x),
        spacing_um_zyx=spacing,
        n_cells=record.n_cells or 0,
        files=RunFiles(names.record, stored.path, cells[0].labels_path, cells[0].table_path),
        summary=dict(record.summary),
        seconds=dict(record.seconds),
    )


def _placed(
    stored: StoredProbability,
    settings: RunSettings,
    output_folder: Path,
    started: datetime,
    cells: list[FoundCells],
) -> tuple[ResultNames, list[FoundCells]]:
    names = free_result_names(
        output_folder,
        _original_name(stored),
        model="probability" if stored.record is None else stored.record.network.name,
        when=started,
        image_format=settings.output.format,
    )
    try:
        return names, place_results(names, None, cells)[1]
    except BaseException:
        remove_results(output_folder, names.stem)
        raise


def image_of(
    record: RunRecord | None, shape_zyx: ShapeZYX
) -> tuple[LazyArray | None, tuple[str, ...]]:
    """The image the map was made from, on the map's lattice, if it is still the same."""
    if record is None:
        return None, ("There is no run record beside the map: intensities are not measured.",)
    source = Path(record.input.path)
    try:
        volume = open_volume(source, record.settings.data)
        known = record.input
        if not same_content(source, ContentHash(known.sha256, known.sampled_sha256)):
            return None, (f"{source} has changed since the run: intensities are not measured.",)
    except (UserError, OSError):
        return None, (f"{source} cannot be opened: intensities are not measured.",)
    if volume.shape_zyx == shape_zyx:
        return volume.data, ()
    return ResampledArray(volume.data, shape_zyx), ()


def _with_known_class(
    stored: StoredProbability, settings: RunSettings, image: LazyArray | None
) -> RunSettings:
    # Without the image the foreground class cannot be told anew: keep the run's.
    known = None if stored.record is None else stored.record.used.foreground_class
    if image is not None or settings.threshold.class_choice != "auto" or known is None:
        return settings
    threshold = settings.threshold.model_copy(update={"class_choice": known})
    return settings.model_copy(update={"threshold": threshold})


def _original_name(stored: StoredProbability) -> str:
    source = stored.path if stored.record is None else Path(stored.record.input.path)
    return volume_name(source)


def _record(
    stored: StoredProbability, settings: RunSettings, finished: Finished, shape_zyx: ShapeZYX
) -> RunRecord:
    old = stored.record
    if old is not None:
        return complete_record(
            finished,
            settings=settings,
            recorded_input=old.input,
            network=old.network,
            choices=old.used,
            estimate={},
        )
    of_map = content_hash(stored.path)
    return complete_record(
        finished,
        settings=settings,
        recorded_input=RecordedInput(
            path=str(stored.path.resolve()),
            sha256=of_map.sha256,
            sampled_sha256=of_map.sampled_sha256,
            shape_zyx=shape_zyx,
            dtype="float32",
        ),
        network=RecordedNetwork(name="none", weights_sha256=""),
        choices=RecordedChoices(device="none", precision="none"),
        estimate={},
    )
