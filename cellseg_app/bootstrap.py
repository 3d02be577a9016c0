"""What must happen before Qt is loaded: streams, log file, crash dumps, torch on Windows."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import importlib.util
import logging
import os
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO, Final

from cellseg_app.paths import user_log_path

_ENGINE_LIBRARIES: Final = {
    "linux": ("libc10.so", "libtorch_cpu.so", "libtorch_python.so"),
    "darwin": ("libc10.dylib", "libtorch_cpu.dylib", "libtorch_python.dylib"),
}.get(sys.platform, ())
_LOG_BYTES: Final = 2_000_000
_SWITCH_INTERVAL_S: Final = 0.0005
_FORMAT: Final = "%(asctime)s %(levelname)s %(threadName)s %(name)s: %(message)s"
_faults: IO[str] | None = None


def prepare() -> None:
    """Make the process ready for Qt; safe to call twice."""
    _give_streams()
    # The window takes Python's lock for every call into Qt, hundreds of times a turn; as long
    # as the engine computes in Python, each may wait for this long.
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    os.environ["QT_API"] = "pyside6"
    _start_log(user_log_path())
    if sys.platform == "win32":
        _introduce_to_windows()
        # torch 2.9 and later cannot load its libraries after Qt has loaded its own
        # (https://github.com/pytorch/pytorch/issues/166628).
        import torch  # noqa: F401


def _introduce_to_windows() -> None:
    if sys.platform == "win32":
        # Both names stand in installer.iss: the setup asks to close us before it replaces files,
        # and the task bar knows which icon our windows belong to.
        ctypes.windll.kernel32.CreateMutexW(None, False, "CellSegMutex")
        ctypes.windll.shell32.SetCurrentProcessExplicitAppUserModelID("CellSeg")


def load_engine_libraries() -> None:
    """Load torch's shared libraries while the splash stands; the import follows in a thread.

    The system's loader holds Python's lock for as long as it links them (a fifth of a second),
    which would stop an open window. Where they are not found, the import loads them.
    """
    spec = importlib.util.find_spec("torch")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for name in _ENGINE_LIBRARIES:
            with contextlib.suppress(OSError):
                ctypes.CDLL(str(Path(folder) / "lib" / name))


def _give_streams() -> None:
    # A windowed program on Windows has none, and a library that prints would end it.
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))


def _start_log(folder: Path) -> None:
    global _faults
    logger = logging.getLogger("cellseg_app")
    logger.setLevel(logging.INFO)
    if any(isinstance(handler, RotatingFileHandler) for handler in logger.handlers):
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(
            folder / "cellseg.log", maxBytes=_LOG_BYTES, backupCount=2, encoding="utf-8"
        )
        _faults = _open_faults(folder / "faults.log")
    except OSError:
        # A full or read-only disk must not keep the window from opening.
        return
    handler.setFormatter(logging.Formatter(_FORMAT))
    logger.addHandler(handler)
    faulthandler.enable(_faults)


def _open_faults(path: Path) -> IO[str]:
    # The crash handler can only append to an open file; what is old goes when the program starts.
    if path.exists() and path.stat().st_size > _LOG_BYTES:
        path.replace(path.with_name("faults.log.1"))
    return path.open("a", encoding="utf-8")


def finish() -> None:
    """Close the log files."""
    global _faults
    logger = logging.getLogger("cellseg_app")
    for handler in [h for h in logger.handlers if isinstance(h, RotatingFileHandler)]:
        logger.removeHandler(handler)
        handler.close()
    if _faults is not None:
        faulthandler.disable()
        _faults.close()
        _faults = None
