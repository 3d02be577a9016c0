"""A small volume with known cells, and a viewer that shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pytestqt.qtbot import QtBot

from cellseg_app.state.display import Layer
from cellseg_app.viewers.viewer import Viewer

SHAPE = (20, 40, 60)
SPACING = (2.0, 1.0, 0.5)
# Label id, and the region it fills.
CELLS = {11: np.s_[4:8, 10:20, 10:30], 303: np.s_[8:12, 25:35, 35:50]}

Waiter = Callable[[Callable[[], Any]], None]


@pytest.fixture
def image() -> npt.NDArray[np.uint16]:
    """Every voxel of another value: z, y, x can be read from it."""
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    return (1000 * z + 20 * y + x // 4).astype(np.uint16)


@pytest.fixture
def labels() -> npt.NDArray[np.uint32]:
    """Two cells."""
    array = np.zeros(SHAPE, np.uint32)
    for label, region in CELLS.items():
        array[region] = label
    return array


@pytest.fixture
def layers(image: npt.NDArray[np.uint16], labels: npt.NDArray[np.uint32]) -> list[Layer]:
    """Image, probability and labels."""
    probability = (labels > 0).astype(np.float16) * np.float16(0.75)
    return [
        Layer("image", "Image", "image", image, SPACING),
        Layer("probability", "Probability", "probability", probability, SPACING),
        Layer("labels", "Cells", "labels", labels, SPACING),
    ]


@pytest.fixture
def empty_viewer(qtbot: QtBot) -> Iterator[Viewer]:
    """A viewer of 800 × 600, shown, without layers."""
    viewer = Viewer()
    qtbot.addWidget(viewer)
    viewer.resize(800, 600)
    with qtbot.waitExposed(viewer):
        viewer.show()
    yield viewer
    viewer.shutdown()


@pytest.fixture
def viewer(empty_viewer: Viewer, layers: list[Layer], settled: Waiter) -> Viewer:
    """A viewer with all its slices read."""
    empty_viewer.set_layers(layers)
    settled(lambda: is_read(empty_viewer))
    return empty_viewer


@pytest.fixture
def settled(qtbot: QtBot) -> Waiter:
    """Wait until something is true; generous, for busy machines."""

    def wait(condition: Callable[[], Any]) -> None:
        qtbot.waitUntil(lambda: bool(condition()), timeout=20_000)

    return wait


def is_read(viewer: Viewer) -> bool:
    """Whether the visible panes show every visible layer, and contrast was chosen."""
    looks = viewer.state.looks
    if any(looks[x.key].clims is None for x in viewer.layers if x.kind == "image"):
        return False
    return all(
        pane.has_picture(layer.key)
        for pane in viewer.ortho.panes.values()
        for layer in viewer.layers
        if pane.isVisible() and looks[layer.key].visible
    )
