"""The run record: a JSON file beside the results with all that is needed to make them again."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cellseg_app.atomic import write_text_atomic
from cellseg_app.core.edits import MOST_EDITS, Edit
from cellseg_app.core.errors import InputError
from cellseg_app.core.settings import RunSettings

SCHEMA_VERSION = 1


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class RecordedInput(_Part):
    """The volume as it was read.

    Attributes
    ----------
    path
        Absolute, at the time of the run.
    sha256
        Of everything, see `hashing.file_sha256`; empty if it was not taken.
    sampled_sha256
        In its place for very large inputs: of names, sizes, metadata and samples, see
        `hashing.sampled_sha256`.
    """

    path: str
    sha256: str = ""
    sampled_sha256: str = ""
    kind: str = ""
    shape_zyx: tuple[int, int, int]
    dtype: str
    spacing_um_zyx: tuple[float, float, float] | None = None


class RecordedNetwork(_Part):
    """The network and where its weights came from, as its card says."""

    name: str
    title: str = ""
    weights: str = ""
    weights_sha256: str
    options: dict[str, Any] = {}
    citation: str = ""
    licence: str = ""


class RecordedRegion(_Part):
    """The part of the volume that was searched; the rest is 0 in every image.

    Attributes
    ----------
    box_zyx
        First voxel and the one after the last, along each axis of the input.
    shape_zyx
        Of the input.
    n_voxels
        How many voxels of the input were searched.
    mask, mask_sha256
        Path and `hashing.file_sha256` of the mask, if one was given.
    without_surroundings
        Whether the empty surroundings were found and left out.
    """

    box_zyx: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    shape_zyx: tuple[int, int, int]
    n_voxels: int
    mask: str | None = None
    mask_sha256: str = ""
    without_surroundings: bool = False


class RecordedChoices(_Part):
    """What was used where the settings said "auto" or left it to the card.

    Attributes
    ----------
    runtime
        What computed the network: torch or openvino; None in records of older versions.
    batch
        Number of windows that ran together at the start.
    foreground_class
        Index of the class, or "all".
    scale_zyx
        Factors by which the volume was resized for the network; None if it was not.
    diameter_um, diameter_px
        Cell diameter that was given or estimated.
    instance_method, instance_options
        Method and all its options.
    region
        What was searched; None if everything was.
    refine_zyx
        Into how many parts cell peaks divides the map's voxels along each axis. In runs of older
        versions it divided none.
    """

    device: str
    precision: str
    runtime: str | None = None
    batch: int | None = None
    window_zyx: tuple[int, int, int] | None = None
    overlap: float | None = None
    threshold: float | None = None
    foreground_class: int | Literal["all"] | None = None
    scale_zyx: tuple[float, float, float] | None = None
    diameter_um: float | None = None
    diameter_px: float | None = None
    instance_method: str | None = None
    instance_options: dict[str, Any] = {}
    region: RecordedRegion | None = None
    refine_zyx: tuple[int, int, int] = (1, 1, 1)


class RecordedFiles(_Part):
    """Names of the files written, relative to the record's folder.

    Attributes
    ----------
    more
        Labels and tables of further classes, where all classes were asked for.
    """

    probability: str | None = None
    labels: str | None = None
    table: str | None = None
    more: tuple[str, ...] = ()


class RecordedCorrections(_Part):
    """Corrections by hand, and what they began from.

    Attributes
    ----------
    edits
        In order; replayed on the labels they began from, they give the labels of this record.
    of_record, of_labels
        Names of the record and the labels they began from.
    labels_sha256, labels_sampled_sha256
        What these labels held, as for `RecordedInput`.
    n_cells_before
        Number of cells they began from.
    earlier
        Corrections that had been made before, if those labels were corrected ones themselves.
    """

    edits: tuple[Edit, ...] = Field(max_length=MOST_EDITS)
    of_record: str
    of_labels: str
    labels_sha256: str = ""
    labels_sampled_sha256: str = ""
    n_cells_before: int = Field(ge=0)
    earlier: RecordedCorrections | None = None

    @property
    def all_edits(self) -> tuple[Edit, ...]:
        """Those of earlier corrections too."""
        before = () if self.earlier is None else self.earlier.all_edits
        return (*before, *self.edits)

    @property
    def n_cells_found(self) -> int:
        """Number of cells before anything was corrected."""
        return self.n_cells_before if self.earlier is None else self.earlier.n_cells_found


class RunRecord(_Part):
    """Everything about one run.

    Attributes
    ----------
    versions
        Of this program ("cellseg"), Python and the libraries that decide the result.
    seconds
        Time per stage.
    estimate
        What was estimated before the run.
    summary
        The per-image measurements.
    corrections
        What was corrected by hand; None for the cells as they were found.
    """

    schema_version: int = SCHEMA_VERSION
    versions: dict[str, str]
    platform: str = ""
    started: datetime
    finished: datetime | None = None
    settings: RunSettings
    input: RecordedInput
    network: RecordedNetwork
    used: RecordedChoices
    n_cells: int | None = Field(default=None, ge=0)
    summary: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    estimate: dict[str, Any] = {}
    notes: tuple[str, ...] = ()
    files: RecordedFiles = RecordedFiles()
    corrections: RecordedCorrections | None = None


def write_record(path: Path | str, record: RunRecord) -> Path:
    """Write a record as indented JSON.

    Raises
    ------
    OutputError
        If the place cannot be written.
    """
    write_text_atomic(path, record.model_dump_json(indent=2) + "\n")
    return Path(path)


def read_record(path: Path | str) -> RunRecord:
    """Read a record.

    Raises
    ------
    InputError
        If it is missing, no record, of a newer program, or has values that are not allowed.
    """
    content = read_json(
        Path(path),
        "The record",
        "It is not a run record: it is no JSON.",
        "Give the .json beside a result.",
    )
    content = content if isinstance(content, dict) else {}
    version = content.get("schema_version")
    if not isinstance(version, int) or "settings" not in content:
        raise InputError("It is not a run record.", "Give the .json beside a result.", path=path)
    if version > SCHEMA_VERSION:
        raise InputError(
            f"It was written by a newer version of this program (format {version}).",
            "Update the program.",
            path=path,
        )
    try:
        return RunRecord.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"The record has a value that is not allowed: {where}: {first['msg']}.",
            "Use the record as the program wrote it, or correct this value.",
            path=path,
        ) from error


def read_json(path: Path, called: str, problem: str, remedy: str) -> Any:  # noqa: ANN401
    """What a JSON file holds.

    Parameters
    ----------
    path, called
        The file, and what it is called if it cannot be read.
    problem, remedy
        What to say of a file that is no JSON.

    Raises
    ------
    InputError
        It cannot be read, or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = "is not there" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise InputError(f"{called} {reason}.", "Check the name.", path=path) from error
    except ValueError as error:
        raise InputError(problem, remedy, path=path) from error
