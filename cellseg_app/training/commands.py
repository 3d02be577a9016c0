"""`cellseg train`: simulate volumes, train networks."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cellseg_app.core.progress import Progress, ProgressSink

DEFAULT_OPTIONS: dict[str, dict[str, Any]] = {
    "SegResNet": {"init_filters": 16, "vae": False, "dropout": 0.0},
    "WNet": {"channels": [16, 32, 64, 128], "dropout": 0.0, "rescale_input_to": None},
    "TRAILMAP_MS": {"f_maps": 16},
    "VNet": {"base_features": 8, "dropout": 0.1},
    # Attention among 4³ instead of 7³ neighbours costs a seventh of the time.
    "SwinUNetR": {
        "feature_size": 12,
        "window_size": 4,
        "dropout": 0.0,
        "attention_dropout": 0.0,
    },
}
OBJECT_DIAMETER_VOXELS = 11.0


def add_train_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `train` and its own commands; each sets `func`."""
    train = commands.add_parser("train", help="simulate volumes and train networks")
    kinds = train.add_subparsers(dest="kind", required=True, metavar="WHAT")
    _add_simulate(kinds.add_parser("simulate", help="write simulated volumes with labels"))
    supervised = kinds.add_parser("supervised", help="train a network on volumes with labels")
    supervised.add_argument(
        "--network", default="SegResNet", choices=[n for n in DEFAULT_OPTIONS if n != "WNet"]
    )
    _add_training(supervised)
    wnet = kinds.add_parser("wnet", help="train WNet; the labels are only used to judge it")
    wnet.set_defaults(network="WNet")
    _add_training(wnet)


def _add_simulate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the volumes")
    parser.add_argument("--count", type=int, default=10, help="number of volumes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument(
        "--preset",
        default="mixed",
        choices=["mixed", "tissue", "embryo", "culture", "two_photon", "empty"],
    )
    parser.add_argument(
        "--size",
        type=int,
        nargs=3,
        metavar=("Z", "Y", "X"),
        help="size in lateral voxels; the slices are fewer by the anisotropy",
    )
    for name, unit in (("diameter-um", "µm"), ("diameter-voxels", "lateral voxels")):
        parser.add_argument(
            f"--{name}", type=float, nargs=2, metavar=("LOW", "HIGH"), help=f"diameter in {unit}"
        )
    parser.add_argument("--anisotropy", type=float, nargs=2, metavar=("LOW", "HIGH"))
    parser.add_argument("--photons", type=float, nargs=2, metavar=("LOW", "HIGH"))
    parser.set_defaults(func=_simulate)


def _add_training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        action="append",
        required=True,
        metavar="DIR[:SHARE]",
        help="folder of NAME_image.tif and NAME_labels.tif, and how often to draw from it",
    )
    parser.add_argument(
        "--hold-out",
        action="append",
        default=[],
        metavar="PATTERN",
        help="volumes to judge by instead of learning from, such as 'Emb11*'",
    )
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the result")
    parser.add_argument("--name", help="what to call the weights")
    parser.add_argument("--start", type=Path, help="weights to start from")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=2, help="patches an update")
    parser.add_argument("--patch", type=int, default=64, help="edge of a patch in voxels")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--workers", type=int, default=1, help="processes that prepare samples")
    parser.add_argument(
        "--voxel-size",
        type=float,
        nargs=3,
        metavar=("Z", "Y", "X"),
        help="µm, for files that do not state theirs",
    )
    parser.set_defaults(func=_train)


def _simulate(arguments: argparse.Namespace) -> int:
    # Parsing a command line must not pay for the libraries of this command.
    from cellseg_app.training.simulator import SimulationSettings, simulate_to_folder

    given = {
        "preset": arguments.preset,
        "extent_voxels_zyx": arguments.size,
        "diameter_um": arguments.diameter_um,
        "diameter_voxels": arguments.diameter_voxels,
        "anisotropy": arguments.anisotropy,
        "photons": arguments.photons,
    }
    settings = SimulationSettings(**{k: v for k, v in given.items() if v is not None})
    with _bars() as sink:
        simulate_to_folder(
            settings,
            arguments.out,
            count=arguments.count,
            seed=arguments.seed,
            workers=arguments.workers,
            progress=sink,
        )
    return 0


def _train(arguments: argparse.Namespace) -> int:
    from cellseg_app.training.session import TrainingRequest, run_training

    request = TrainingRequest(
        network=arguments.network,
        options=DEFAULT_OPTIONS[arguments.network],
        data=tuple(_folder_and_share(text) for text in arguments.data),
        hold_out=tuple(arguments.hold_out),
        out=arguments.out,
        name=arguments.name or arguments.network,
        start=arguments.start,
        steps=arguments.steps,
        batch=arguments.batch,
        patch_voxels=arguments.patch,
        learning_rate=arguments.learning_rate,
        seed=arguments.seed,
        threads=arguments.threads,
        workers=arguments.workers,
        voxel_size_um_zyx=arguments.voxel_size,
        object_diameter_voxels=OBJECT_DIAMETER_VOXELS,
    )
    with _bars() as sink:
        run_training(request, progress=sink)
    return 0


def _folder_and_share(text: str) -> tuple[Path, float]:
    folder, colon, share = text.rpartition(":")
    if colon and share.replace(".", "", 1).isdigit():
        return Path(folder), float(share)
    return Path(text), 1.0


@contextlib.contextmanager
def _bars() -> Iterator[ProgressSink]:
    """A bar for each stage on the error stream; plain silence where nobody watches."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[message]}"),
    )
    with Bars(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, Any] = {}

        def show(report: Progress) -> None:
            if report.stage not in tasks:
                tasks[report.stage] = bars.add_task(report.stage, total=report.total, message="")
            bars.update(tasks[report.stage], completed=report.done, message=report.message)

        yield show
