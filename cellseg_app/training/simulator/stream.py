"""Many simulated volumes: as a stream, or as a folder of image and label files."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, as_completed
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from cellseg_app.atomic import atomic_path
from cellseg_app.core.errors import OutputError
from cellseg_app.core.progress import CancelToken, ProgressSink, StageProgress
from cellseg_app.training.simulator.settings import SimulationSettings
from cellseg_app.training.simulator.volume import SimulatedVolume, simulate_volume
from cellseg_app.training.worker_pool import worker_pool

IMAGE_SUFFIX = "_image.tif"
LABELS_SUFFIX = "_labels.tif"


def simulate_stream(
    settings: SimulationSettings, count: int, *, seed: int, workers: int = 1
) -> Iterator[SimulatedVolume]:
    """Yield volumes 0 … count - 1 in order; the number of workers does not change them.

    Parameters
    ----------
    settings, count, seed
        What to simulate, how many, and the seed of all of them.
    workers
        Processes; 1 simulates in this one.
    """
    if workers <= 1:
        yield from (simulate_volume(settings, seed, index) for index in range(count))
        return
    with worker_pool(workers) as pool:
        waiting: deque[Future[SimulatedVolume]] = deque()
        for index in range(count):
            waiting.append(pool.submit(simulate_volume, settings, seed, index))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def simulate_to_folder(
    settings: SimulationSettings,
    folder: Path,
    *,
    count: int,
    seed: int,
    workers: int = 1,
    progress: ProgressSink | None = None,
    cancel: CancelToken | None = None,
) -> list[Path]:
    """Write volumes with labels as TIFF pairs and return the image paths.

    Parameters
    ----------
    settings, count, seed, workers
        As for `simulate_stream`.
    folder
        Gets `simulated_00000_image.tif` and `simulated_00000_labels.tif` and so on. Pairs that
        are there already are kept.
    progress, cancel
        One step a volume.

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError("The folder cannot be made.", "Choose another.", path=folder) from error
    stage = StageProgress(progress, "Simulate", count, cancel=cancel)
    if workers <= 1:
        for index in range(count):
            _simulate_pair(settings, seed, index, folder)
            stage.advance()
    else:
        with worker_pool(workers) as pool:
            jobs = [pool.submit(_simulate_pair, settings, seed, i, folder) for i in range(count)]
            try:
                for job in as_completed(jobs):
                    job.result()
                    stage.advance()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    return [_pair_paths(folder, index)[0] for index in range(count)]


def _pair_paths(folder: Path, index: int) -> tuple[Path, Path]:
    stem = f"simulated_{index:05d}"
    return folder / f"{stem}{IMAGE_SUFFIX}", folder / f"{stem}{LABELS_SUFFIX}"


def _simulate_pair(settings: SimulationSettings, seed: int, index: int, folder: Path) -> None:
    image_path, labels_path = _pair_paths(folder, index)
    if image_path.exists() and labels_path.exists():
        return
    volume = simulate_volume(settings, seed, index)
    write_volume(labels_path, volume.labels.astype(np.uint16), volume.spacing_um_zyx)
    write_volume(image_path, volume.image, volume.spacing_um_zyx)


def write_volume(
    path: Path, volume: npt.NDArray[Any], spacing_um_zyx: tuple[float, float, float]
) -> None:
    """Write a (Z, Y, X) volume as a compressed ImageJ file with its voxel size."""
    with atomic_path(path) as partial:
        tifffile.imwrite(
            partial,
            volume,
            imagej=True,
            compression="zlib",
            resolution=(1 / spacing_um_zyx[2], 1 / spacing_um_zyx[1]),
            metadata={"axes": "ZYX", "spacing": spacing_um_zyx[0], "unit": "um"},
        )
