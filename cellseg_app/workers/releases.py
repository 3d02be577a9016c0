"""Asking for a newer release, in the background and only when the user wants to know."""

from __future__ import annotations

from cellseg_app import __version__
from cellseg_app.io.release_feed import newest_release, shipped_feed
from cellseg_app.workers.jobs import JobContext, Work


def checking_for_updates(address: str) -> Work:
    """Work that gives a sentence on the newest release; `address` is empty for the shipped one."""

    def work(_context: JobContext) -> str:
        release = newest_release(address or shipped_feed())
        if release.is_newer:
            return f"CellSeg {release.version} is out; this is {__version__}. See {release.page}"
        return f"This is the newest CellSeg, {__version__}."

    return work
