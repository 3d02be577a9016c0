"""What every test of the window gets: a flat display unless told otherwise, and guards."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

# Before Qt starts. Tests marked `gl` draw in 3D: QT_QPA_PLATFORM=xcb xvfb-run -a pytest -m gl
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ["QT_QPA_PLATFORM"] == "offscreen":
        reason = "this display draws no OpenGL; QT_QPA_PLATFORM=xcb xvfb-run -a pytest -m gl"
        for item in items:
            if item.get_closest_marker("gl") is not None:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def _nothing_left_behind(qapp: QApplication) -> Iterator[None]:
    """Fail a test that leaves a window open or a thread running.

    A widget kept alive is most often held by `functools.partial(self._method)` or by a lambda.
    """
    windows = {id(widget) for widget in QApplication.topLevelWidgets()}
    threads = set(threading.enumerate())
    yield
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    shown = [
        widget
        for widget in QApplication.topLevelWidgets()
        if id(widget) not in windows and widget.isVisible()
    ]
    for widget in shown:
        widget.close()
    assert not shown, f"windows left open: {shown}"
    running = [thread for thread in set(threading.enumerate()) - threads if not thread.daemon]
    for thread in running:
        thread.join(timeout=5)
    assert not [t for t in running if t.is_alive()], f"threads left running: {running}"


@pytest.fixture(scope="session")
def has_opengl(qapp: QApplication) -> bool:
    """Whether this display draws OpenGL."""
    return QGuiApplication.platformName() != "offscreen"
