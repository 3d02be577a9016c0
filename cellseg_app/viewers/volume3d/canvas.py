"""A vispy canvas that leaves time for the rest of the window where the processor draws."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from PySide6.QtCore import QTimer
from vispy import scene
from vispy.gloo import gl

# Rest after each picture, as a multiple of the time it took; and pictures quicker than this need
# none.
_REST: Final = 2.0
_QUICK_S: Final = 0.02


# After the last coarse picture, until it is drawn in full quality.
_STILL_MS: Final = 350


def _ignore(_: bool) -> None:
    return


class PatientCanvas(scene.SceneCanvas):  # type: ignore[misc]  # vispy has no types
    """Draws at once where a graphics card does it, else with pauses.

    Without a card one picture may take a second, and every change of crosshair or contrast asks
    for a new one: slices would wait for pictures that nobody sees. While the user turns the volume
    it is drawn coarsely: `on_motion` is called when that begins and ends.
    """

    # Asked for while the base class is still being made.
    _patient = False

    def __init__(self, *, patient: bool, **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        self.unfreeze()
        self._took_s = self._drawn_at = 0.0
        self._rest = QTimer(singleShot=True)
        self._rest.timeout.connect(self._update_now)
        self._patient = patient
        self._is_moving = False
        self._still = QTimer(singleShot=True, interval=_STILL_MS)
        self._still.timeout.connect(self._on_still)
        self.on_motion: Callable[[bool], None] = _ignore
        self.freeze()
        if patient:
            self.events.mouse_move.connect(self._on_drag)
            self.events.mouse_wheel.connect(self._on_moved)

    def update(self, node: object = None) -> None:
        """Ask for a new picture, soon."""
        if not self._patient or self._took_s < _QUICK_S:
            super().update(node)
            return
        wait_s = self._drawn_at + _REST * self._took_s - time.perf_counter()
        if wait_s <= 0:
            super().update(node)
        elif not self._rest.isActive():
            self._rest.start(int(1000 * wait_s) + 1)

    def on_draw(self, event: object) -> None:
        """Draw."""
        start = time.perf_counter()
        super().on_draw(event)
        if self._patient:
            gl.glFinish()
            self._drawn_at = time.perf_counter()
            self._took_s = self._drawn_at - start
            if self._is_moving:
                # Time passes while it draws; the user may be turning still.
                self._still.start()

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
