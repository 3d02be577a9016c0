"""Makes the 3D scene in steps: at once, it would stop the window for a tenth of a second."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from PySide6.QtWidgets import QWidget

from cellseg_app.viewers.volume3d.canvas import PatientCanvas
from cellseg_app.viewers.volume3d.marks import SpaceMarks
from cellseg_app.viewers.volume3d.scene import SpaceScene

_BACKGROUND: Final = "#0b0c0e"


def scene_in_steps(parent: QWidget, *, in_software: bool) -> Generator[QWidget, None, SpaceScene]:
    """Make a scene; whoever advances it lets the window work between two steps.

    Each step is drawn before the next, which compiles its shaders then.

    Parameters
    ----------
    parent
        Widget that holds the canvas.
    in_software
        The processor draws: with larger steps along the rays, and pauses.

    Yields
    ------
    The canvas, to be put into a layout, after each step. Closed early, it frees the canvas.
    """
    canvas = PatientCanvas(
        patient=in_software, app="pyside6", parent=parent, bgcolor=_BACKGROUND, show=False
    )
    try:
        yield canvas.native
        view = canvas.make_view()
        yield canvas.native
        marks = SpaceMarks(view.scene)
        for _ in marks.make():
            yield canvas.native
        yield canvas.native
    except GeneratorExit:
        canvas.stop()
        canvas.close()
        raise
    return SpaceScene(canvas, view, marks)
