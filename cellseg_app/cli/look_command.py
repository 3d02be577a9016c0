"""`cellseg info`, `compare`, `methods` and `devices`: they look and change nothing."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cellseg_app.analysis.accuracy import Match, centroids, compare_labels, detection_scores
from cellseg_app.cli.terminal import display_for
from cellseg_app.core.blocks import whole
from cellseg_app.core.errors import InputError
from cellseg_app.core.settings import DataSettings
from cellseg_app.core.sources import as_source, shown
from cellseg_app.io.methods_text import methods_paragraph
from cellseg_app.io.open import describe, open_volume
from cellseg_app.io.points_csv import read_points_csv
from cellseg_app.io.run_record import read_record

_DEFAULT_TOLERANCE_VOXELS: Final = 5.0


def add_look_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `info`, `compare`, `methods` and `devices`."""
    info = commands.add_parser("info", help="axes, voxel size and type of a file")
    info.add_argument("files", nargs="+", type=as_source, metavar="FILE_OR_ADDRESS")
    info.add_argument("--json", action="store_true")
    info.set_defaults(func=_info)

    compare = commands.add_parser("compare", help="score labels against ground truth")
    compare.add_argument("prediction", type=Path, help="labels")
    compare.add_argument("truth", type=Path, help="labels, or a CSV of z,y,x points in voxels")
    compare.add_argument("--min-voxels", type=int, default=50, help="count nothing smaller")
    compare.add_argument(
        "--tolerance",
        type=float,
        default=_DEFAULT_TOLERANCE_VOXELS,
        help="points: greatest distance of a match, in voxels along Y and X",
    )
    compare.add_argument(
        "--voxel-size", nargs=3, type=float, metavar=("Z", "Y", "X"), help="points: in µm"
    )
    compare.add_argument("--json", action="store_true")
    compare.set_defaults(func=_compare)

    methods = commands.add_parser("methods", help="a methods paragraph for a paper")
    methods.add_argument("record", type=Path, help="run record (.json)")
    methods.set_defaults(func=_methods, json=False)

    devices = commands.add_parser("devices", help="what networks can run on here")
    devices.add_argument("--json", action="store_true")
    devices.set_defaults(func=_devices)


def _devices(arguments: argparse.Namespace) -> int:
    from cellseg_app.inference.devices import available_devices, engine_origin

    engine = engine_origin()
    with display_for(as_json=arguments.json) as display:
        text = f"torch {engine.version} in {engine.folder}"
        display.event("engine", text, torch=engine.version, folder=str(engine.folder))
        for device in available_devices():
            display.event("result", f"{device.name}: {device.title}", device=device.name)
    return 0


def _info(arguments: argparse.Namespace) -> int:
    with display_for(as_json=arguments.json) as display:
        for path in arguments.files:
            found = describe(path)
            size = found.spacing_um_zyx
            lines = [
                shown(path),
                f"  {found.kind}, axes {found.axes}, shape {found.shape}, {found.dtype}",
                "  voxel size unknown"
                if size is None
                else "  voxel size (Z Y X) " + " × ".join(f"{um:g}" for um in size) + " µm",
                f"  {found.n_channels} channels, {found.n_timepoints} time points, "
                f"{found.levels} resolution levels",
                *(f"  {note}" for note in found.notes),
                *([f"  cannot be run: {found.problem}"] if found.problem else []),
            ]
            display.event(
                "result",
                "\n".join(lines),
                file=shown(path),
                file_kind=found.kind,
                axes=found.axes,
                shape=found.shape,
                dtype=found.dtype,
                voxel_size_um_zyx=size,
                notes=found.notes,
                problem=found.problem,
            )
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    predicted, spacing = _labels(arguments.prediction)
    values: dict[str, float | int]
    if arguments.truth.suffix.lower() == ".csv":
        size = arguments.voxel_size or spacing
        lateral = 1.0 if size is None else (size[1] * size[2]) ** 0.5
        found = detection_scores(
            centroids(predicted),
            read_points_csv(arguments.truth),
            tolerance=arguments.tolerance * lateral,
            spacing_um_zyx=None if size is None else (size[0], size[1], size[2]),
        )
        values = _detection_values(found)
    else:
        truth, _ = _labels(arguments.truth)
        if truth.shape != predicted.shape:
            raise InputError(
                f"Its shape {truth.shape} differs from that of the prediction {predicted.shape}.",
                "Compare labels of the same volume.",
                path=arguments.truth,
            )
        values = compare_labels(predicted, truth, min_voxels=arguments.min_voxels).as_dict()
    with display_for(as_json=arguments.json) as display:
        text = "\n".join(f"{name:<16} {value:.4g}" for name, value in values.items())
        display.event("result", text, scores=values)
    return 0


def _detection_values(match: Match) -> dict[str, float | int]:
    return {
        "detection_f1": match.f1,
        "precision": match.precision,
        "recall": match.recall,
        "n_matched": match.n_matched,
        "n_found": match.n_found,
        "n_true": match.n_true,
        "mean_distance": match.quality,
    }


def _labels(path: Path) -> tuple[npt.NDArray[Any], tuple[float, float, float] | None]:
    volume = open_volume(path, DataSettings(), allow_2d=True)
    if volume.data.dtype.kind not in "iu":
        raise InputError(
            f"It holds {volume.data.dtype} values, not labels.",
            "Give a label image: whole numbers, one per cell.",
            path=path,
        )
    return np.asarray(volume.data[whole(volume.shape_zyx)]), volume.spacing_um_zyx


def _methods(arguments: argparse.Namespace) -> int:
    with display_for(as_json=False) as display:
        display.event("result", methods_paragraph(read_record(arguments.record)))
    return 0
