"""Reading weights files: state dicts, safetensors, TorchScript and ONNX, told apart by content.

Nothing here runs Python code from a file: pickles are read by torch's restricted unpickler only.
A TorchScript file is a program by nature; those that touch files are refused.
"""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import safetensors
import safetensors.torch
import torch
from torch import nn

from cellseg_app.core.errors import WeightsError
from cellseg_app.inference.cards import FileKind
from cellseg_app.inference.graph_networks import OnnxNetwork, ScriptedNetwork

State = dict[str, torch.Tensor]
_WRAPPERS: Final = ("state_dict", "model_state_dict", "model", "net", "network", "weights")
_SCRIPT_FILE_ACCESS: Final = re.compile(rb"\b(torch\.(save|from_file)|ops\.(?!prim\b|aten\b))")
_CODE_REFUSED: Final = re.compile(r"Unsupported (global|class)|unrecognized function|Can only")
_HEAD_BYTES: Final = 512
_AGAIN: Final = "Copy or download the file again."


@dataclass(frozen=True)
class WeightsFile:
    """What a weights file holds: a state dict, or a network that brings its own computation.

    `state` is empty for ONNX; `network` is None for state dicts. `notes` say what was unwrapped.
    """

    path: Path
    kind: FileKind
    state: State = field(default_factory=dict)
    network: nn.Module | None = None
    notes: tuple[str, ...] = ()


def read_weights(path: Path) -> WeightsFile:
    """Return the content of a weights file, floating-point weights as float32.

    Raises
    ------
    WeightsError
        The file is missing, damaged, holds code instead of weights, or is of another kind.
    """
    head = _head(path)
    if zipfile.is_zipfile(path):
        return _read_torch_zip(path)
    if head[:2] == b"PK":
        raise WeightsError("This weights file is incomplete.", _AGAIN, path=path)
    if head[8:9] == b"{":
        return _read_safetensors(path)
    if head[:1] == b"\x80":
        return _read_pickled(path)
    if head[:1] == b"\x08" or path.suffix.lower() == ".onnx":
        return WeightsFile(path, "onnx", network=OnnxNetwork(path))
    raise WeightsError(_what_it_is_instead(head), _AGAIN, path=path)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError as error:
        raise WeightsError(
            f"The weights file cannot be read ({error.strerror}).", "Check the path.", path=path
        ) from error
    if not head:
        raise WeightsError("The weights file is empty.", _AGAIN, path=path)
    return head


def _what_it_is_instead(head: bytes) -> str:
    start = head.lstrip().lower()
    if start.startswith((b"<!doctype", b"<html")):
        return "This is a web page, not a weights file: the download went wrong."
    if start.startswith(b"version https://git-lfs"):
        return "This is a Git LFS pointer, not the weights file itself."
    if head[:2] == b"\x1f\x8b":
        return "This is a compressed archive; `cellseg weights import` unpacks it."
    return "This is not a weights file (.pth, .pt, .safetensors, TorchScript or .onnx)."


def _read_safetensors(path: Path) -> WeightsFile:
    try:
        content: State = safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"This safetensors file is damaged or incomplete ({error}).", _AGAIN, path=path
        ) from error
    state, notes = _unwrapped(content, path)
    return _with_float32(path, state, notes=notes)


def _read_torch_zip(path: Path) -> WeightsFile:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            is_script = any(name.endswith("/constants.pkl") for name in names)
            if is_script:
                _reject_file_access(archive, path)
    except (zipfile.BadZipFile, OSError) as error:
        raise WeightsError("This weights file is damaged.", _AGAIN, path=path) from error
    if is_script:
        return _read_script(path)
    if not any(name.endswith("/data.pkl") for name in names):
        raise WeightsError(
            "This is a ZIP archive without weights.", "Unpack it and give the file.", path=path
        )
    return _read_pickled(path)


def _read_pickled(path: Path) -> WeightsFile:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if _CODE_REFUSED.search(str(error)):
            raise WeightsError(
                "This file holds Python code besides weights, so it was not opened.",
                "Save only the weights: torch.save(network.state_dict(), file).",
                path=path,
            ) from error
        raise WeightsError("This weights file is damaged.", _AGAIN, path=path) from error
    except Exception as error:  # broken pickles fail in any way there is
        raise WeightsError(
            "This weights file is damaged or incomplete.", _AGAIN, path=path
        ) from error
    state, notes = _unwrapped(content, path)
    return _with_float32(path, state, notes=notes)


def _unwrapped(content: object, path: Path) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    notes: list[str] = []
    state = content
    if isinstance(content, Mapping) and not _is_state(content):
        name = next((name for name in _WRAPPERS if _is_state(content.get(name))), None)
        state = content.get(name) if name else None
        notes.append(f"The weights were taken from {name!r}; the rest of the file was left.")
    if not isinstance(state, Mapping) or not _is_state(state):
        raise WeightsError(
            "This file holds no network weights.",
            "Save only the weights: torch.save(network.state_dict(), file).",
            path=path,
        )
    if all(key.startswith("module.") for key in state):
        notes.append("The prefix 'module.' of parallel training was taken off.")
        state = {key.removeprefix("module."): value for key, value in state.items()}
    return state, tuple(notes)


def _is_state(candidate: object) -> bool:
    return (
        isinstance(candidate, Mapping)
        and len(candidate) > 0
        and all(isinstance(key, str) for key in candidate)
        and all(_is_plain(value) for value in candidate.values())
    )


def _is_plain(value: object) -> bool:
    return (
        isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and not value.is_quantized
        and not value.is_complex()
    )


def _with_float32(
    path: Path, state: Mapping[str, torch.Tensor], *, notes: tuple[str, ...] = ()
) -> WeightsFile:
    widened = {
        key: value.float() if value.is_floating_point() else value for key, value in state.items()
    }
    broken = [key for key, value in widened.items() if not torch.isfinite(value).all()]
    if broken:
        raise WeightsError(
            f"{len(broken)} of its weights are not finite numbers ({', '.join(broken[:3])}).",
            "The training that made this file went astray; use an earlier checkpoint.",
            path=path,
        )
    return WeightsFile(path, "state_dict", state=widened, notes=notes)


def _reject_file_access(archive: zipfile.ZipFile, path: Path) -> None:
    sources = [name for name in archive.namelist() if "/code/" in name and name.endswith(".py")]
    if any(_SCRIPT_FILE_ACCESS.search(archive.read(name)) for name in sources):
        raise WeightsError(
            "This TorchScript file does more than compute, so it was not opened.",
            "Save only the weights: torch.save(network.state_dict(), file).",
            path=path,
        )


def _read_script(path: Path) -> WeightsFile:
    try:
        with warnings.catch_warnings():
            # torch announces that TorchScript will go; users' files stay.
            warnings.simplefilter("ignore", DeprecationWarning)
            loaded = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
        script: nn.Module = loaded.float().eval()
    except (RuntimeError, OSError, ValueError) as error:
        raise WeightsError(
            "This TorchScript file is damaged or incomplete.", _AGAIN, path=path
        ) from error
    return WeightsFile(
        path, "torchscript", state=dict(script.state_dict()), network=ScriptedNetwork(script)
    )
