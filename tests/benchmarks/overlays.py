"""Pictures of what networks find, with the truth where it is known, and crops to count by eye.

Truth is drawn in blue, the result in orange (Okabe and Ito: told apart by people with any colour
vision). A picture shows the brightest projection with a mark at every centre, and three slices and
one cut along Z with outlines.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from skimage.segmentation import find_boundaries

from cellseg_app.analysis.accuracy import centroids
from cellseg_app.core.blocks import Region
from tests.benchmarks.accuracy import Labels, run_network, scaled
from tests.benchmarks.judged_volumes import LOOKS, Judge, Look, read, real_judges, true_points

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
TRUTH, RESULT, BOX = (86, 180, 233), (230, 159, 0), (240, 228, 66)
_PANEL = 560
_GAP = 6
_CROPS = 3
_CROP_DIAMETERS = 7.0
_CROP_DEPTH_DIAMETERS = 3.0


@dataclass(frozen=True)
class Found:
    """A volume with what was found in it and, if known, what is in it."""

    image: Floats
    labels: Labels
    truth: Labels | None = None
    points: npt.NDArray[np.float64] | None = None


def draw_all(
    data: Path,
    networks: Sequence[str],
    out: Path,
    *,
    counts: bool,
    begins: tuple[str, ...] = ("",),
) -> None:
    """Write a picture of every network's result on every real volume, and crops if asked."""
    out.mkdir(parents=True, exist_ok=True)
    volumes: list[tuple[Path, Judge | Look]] = [(j.image, j) for j in real_judges(data)]
    volumes += [(data / look.name / "image.tif", look) for look in LOOKS]
    rows: list[list[object]] = []
    for path, volume in volumes:
        if not volume.name.startswith(begins):
            continue
        image = scaled(read(path))
        regions = crops_of(image, volume) if counts and isinstance(volume, Look) else []
        if regions:
            _draw_crops(image, regions, volume.name, out)
        for network in networks:
            with tempfile.TemporaryDirectory() as scratch:
                labels = run_network(path, volume, network, Path(scratch))
            found = _with_truth(image, labels, volume)
            name = f"{volume.name}_{Path(network).stem}"
            Image.fromarray(picture(found, volume.voxel_size)).save(out / f"{name}.png")
            print(f"{name}: {len(np.unique(labels)) - 1} cells", flush=True)
            for number, region in enumerate(regions, start=1):
                box = [edge for part in region for edge in (part.start, part.stop)]
                n_inside = count_inside(labels, region)
                rows.append([volume.name, number, *box, Path(network).stem, n_inside, ""])
    if counts:
        _write_counts(out / "counts.csv", rows)


