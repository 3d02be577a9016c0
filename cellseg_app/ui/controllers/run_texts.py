"""What the list and the log say of runs. Qt-free."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellseg_app.core.settings import RunSettings

if TYPE_CHECKING:
    from cellseg_app.pipeline.batch import BatchEvent


def volumes_text(n: int) -> str:
    """A number of volumes for people."""
    return f"{n:,} volume" if n == 1 else f"{n:,} volumes"


def outcome(event: BatchEvent) -> dict[str, Any]:
    """What the end of a volume's run changes in the list."""
    failure = event.failure
    if failure is not None:
        text = f"{failure.problem} {failure.remedy}".strip()
        return {"state": "failed", "text": text, "bug": failure.bug, "progress": None}
    n_cells = None if event.result is None else event.result.n_cells
    return {
        "state": "done",
        "text": "Done" if n_cells is None else f"{n_cells:,} cells",
        "record": event.record,
        "n_cells": n_cells,
        "progress": None,
    }


def settings_sentence(settings: RunSettings) -> str:
    """The settings for the log: the network, and what is not at its default."""
    values = [f"network {settings.network.name}"]
    for section, content in settings.model_dump(exclude_defaults=True).items():
        for name, value in content.items():
            if (section, name) != ("network", "name"):
                values.append(f"{section}.{name} = {value}")
    return f"Settings: {', '.join(values)}; everything else at its default."
