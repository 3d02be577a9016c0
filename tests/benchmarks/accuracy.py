"""How well the bundled networks do on volumes nobody trained or tuned them on.

    python tests/benchmarks/accuracy.py ../shared/data [--networks SegResNet WNet] [--out FILE.csv]
    python tests/benchmarks/accuracy.py ../shared/data --overlays FOLDER [--counts]
    python tests/benchmarks/accuracy.py ../shared/data --robustness

One default setting per network, only the cell diameter and the voxel size given. Beside it on the
raw image: Voronoi-Otsu as it comes, and Voronoi-Otsu and watershed with the parameters of a grid
that do best on that very volume. Volumes: those with the role *judge*, the embryo kept out of
training, and simulated ones of a seed nobody trained on (each group makes one line, the mean).
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import itertools
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cellseg_app.analysis.accuracy import centroids, compare_labels, detection_scores
from cellseg_app.analysis.instances import segment_instances
from cellseg_app.cli import main as cellseg
from cellseg_app.core.settings import InstanceSettings
from cellseg_app.inference.catalog import list_weights
from tests.benchmarks.judged_volumes import (
    Judge,
    Look,
    held_out_embryo,
    held_out_simulations,
    read,
    real_judges,
    shallow,
    true_points,
)

Labels = npt.NDArray[np.integer[Any]]
Row = dict[str, Any]
MINIMUM_VOXELS = 50
COLUMNS = ("count", "detection_f1", "f1@0.5", "f1@0.7", "ap@0.5", "dice")


def bundled_networks() -> list[str]:
    """Names of the weights that ship."""
    return [entry.name for entry in list_weights() if entry.origin == "bundled"]


def quietly(command: Sequence[str]) -> None:
    """Run a `cellseg` command; what it says is shown only if it fails."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = cellseg(command)
    if code != 0:
        raise RuntimeError(f"cellseg {' '.join(command)} failed:\n{said.getvalue()}")


def run_network(image: Path, judge: Judge | Look, network: str, out: Path) -> Labels:
    """Labels of `cellseg run` with the network's defaults; the map lies in `out` too."""
    command = ["run", str(image), "-o", str(out), "--weights", network]
    command += ["--diameter", f"{judge.diameter}um", "--no-stats", "--voxel-size"]
    quietly([*command, *(str(v) for v in judge.voxel_size)])
    return read(next(out.glob("Instance_seg*.tif")))


