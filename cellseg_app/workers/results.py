"""Results of a run, opened for the window without reading their voxels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cellseg_app.core.cell_columns import CellColumns
from cellseg_app.core.errors import UserError
from cellseg_app.core.settings import DataSettings
from cellseg_app.core.volume import LazyArray, SpacingZYX
from cellseg_app.io.open import describe, open_volume
from cellseg_app.io.run_record import RunRecord, read_record
from cellseg_app.io.table import open_table
from cellseg_app.workers.files import CoarserLevel, coarser_levels
from cellseg_app.workers.jobs import JobContext, Work
from cellseg_app.workers.live import TunableMap


@dataclass(frozen=True, slots=True, eq=False)
class LoadedResult:
    """A run's files.

    Attributes
    ----------
    labels
        (Z, Y, X); None if the run told no cells apart.
    probability
        (C, Z, Y, X); None if the run did not save it, or it is gone.
    table
        One row per cell; None if nothing was measured.
    map
        The probability with what tuning needs; None where there is no probability.
    coarser_labels, coarser_probability, coarser_image
        The same at lower resolutions, finest first, where the files have them.
    """

    record_path: Path
    record: RunRecord
    labels: LazyArray | None
    probability: LazyArray | None
    table: CellColumns | None
    spacing_um_zyx: SpacingZYX | None
    map: TunableMap | None
    coarser_labels: tuple[CoarserLevel, ...] = ()
    coarser_probability: tuple[CoarserLevel, ...] = ()
    coarser_image: tuple[CoarserLevel, ...] = ()

    @property
    def n_classes(self) -> int:
        """Number of classes of the probability map."""
        return 1 if self.probability is None else self.probability.shape[0]

    @property
    def foreground_class(self) -> int:
        """The class the labels were made from."""
        used = self.record.used.foreground_class
        return used if isinstance(used, int) else 0


def load_result(record_path: Path) -> LoadedResult:
    """Open the files of a record; those that are gone are None.

    Raises
    ------
    InputError
        The record cannot be read, or a file of it is damaged.
    """
    from cellseg_app.pipeline.image_files import open_probability

    record = read_record(record_path)
    folder, files = record_path.parent, record.files
    labels = probability = table = None
    coarser_labels: list[CoarserLevel] = []
    coarser_probability: list[CoarserLevel] = []
    spacing = record.input.spacing_um_zyx
    if files.labels and (folder / files.labels).exists():
        volume = open_volume(folder / files.labels, allow_2d=True)
        labels, spacing = volume.data, volume.spacing_um_zyx
        coarser_labels = _coarser(
            folder / files.labels,
            labels,
            lambda path, level: open_volume(path, DataSettings(level=level), allow_2d=True).data,
        )
    if files.probability and (folder / files.probability).exists():
        probability, spacing = open_probability(folder / files.probability)
        coarser_probability = _coarser(
            folder / files.probability,
            probability,
            lambda path, level: open_probability(path, level=level)[0],
        )
    if files.table and (folder / files.table).exists():
        table = open_table(folder / files.table)
    tunable = None
    if probability is not None:
        tunable = _tunable(record_path, record, probability, spacing)
    return LoadedResult(
        record_path,
        record,
        labels,
        probability,
        table,
        spacing,
        tunable,
        tuple(coarser_labels),
        tuple(coarser_probability),
        _coarser_image(record, tunable),
    )


def _coarser(
    path: Path, finest: LazyArray, open_level: Callable[[Path, int], LazyArray]
) -> list[CoarserLevel]:
    levels = range(1, describe(path, allow_2d=True).levels)
    return coarser_levels(finest, levels, lambda level: open_level(path, level))


def _coarser_image(record: RunRecord, tunable: TunableMap | None) -> tuple[CoarserLevel, ...]:
    source, settings = Path(record.input.path), record.settings.data
    if tunable is None or tunable.image is None:
        return ()
    if tuple(tunable.image.shape) != record.input.shape_zyx:
        # Seen on the lattice of the results, which the file's levels do not fit.
        return ()
    levels = range(settings.level + 1, describe(source, settings).levels)
    found = coarser_levels(
        tunable.image,
        levels,
        lambda level: open_volume(source, settings.model_copy(update={"level": level})).data,
    )
    return tuple(found)


def _tunable(
    record_path: Path, record: RunRecord, probability: LazyArray, spacing: SpacingZYX | None
) -> TunableMap:
    from cellseg_app.pipeline.resegment import find_probability

    used = record.used.foreground_class
    return TunableMap(
        probability,
        _image(record, probability),
        spacing,
        find_probability(record_path).defaults,
        foreground_class=used if isinstance(used, int) else 0,
    )


def _image(record: RunRecord, probability: LazyArray) -> LazyArray | None:
    """The volume on the lattice of its map; None if it cannot be opened any more."""
    from cellseg_app.inference.resample import ResampledArray

    try:
        data = open_volume(Path(record.input.path), record.settings.data).data
    except UserError:
        return None
    z, y, x = probability.shape[-3:]
    return data if tuple(data.shape) == (z, y, x) else ResampledArray(data, (z, y, x))


def loading_result(record_path: Path) -> Work:
    """Work that gives a `LoadedResult`."""
    return lambda _context: load_result(record_path)


def loading_results(record_paths: list[Path]) -> Work:
    """Work that gives a list of `LoadedResult`, for results side by side."""

    def work(context: JobContext) -> list[LoadedResult]:
        loaded = []
        for path in record_paths:
            context.cancel.raise_if_cancelled()
            loaded.append(load_result(path))
        return loaded

    return work
