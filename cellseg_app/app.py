"""The desktop application put together: the only file that knows everyone."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, cast

from PySide6.QtCore import QMessageLogContext, Qt, QTimer, QtMsgType, qInstallMessageHandler
from PySide6.QtGui import QColor, QPainter, QPixmap
from PySide6.QtWidgets import QApplication, QSplashScreen

from cellseg_app import __version__, bootstrap
from cellseg_app.paths import user_log_path
from cellseg_app.ui.icons import app_icon

# The window's own modules take a second: they are loaded while the splash stands.
if TYPE_CHECKING:
    from cellseg_app.ui.main_window import MainWindow

_log = logging.getLogger(__name__)
# Said in the log, where `tests/benchmarks/startup.py` finds the times.
FIRST_PICTURE: Final = "The first picture is on the screen."
TAKES_INPUT: Final = "The window takes input."


def main(argv: Sequence[str] | None = None) -> int:
    """Open the window and stay until it is closed; returns the exit code."""
    arguments = _parse(argv)
    bootstrap.prepare()
    if arguments.self_test:
        return _test_itself(arguments.results)
    app = make_application()
    splash = _splash()
    splash.show()
    app.processEvents()
    _log.info(FIRST_PICTURE)
    bootstrap.load_engine_libraries()
    window = make_window(app)
    window.show()
    splash.finish(window)
    window.unfinished.offer()
    if arguments.paths:
        window.open_paths(arguments.paths)
    QTimer.singleShot(0, lambda: _log.info(TAKES_INPUT))
    QTimer.singleShot(0, window.load_engine)
    if arguments.quit_after is not None:
        QTimer.singleShot(round(1000 * arguments.quit_after), window.close)
    previous = sys.excepthook
    sys.excepthook = lambda kind, error, trace: _on_bug(window, kind, error, trace)
    _log.info("CellSeg %s: the window is open, entering the main loop.", __version__)
    try:
        return app.exec()
    finally:
        sys.excepthook = previous
        bootstrap.finish()


def make_application() -> QApplication:
    """The Qt application, named and with its icon."""
    app = cast("QApplication", QApplication.instance() or QApplication([sys.argv[0]]))
    app.setApplicationName("CellSeg")
    app.setApplicationDisplayName("CellSeg")
    app.setApplicationVersion(__version__)
    app.setDesktopFileName("org.cellseg.CellSeg")
    app.setWindowIcon(app_icon())
    qInstallMessageHandler(_on_qt_message)
    return app


def make_window(app: QApplication, settings_file: Path | None = None) -> MainWindow:
    """The main window with everything behind it; not shown yet."""
    from cellseg_app.state.settings import read_settings, settings_path
    from cellseg_app.ui.main_window import MainWindow
    from cellseg_app.ui.theme import Appearance

    file = settings_file or settings_path()
    user = read_settings(file)
    return MainWindow(user, file, Appearance(app, user.theme))


def _test_itself(results: Path | None) -> int:
    from cellseg_app.self_test import run_self_test

    report_file = (results or user_log_path()) / "self-test.txt"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        # The user's own weights, settings and unfinished runs stay as they are.
        os.environ["CELLSEG_DATA"] = name
        app = make_application()
        bootstrap.load_engine_libraries()
        window = make_window(app)
        window.show()
        try:
            folder = results or Path(name)
            return run_self_test(app, window, folder=folder, report_file=report_file)
        finally:
            window.close()
            bootstrap.finish()


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="cellseg-app", description="Finds every cell in 3D microscope volumes."
    )
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="files and folders")
    parser.add_argument("--version", action="version", version=f"CellSeg {__version__}")
    parser.add_argument(
        "--self-test", action="store_true", help="try everything once, say how it went, and end"
    )
    parser.add_argument(
        "--results", type=Path, metavar="FOLDER", help="where a self-test keeps what it made"
    )
    parser.add_argument("--quit-after", type=float, metavar="SECONDS", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def _splash() -> QSplashScreen:
    pixmap = QPixmap(380, 220)
    pixmap.fill(QColor("#0c1f2e"))
    painter = QPainter(pixmap)
    painter.drawPixmap(30, 46, app_icon().pixmap(128, 128))
    painter.setPen(QColor("#ffffff"))
    font = painter.font()
    font.setPointSize(26)
    font.setBold(True)
    painter.setFont(font)
    painter.drawText(180, 108, "CellSeg")
    font.setPointSize(10)
    font.setBold(False)
    painter.setFont(font)
    painter.setPen(QColor("#9fc3d6"))
    painter.drawText(182, 134, f"Version {__version__}")
    painter.end()
    return QSplashScreen(pixmap, Qt.WindowType.WindowStaysOnTopHint)


def _on_bug(
    window: MainWindow,
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType | None,
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        window.close()
        return
    from cellseg_app.workers.jobs import Crash

    text = "".join(traceback.format_exception(kind, error, trace))
    window.show_crash(Crash("the window", f"{kind.__name__}: {error}", text))


def _on_qt_message(kind: QtMsgType, context: QMessageLogContext, message: str) -> None:
    levels = {
        QtMsgType.QtDebugMsg: logging.DEBUG,
        QtMsgType.QtInfoMsg: logging.INFO,
        QtMsgType.QtWarningMsg: logging.WARNING,
    }
    logging.getLogger("cellseg_app.qt").log(levels.get(kind, logging.ERROR), "%s", message)