def scaled(image: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """The image from 0 to 1."""
    low, high = np.quantile(image, [0.01, 0.998])
    return np.clip((image - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)


def classical(image: npt.NDArray[Any]) -> Iterator[tuple[str, Labels]]:
    """Voronoi-Otsu and watershed on the raw image with every parameter of a grid."""
    seen = scaled(image)
    for spot, outline in itertools.product((0.65, 1, 2, 3, 4, 6, 8), (0.65, 1, 2)):
        options = InstanceSettings(spot_sigma=spot, outline_sigma=outline, min_size_voxels=50)
        yield "voronoi-otsu", _segment(seen, "voronoi-otsu", options, None)
    for threshold, seed in itertools.product((0.1, 0.2, 0.3, 0.4, 0.5), (0.3, 0.5, 0.7, 0.9)):
        if seed > threshold:
            options = InstanceSettings(seed_threshold=seed, min_seed_voxels=3, min_size_voxels=50)
            yield "watershed", _segment(seen, "watershed", options, threshold)


def _segment(
    seen: npt.NDArray[np.float32], method: str, options: InstanceSettings, threshold: float | None
) -> Labels:
    labels = np.zeros(seen.shape, np.uint32)
    segment_instances(seen, labels, method=method, threshold=threshold, options=options)
    return labels


def score(found: Labels, judge: Judge) -> Row:
    """F1 at IoU 0.5 and 0.7, AP, Dice, and detection F1."""
    sizes = np.bincount(found.ravel())
    found = np.where(sizes[found] >= MINIMUM_VOXELS, found, 0)
    row: Row = {"count": float(len(np.unique(found)) - 1)}
    # A centre counts within half a diameter; in µm where known, else in lateral voxels.
    match = detection_scores(
        shallow(centroids(found), judge),
        true_points(judge),
        tolerance=judge.diameter / 2,
        spacing_um_zyx=judge.voxel_size,
    )
    row["detection_f1"] = match.f1
    if not judge.detection_only and judge.labels is not None:
        result = compare_labels(found, read(judge.labels), min_voxels=MINIMUM_VOXELS)
        row |= {k: float(v) for k, v in result.as_dict().items() if k in COLUMNS}
    return row


def judge_volume(judge: Judge, networks: Sequence[str], *, with_classical: bool) -> Iterator[Row]:
    """One row per network and classical method."""
    head = {"volume": judge.name, "group": judge.group}
    for network in networks:
        with tempfile.TemporaryDirectory() as out:
            labels = run_network(judge.image, judge, network, Path(out))
        yield {**head, "method": Path(network).stem, **score(labels, judge)}
    if not with_classical:
        return
    image = read(judge.image)
    as_it_comes = _segment(scaled(image), "voronoi-otsu", InstanceSettings(), None)
    yield {**head, "method": "voronoi-otsu, untuned", **score(as_it_comes, judge)}
    best: dict[str, Row] = {}
    key = "detection_f1" if judge.detection_only else "f1@0.5"
    for method, labels in classical(image):
        row = score(labels, judge)
        if method not in best or row[key] > best[method][key]:
            best[method] = row
    for method, row in best.items():
        yield {**head, "method": f"{method}, tuned here", **row}


def judge_groups(
    judges: Sequence[Judge], networks: Sequence[str], *, with_classical: bool
) -> Iterator[Row]:
    """Print a line per volume, or the mean of a group; yield every row."""
    for _, members in itertools.groupby(judges, key=lambda j: j.group or j.name):
        rows = [
            row
            for judge in members
            for row in judge_volume(judge, networks, with_classical=with_classical)
        ]
        for method in dict.fromkeys(row["method"] for row in rows):
            _print_mean([row for row in rows if row["method"] == method])
        yield from rows


def _print_mean(rows: Sequence[Row]) -> None:
    first = rows[0]
    title = f"{first['group']} (mean of {len(rows)})" if first["group"] else first["volume"]
    known = [[row[c] for row in rows if c in row] for c in COLUMNS]
    cells = [f"{np.mean(values):.3f}" if values else "-" for values in known]
    print(f"{title:<36} {first['method']:<26}", *(f"{c:>8}" for c in cells), flush=True)


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write the table as CSV; `cellseg train bundle --accuracy` reads it."""
    with path.open("w", newline="") as file:
        names = ["volume", "group", "method", *COLUMNS]
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Judge every volume and print, and if asked write, the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--networks", nargs="+", help="weights; all bundled ones without")
    parser.add_argument("--volumes", nargs="+", help="only volumes whose name begins so")
    parser.add_argument("--no-classical", action="store_true", help="networks only")
    parser.add_argument("--out", type=Path, help="CSV file")
    parser.add_argument("--overlays", type=Path, metavar="FOLDER", help="pictures instead")
    parser.add_argument("--counts", action="store_true", help="with --overlays: marked crops too")
    parser.add_argument("--robustness", action="store_true", help="the second table instead")
    arguments = parser.parse_args()
    networks = arguments.networks or bundled_networks()
    begins = tuple(arguments.volumes or ("",))
    if arguments.overlays:
        # Drawing is needed by few, so that it is loaded for them alone.
        from tests.benchmarks.overlays import draw_all

        drawn = arguments.overlays
        draw_all(arguments.data, networks, drawn, counts=arguments.counts, begins=begins)
        return
    if arguments.robustness:
        from tests.benchmarks.robustness import print_robustness

        sys.exit(0 if print_robustness(networks) else 1)
    with tempfile.TemporaryDirectory() as scratch:
        judges = real_judges(arguments.data) + held_out_embryo(arguments.data)
        judges += held_out_simulations(Path(scratch))
        wanted = [judge for judge in judges if judge.name.startswith(begins)]
        print(f"{'volume':<36} {'method':<26}", *(f"{c:>8.8}" for c in COLUMNS))
        classical_too = not arguments.no_classical
        rows = list(judge_groups(wanted, networks, with_classical=classical_too))
    if arguments.out:
        write_rows(arguments.out, rows)


if __name__ == "__main__":
    main()
