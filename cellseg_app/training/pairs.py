"""Finding the images and labels that a user has, and reading labels as people draw them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import cc3d
import fastremap
import numpy as np
import numpy.typing as npt

from cellseg_app.core.errors import InputError
from cellseg_app.training.evaluation import drop_small
from cellseg_app.training.prepare import MINIMUM_OBJECT_VOXELS, Pair, find_pairs

_LOGGER = logging.getLogger(__name__)
_SUFFIXES: Final = (".tif", ".tiff")
_ROLE: Final = re.compile(r"[_-](images?|img|raw|labels?|masks?|seg)$", re.IGNORECASE)


def find_user_pairs(
    folders: Iterable[Path], images: Path | None = None, labels: Path | None = None
) -> list[Pair]:
    """Return the pairs in some folders, in the layouts people use.

    Parameters
    ----------
    folders
        Each holds `NAME_image.tif` beside `NAME_labels.tif`, or folders `images` and `labels`.
    images, labels
        Two folders whose files are called alike, but for endings such as `_image` or `_mask`.

    Raises
    ------
    InputError
        A folder holds no pairs, or two label files are meant for one image.
    """
    pairs = [pair for folder in folders for pair in _pairs_in(folder)]
    if images is not None and labels is not None:
        pairs += _matched(images, labels)
    names = [pair.name for pair in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"Two images are called {twice}.", "Rename one of them and its labels.")
    return pairs


def clean_labels(labels: npt.NDArray[Any], path: Path) -> npt.NDArray[np.int64]:
    """Return labels as consecutive objects from 1, without those of a few voxels.

    A mask whose cells all bear one number is divided into its connected parts.

    Raises
    ------
    InputError
        The volume holds fractions: it is an image or a probability.
    """
    if labels.dtype.kind == "f" and not np.array_equal(labels, np.rint(labels)):
        raise InputError(
            "The labels hold fractions, so this is an image or a probability map.",
            "Give a volume with one whole number per cell and 0 elsewhere.",
            path=path,
        )
    whole = np.where(labels > 0, labels, 0).astype(np.uint64)
    numbered, names = fastremap.renumber(whole, preserve_zero=True, in_place=True)
    n_names = len([name for name in names if name])
    if n_names == 1:
        parts, n_parts = cc3d.connected_components(
            numbered > 0, connectivity=6, return_N=True, binary_image=True
        )
        if n_parts > 1:
            _LOGGER.warning("%s: all cells bear one number; %d parts are cells.", path, n_parts)
            numbered = parts
    return drop_small(numbered.astype(np.int64), MINIMUM_OBJECT_VOXELS)


def _pairs_in(folder: Path) -> list[Pair]:
    if not folder.is_dir():
        raise InputError("There is no such folder.", "Check its name.", path=folder)
    if (folder / "images").is_dir() and (folder / "labels").is_dir():
        return _matched(folder / "images", folder / "labels")
    try:
        return find_pairs(folder)
    except InputError as error:
        raise InputError(
            error.problem, f"{error.remedy} Or make folders images and labels in it.", path=folder
        ) from error


def _matched(images: Path, labels: Path) -> list[Pair]:
    truths: dict[str, Path] = {}
    for path in _volumes(labels):
        other = truths.setdefault(_stem(path), path)
        if other != path:
            raise InputError(
                f"{other.name} and {path.name} are labels of the same image.",
                "Take one of them away.",
                path=labels,
            )
    found = _volumes(images)
    pairs = [Pair(path, truths[_stem(path)]) for path in found if _stem(path) in truths]
    lonely = [path.name for path in found if _stem(path) not in truths]
    if not pairs:
        raise InputError(
            f"No file in {labels} is called like one of these images.",
            "Give labels and images the same names.",
            path=images,
        )
    if lonely:
        _LOGGER.warning("%s: images without labels are left out: %s.", images, ", ".join(lonely))
    return pairs


def _volumes(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError("There is no such folder.", "Check its name.", path=folder)
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES)


def _stem(path: Path) -> str:
    return _ROLE.sub("", path.name.split(".tif")[0].removesuffix(".ome")).lower()
