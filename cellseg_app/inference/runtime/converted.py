"""Networks converted for OpenVINO, kept in the user's cache folder.

A network is converted once per weights, window and version of OpenVINO. The folder holds the
networks used last and stays below a bound.
"""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
from pathlib import Path
from typing import Any, Final

import torch

from cellseg_app.atomic import atomic_path, remove_leftovers
from cellseg_app.core.errors import OutputError
from cellseg_app.core.volume import ShapeZYX
from cellseg_app.inference.nets import quick_form
from cellseg_app.inference.weights import LoadedNetwork
from cellseg_app.paths import user_cache_path

_log = logging.getLogger(__name__)

_FORMAT: Final = 2
_MAX_BYTES: Final = 2 * 1024**3


def is_converted(loaded: LoadedNetwork, window: ShapeZYX) -> bool:
    """Return whether the network needs no conversion any more for windows of this shape."""
    return _path(loaded, window).exists()


def converted_network(loaded: LoadedNetwork, window: ShapeZYX) -> Any:  # noqa: ANN401
    """Return the network as an OpenVINO model that takes one window, (1, 1, Z, Y, X) float32.

    Raises
    ------
    Exception
        Whatever torch or OpenVINO meet in a network they cannot convert.
    """
    import openvino

    path = _path(loaded, window)
    if path.exists():
        try:
            model = openvino.Core().read_model(path)
            path.touch()
            return model
        except (RuntimeError, OSError):
            _log.warning("%s is damaged; the network is converted again.", path)
    model = _converted(loaded, window)
    try:
        _keep(model, path)
    except (OutputError, OSError, RuntimeError) as error:
        _log.warning("The converted network is not kept: %s", error)
    return model


def _converted(loaded: LoadedNetwork, window: ShapeZYX) -> Any:  # noqa: ANN401
    import openvino

    example = torch.zeros((1, 1, *window))
    with warnings.catch_warnings(), torch.no_grad():
        # Every size that the trace fixes is that of the window, which is fixed anyway.
        warnings.simplefilter("ignore")
        quick = quick_form(loaded.card.architecture, loaded.module).eval()
        traced = torch.jit.trace(quick, example, check_trace=False)  # type: ignore[no-untyped-call]
        model = openvino.convert_model(traced)
    model.reshape(openvino.PartialShape([1, 1, *window]))
    return model


def _keep(model: Any, path: Path) -> None:  # noqa: ANN401
    import openvino

    with atomic_path(path) as temporary:
        openvino.save_model(model, temporary, compress_to_fp16=False)
        # The weights come first: a network is there once its description is.
        temporary.with_suffix(".bin").replace(path.with_suffix(".bin"))
    _make_room(path)


def _make_room(newest: Path) -> None:
    remove_leftovers(newest.parent)
    networks = sorted(newest.parent.glob("*.xml"), key=lambda p: p.stat().st_mtime, reverse=True)
    total = 0
    for path in networks:
        parts = [part for part in (path, path.with_suffix(".bin")) if part.exists()]
        total += sum(part.stat().st_size for part in parts)
        if total > _MAX_BYTES and path != newest:
            for part in parts:
                part.unlink(missing_ok=True)


def _path(loaded: LoadedNetwork, window: ShapeZYX) -> Path:
    from openvino import get_version

    key = json.dumps(
        [_FORMAT, loaded.sha256, loaded.card.options, window, get_version(), torch.__version__],
        sort_keys=True,
        default=str,
    )
    name = f"{loaded.card.architecture}-{hashlib.sha256(key.encode()).hexdigest()[:24]}.xml"
    return user_cache_path() / "networks" / name