def picture(found: Found, voxel_size: tuple[float, float, float]) -> Bytes:
    """Projection with centres, slices at a quarter, half and three quarters, a cut along Z."""
    depth, height = found.labels.shape[:2]
    flat = found.image.max(axis=0)
    panels = [_with_centres(flat, found)]
    for z in (depth // 4, depth // 2, 3 * depth // 4):
        truth = None if found.truth is None else found.truth[z]
        panels.append(_with_outlines(found.image[z], found.labels[z], truth))
    y = height // 2
    truth = None if found.truth is None else found.truth[:, y]
    stretch = max(1, round(voxel_size[0] / voxel_size[2]))
    cut = [
        None if a is None else np.repeat(a, stretch, axis=0)
        for a in (found.image[:, y], found.labels[:, y], truth)
    ]
    panels.append(_with_outlines(cut[0], cut[1], cut[2]))
    height = max(panel.shape[0] for panel in panels)
    padded = [
        np.pad(panel, ((0, height - panel.shape[0]), (0, _GAP), (0, 0)), constant_values=255)
        for panel in panels
    ]
    return np.ascontiguousarray(np.concatenate(padded, axis=1))


def crops_of(image: Floats, look: Look) -> list[Region]:
    """Three boxes that lie apart, from sparse to dense, whatever any network finds."""
    z_um, y_um, x_um = look.voxel_size
    reach = (_CROP_DEPTH_DIAMETERS, _CROP_DIAMETERS, _CROP_DIAMETERS)
    # Half of small volumes, so that there is room for three.
    room = (image.shape[0], image.shape[1] // 2, image.shape[2] // 2)
    sides = [
        min(most, max(4, round(n * look.diameter / step)))
        for n, step, most in zip(reach, (z_um, y_um, x_um), room, strict=True)
    ]
    z = slice((image.shape[0] - sides[0]) // 2, (image.shape[0] - sides[0]) // 2 + sides[0])
    boxes: list[tuple[float, Region]] = []
    for y0 in range(0, image.shape[1] - sides[1] + 1, sides[1]):
        for x0 in range(0, image.shape[2] - sides[2] + 1, sides[2]):
            region = (z, slice(y0, y0 + sides[1]), slice(x0, x0 + sides[2]))
            boxes.append((float(image[region].std()), region))
    boxes.sort(key=lambda pair: pair[0])
    ranks = {round(rank) for rank in np.linspace(0.5, 0.95, _CROPS) * (len(boxes) - 1)}
    if len(ranks) < _CROPS:
        ranks = set(range(max(0, len(boxes) - _CROPS), len(boxes)))
    return [boxes[rank][1] for rank in sorted(ranks)]


def count_inside(labels: Labels, region: Region) -> int:
    """Cells whose centre lies in a box."""
    points = centroids(labels)
    inside = np.ones(len(points), bool)
    for axis, part in enumerate(region):
        inside &= (points[:, axis] >= part.start - 0.5) & (points[:, axis] < part.stop - 0.5)
    return int(inside.sum())


def _with_truth(image: Floats, labels: Labels, volume: Judge | Look) -> Found:
    if isinstance(volume, Look):
        return Found(image, labels)
    drawn = volume.labels is not None and not volume.detection_only
    truth = read(volume.labels) if drawn and volume.labels is not None else None
    return Found(image, labels, truth, true_points(volume))


def _gray(image: Floats) -> tuple[Bytes, int]:
    """The picture as colours, enlarged by a whole factor."""
    factor = max(1, _PANEL // max(image.shape))
    seen = np.kron(np.clip(image, 0, 1) ** 0.6, np.ones((factor, factor)))
    return np.repeat((255 * seen).astype(np.uint8)[..., None], 3, axis=2), factor


def _with_outlines(image: Any, labels: Any, truth: Any) -> Bytes:
    colors, factor = _gray(image)
    for objects, color in ((truth, TRUTH), (labels, RESULT)):
        if objects is not None:
            large = np.kron(objects, np.ones((factor, factor), objects.dtype))
            colors[find_boundaries(large, mode="thick")] = color
    return colors


def _with_centres(image: Floats, found: Found) -> Bytes:
    colors, factor = _gray(image)
    drawing = Image.fromarray(colors)
    pen = ImageDraw.Draw(drawing)
    for _, y, x in found.points if found.points is not None else ():
        a, b = factor * (x + 0.5), factor * (y + 0.5)
        pen.line([(a - 5, b), (a + 5, b)], fill=TRUTH, width=2)
        pen.line([(a, b - 5), (a, b + 5)], fill=TRUTH, width=2)
    for _, y, x in centroids(found.labels):
        a, b = factor * (x + 0.5), factor * (y + 0.5)
        pen.ellipse([(a - 4, b - 4), (a + 4, b + 4)], outline=RESULT, width=2)
    return np.asarray(drawing)


def _draw_crops(image: Floats, regions: Sequence[Region], name: str, out: Path) -> None:
    """The volume with the boxes, and every crop slice by slice, without what was found."""
    colors, factor = _gray(image[regions[0][0]].max(axis=0))
    drawing = Image.fromarray(colors)
    pen = ImageDraw.Draw(drawing)
    for number, (_, y, x) in enumerate(regions, start=1):
        corners = [(factor * x.start, factor * y.start), (factor * x.stop, factor * y.stop)]
        pen.rectangle(corners, outline=BOX, width=2)
        pen.text((factor * x.start + 4, factor * y.start + 2), str(number), fill=BOX)
    drawing.save(out / f"{name}_crops.png")
    for number, region in enumerate(regions, start=1):
        tiles = list(_tiles(image[region], region[0].start))
        per_row = min(6, len(tiles))
        tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % per_row)
        rows = [np.concatenate(tiles[i : i + per_row], 1) for i in range(0, len(tiles), per_row)]
        montage = np.concatenate(rows)
        Image.fromarray(montage).save(out / f"{name}_crop{number}.png")


def _tiles(crop: Floats, first_z: int) -> Iterator[Bytes]:
    """Eighteen slices at most, each with its number."""
    for z in np.unique(np.linspace(0, len(crop) - 1, 18).round().astype(int)):
        factor = max(1, 260 // max(crop.shape[1:]))
        seen = np.kron(np.clip(crop[z], 0, 1) ** 0.6, np.ones((factor, factor)))
        gray = (255 * np.pad(seen, 2, constant_values=0.4)).astype(np.uint8)
        tile = Image.fromarray(np.repeat(gray[..., None], 3, axis=2))
        ImageDraw.Draw(tile).text((5, 4), f"z {first_z + z}", fill=BOX)
        yield np.asarray(tile)


def _write_counts(path: Path, rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        box = ["z_min", "z_max", "y_min", "y_max", "x_min", "x_max"]
        writer.writerow(["volume", "crop", *box, "network", "program", "by_eye"])
        writer.writerows(rows)
