"""What was found fastest on this machine, remembered per network in the user's cache folder."""

from __future__ import annotations

import hashlib
import json
import logging
import platform
from pathlib import Path
from typing import Any, Final

import psutil
import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from cellseg_app.atomic import write_text_atomic
from cellseg_app.core.errors import OutputError
from cellseg_app.core.volume import ShapeZYX
from cellseg_app.inference.runtime.openvino_runtime import processor_name
from cellseg_app.inference.weights import LoadedNetwork
from cellseg_app.paths import user_cache_path

_log = logging.getLogger(__name__)

_KEPT: Final = 200


def decision_key(
    loaded: LoadedNetwork,
    window: ShapeZYX,
    *,
    device: str,
    precision: str,
    at_once: int,
    runtime: str = "auto",
) -> str:
    """Return what a decision holds for: network, window, wishes, machine and versions."""
    from openvino import get_version

    machine = [
        *(platform.machine(), processor_name(), psutil.cpu_count()),
        *(torch.get_num_threads(), torch.__version__, get_version()),
    ]
    network = [loaded.sha256, loaded.card.options, window, device, precision, at_once, runtime]
    text = json.dumps([network, machine], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


class Decision(BaseModel):
    """What was found fastest.

    Attributes
    ----------
    taken
        Runtime and device.
    seconds_per_window
        Of every candidate that could be used: runtime, device and precision, a blank between.
    """

    model_config = ConfigDict(frozen=True)

    taken: tuple[str, str]
    seconds_per_window: dict[str, float]


def remembered_decision(key: str) -> Decision | None:
    """Return the decision made for this key earlier, or None."""
    try:
        return Decision.model_validate(_entries().get(key))
    except ValidationError:
        return None


def remember_decision(key: str, decision: Decision) -> None:
    """Keep a decision; the oldest of many are forgotten."""
    entry = decision.model_dump(mode="json")
    entries = {k: v for k, v in _entries().items() if k != key} | {key: entry}
    kept = dict(list(entries.items())[-_KEPT:])
    try:
        write_text_atomic(_path(), json.dumps(kept, indent=1))
    except OutputError as error:
        _log.warning("What is fastest here is not remembered: %s", error)


def _entries() -> dict[str, Any]:
    try:
        entries = json.loads(_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return entries if isinstance(entries, dict) else {}


def _path() -> Path:
    return user_cache_path() / "runtimes.json"
