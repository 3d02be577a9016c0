"""`python -m cellseg_app` and the frozen program: opens the window."""

from __future__ import annotations

import multiprocessing
import sys


def start() -> int:
    """Open the window and return the exit code."""
    multiprocessing.freeze_support()
    from cellseg_app import bootstrap

    bootstrap.prepare()
    from cellseg_app.app import main

    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(start())
