"""Names of results: who they belong to, which network, when, and never one that is taken."""

from __future__ import annotations

import re
import shutil
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from cellseg_app.atomic import output_error

LABELS_PREFIX = "Instance_seg"
_SUFFIXES = (
    ".ome.tiff",
    ".ome.tif",
    ".ome.btf",
    ".ome.zarr",
    ".zarr",
    ".tiff",
    ".tif",
    ".btf",
    ".tf2",
    ".tf8",
    ".lsm",
    ".stk",
)
_ILLEGAL = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_RESULT = re.compile(r"_\d{4}(_\d\d){5}_pred\d+(_corrected\d*)?\.(tif|zarr)$", re.ASCII)
_CORRECTED = re.compile(r"_corrected\d*$", re.ASCII)
# 255 bytes is what most file systems allow; the prefix, the suffixes and temporaries need room.
_LONGEST_STEM_BYTES = 200


@dataclass(frozen=True, slots=True)
class ResultNames:
    """Where the results of one run go; all are free when the names are handed out."""

    stem: str
    probability: Path
    labels: Path
    table: Path
    record: Path

    @property
    def all(self) -> tuple[Path, ...]:
        """Every path."""
        return self.probability, self.labels, self.table, self.record


def is_corrected_name(path: Path) -> bool:
    """Whether a record's name says that its cells were corrected by hand."""
    return _CORRECTED.search(path.stem) is not None


def volume_name(path: Path | str) -> str:
    """What results of a file or folder are named after: its name without image suffixes."""
    name = Path(path).name or Path(path).absolute().name
    lower = name.lower()
    for suffix in _SUFFIXES:
        if lower.endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


def result_stem(original: str, model: str, when: datetime, pred_id: int) -> str:
    """`{original}_{model}_{YYYY_MM_DD_HH_MM_SS}_pred{id}`, fit for every file system.

    Characters that Windows, macOS or Linux refuse become underscores, letters of all scripts
    stay, and a very long original is cut.
    """
    tail = f"_{clean_name(model)}_{when:%Y_%m_%d_%H_%M_%S}_pred{pred_id}"
    room = _LONGEST_STEM_BYTES - len(tail.encode())
    head = clean_name(original).encode()[:room].decode(errors="ignore")
    return f"{head}{tail}"


def clean_name(name: str) -> str:
    """The name with what file systems refuse replaced by underscores; never empty."""
    cleaned = _ILLEGAL.sub("_", unicodedata.normalize("NFC", name))
    cleaned = cleaned.encode(errors="replace").decode()
    return cleaned.strip(" .") or "volume"


def free_result_names(
    folder: Path | str,
    original: str,
    *,
    model: str,
    when: datetime,
    pred_id: int = 1,
    image_format: Literal["tif", "zarr"] = "tif",
) -> ResultNames:
    """Names for the results of one run, with the first id from `pred_id` on that is free.

    Parameters
    ----------
    folder
        Where results go; it need not exist yet.
    original
        Name of the volume.
    model, when, pred_id
        Parts of the name: network, start of the batch, number of the volume in it.
    image_format
        Suffix of the images.

    Raises
    ------
    OutputError
        If the folder cannot be looked into.
    """
    folder = Path(folder)
    taken = _names_in(folder)
    while True:
        stem = result_stem(original, model, when, pred_id)
        names = _names_if_free(folder, stem, image_format, taken)
        if names is not None:
            return names
        pred_id += 1


def corrected_names(
    folder: Path, stem: str, *, image_format: Literal["tif", "zarr"] = "tif"
) -> ResultNames:
    """Free names for a corrected result: `{stem}_corrected`, or with 2, 3 … behind it.

    Parameters
    ----------
    folder
        Where the results lie.
    stem
        Of the result that was corrected, itself perhaps a corrected one.
    image_format
        Suffix of the labels.

    Raises
    ------
    OutputError
        If the folder cannot be looked into.
    """
    base, taken, number = _CORRECTED.sub("", stem), _names_in(folder), 1
    while True:
        new = f"{base}_corrected{number if number > 1 else ''}"
        names = _names_if_free(folder, new, image_format, taken)
        if names is not None:
            return names
        number += 1


def _names_if_free(
    folder: Path, stem: str, image_format: Literal["tif", "zarr"], taken: Collection[str]
) -> ResultNames | None:
    """The files of a result, unless one of them is there already, whatever its case."""
    names = ResultNames(
        stem=stem,
        probability=folder / f"{stem}.{image_format}",
        labels=folder / f"{LABELS_PREFIX}_{stem}.{image_format}",
        table=folder / f"{stem}.csv",
        record=folder / f"{stem}.json",
    )
    parquet = names.table.with_suffix(".parquet")
    is_taken = any(path.name.casefold() in taken for path in (*names.all, parquet))
    return None if is_taken else names


def _names_in(folder: Path) -> set[str]:
    try:
        return {path.name.casefold() for path in folder.iterdir()}
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise output_error(folder, error) from error


def remove_results(folder: Path, stem: str) -> None:
    """Delete the files of a run that did not come to its record, of every class."""
    ours = re.compile(
        rf"({LABELS_PREFIX}_)?{re.escape(stem)}(_class\d+)?\.(tif|zarr|csv|parquet|json)", re.ASCII
    )
    for path in folder.iterdir():
        if not ours.fullmatch(path.name):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def free_path(path: Path | str) -> Path:
    """The path itself, or with _2, _3 … before the suffix if it is taken."""
    path = Path(path)
    candidate, n = path, 1
    while candidate.exists():
        n += 1
        candidate = path.with_name(f"{path.stem}_{n}{path.suffix}")
    return candidate


def is_result_name(path: Path | str) -> bool:
    """Whether a file is named as our own results are, and so is no input of a folder."""
    return _RESULT.search(Path(path).name) is not None
