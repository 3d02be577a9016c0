"""A vispy canvas that leaves time for the rest of the window where the processor draws."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from PySide6.QtCore import QTimer
from PySide6.QtOpenGLWidgets import QOpenGLWidget
from vispy import scene
from vispy.gloo import gl

# Rest after each picture, as a multiple of the time it took; and pictures quicker than this need
# none.
_REST: Final = 2.0
_QUICK_S: Final = 0.02
# A picture is drawn in bands that take about this long, and the window does its work between them.
_BAND_S: Final = 0.012
_FIRST_ROWS: Final = 8
# After the last coarse picture, until it is drawn in full quality.
_STILL_MS: Final = 350


def _ignore(_: bool) -> None:
    return


class PatientCanvas(scene.SceneCanvas):  # type: ignore[misc]  # vispy has no types
    """Draws at once where a graphics card does it, else with pauses.

    Without a card one picture may take a second, and every change of crosshair or contrast asks
    for a new one: slices would wait for pictures that nobody sees. It is drawn band by band, from
    the top, and between bands the window goes on. While the user turns the volume it is drawn
    coarsely: `on_motion` is called when that begins and ends.
    """

    # Asked for while the base class is still being made.
    _patient = False
    _view: Any = None

    def __init__(self, *, patient: bool, **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        self.unfreeze()
        self._took_s = self._drawn_at = 0.0
        self._rest = QTimer(singleShot=True)
        self._rest.timeout.connect(self._update_now)
        self._patient = patient
        self._rows_done, self._rows_at_once = 0, _FIRST_ROWS
        self._band_took_s = 0.0
        self._is_whole = False
        self._is_moving = False
        self._still = QTimer(singleShot=True, interval=_STILL_MS)
        self._still.timeout.connect(self._on_still)
        self.on_motion: Callable[[bool], None] = _ignore
        self.freeze()
        if patient:
            self.events.mouse_move.connect(self._on_drag)
            self.events.mouse_wheel.connect(self._on_moved)
            self.events.resize.connect(self._begin_again)
            # What the bands before have drawn stays.
            self.native.setUpdateBehavior(QOpenGLWidget.UpdateBehavior.PartialUpdate)

    @property
    def patient(self) -> bool:
        """Whether the processor draws, band by band."""
        return self._patient

    def make_view(self) -> Any:  # noqa: ANN401
        """The one view, as large as the canvas."""
        self._view = self.central_widget.add_view()
        return self._view

    def visual_at(self, pos: object) -> Any:  # noqa: ANN401
        """What a button or the wheel turns: always the view.

        vispy would draw everything once more, with other shaders, to find that out.
        """
        return self._view

    def update(self, node: object = None) -> None:
        """Ask for a new picture, soon."""
        if not self._patient:
            super().update(node)
            return
        self._begin_again()
        wait_s = 0.0
        if self._took_s >= _QUICK_S:
            wait_s = self._drawn_at + _REST * self._took_s - time.perf_counter()
        if wait_s <= 0:
            super().update(node)
        elif not self._rest.isActive():
            self._rest.start(int(1000 * wait_s) + 1)

    def draw_whole(self) -> None:
        """Let the next drawing, such as that for a screenshot, be of the whole picture."""
        self._begin_again()
        self._is_whole = True

    def on_draw(self, event: object) -> None:
        """Draw; without a card, the next band."""
        if not self._patient:
            super().on_draw(event)
            return
        start = time.perf_counter()
        width, height = self.physical_size
        first = self._rows_done
        last = height if self._is_whole else min(first + self._rows_at_once, height)
        self._is_whole = False
        # Rows count from the bottom in OpenGL.
        self.context.set_state(scissor_test=True)
        self.context.set_scissor(0, height - last, width, last - first)
        super().on_draw(event)
        self.context.set_state(scissor_test=False)
        self.context.flush_commands()
        gl.glFinish()
        self._after_band(last, height, time.perf_counter() - start)

    def _after_band(self, last: int, height: int, took_s: float) -> None:
        rows = last - self._rows_done
        self._band_took_s += took_s
        if rows > 0 and took_s > 0:
            # Bands differ in what they show; twice as many rows at most keeps surprises small.
            fitting = int(rows * _BAND_S / took_s)
            self._rows_at_once = max(1, min(fitting, 2 * self._rows_at_once))
        if last < height:
            self._rows_done = last
            self._rest.start(0)
            return
        self._took_s, self._drawn_at = self._band_took_s, time.perf_counter()
        self._begin_again()
        if self._is_moving:
            # Time passes while it draws; the user may be turning still.
            self._still.start()

    def _begin_again(self, _event: object = None) -> None:
        self._rows_done, self._band_took_s = 0, 0.0

    def stop(self) -> None:
        """Draw no more."""
        self._rest.stop()
        self._still.stop()

    def _on_drag(self, event: Any) -> None:  # noqa: ANN401
        if event.is_dragging:
            self._on_moved(event)

    def _on_moved(self, _event: object) -> None:
        self._still.start()
        if not self._is_moving:
            self._is_moving = True
            self.on_motion(True)

    def _on_still(self) -> None:
        self._is_moving = False
        self.on_motion(False)
        self.update()

    def _update_now(self) -> None:
        super().update()
