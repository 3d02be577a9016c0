"""The kinds of training step: what each is called, what it is asked, and what runs it."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel

from cellseg_app.core.errors import SettingsError
from cellseg_app.core.progress import CancelToken, ProgressSink
from cellseg_app.training.flags import (
    Flag,
    RefusingParser,
    add_flags,
    arguments_of,
    request_from,
)
from cellseg_app.training.requests import (
    DEFAULT_OPTIONS,
    AdaptRequest,
    FinetuneRequest,
    PresetName,
    SimulationRequest,
    TargetKind,
    TrainingRequest,
    with_default_options,
)

Run = Callable[[Any, ProgressSink | None, CancelToken | None], Path]
Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StepKind:
    """One kind of step: its request, its flags, and the function that does it."""

    request: type[BaseModel]
    flags: tuple[Flag, ...]
    run: Run
    fixed: Mapping[str, str]


def _folder_and_share(text: str) -> tuple[Path, float]:
    folder, colon, share = text.rpartition(":")
    if colon and share.replace(".", "", 1).isdigit():
        return Path(folder), float(share)
    return Path(text), 1.0


def _with_share(part: tuple[Path, float]) -> str:
    return f"{part[0].name}:{part[1]:g}"


def _option(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _with_folder(value: Path | str) -> str:
    """Weights by name stay; a file is named with the folder it lies in, which made it."""
    path = Path(value)
    return f"{path.parent.name}/{path.name}" if path.parent.name else str(value)


_OUT: Final = Flag("--out", "out", Path, "DIR", short="-o", role="out")
_HOLD_OUT: Final = Flag("--hold-out", "hold_out", metavar="PATTERN", repeated=True)
_NAME: Final = Flag("--name", "name", metavar="NAME")
_AS_IT_IS: Final = Flag("--no-augmentation", "augment", constant=False)
_PATIENCE: Final = Flag("--patience", "patience", int, "N")
_LEARNING: Final = (
    Flag("--steps", "steps", int, "N"),
    Flag("--validate-every", "validate_every_steps", int, "N"),
    Flag("--batch", "batch", int, "N"),
    Flag("--patch", "patch_voxels", int, "N"),
    Flag("--learning-rate", "learning_rate", float, "RATE"),
    Flag("--seed", "seed", int, "N"),
    Flag("--threads", "threads", int, "N", recorded=False),
    Flag("--voxel-size", "voxel_size_um_zyx", float, n_values=3),
)
_SIMULATION: Final = (
    _OUT,
    Flag("--count", "count", int, "N"),
    Flag("--seed", "seed", int, "N"),
    Flag("--workers", "workers", int, "N", recorded=False),
    Flag("--preset", "preset", choices=get_args(PresetName)),
    Flag("--size", "size", int, n_values=3),
    Flag("--diameter-um", "diameter_um", float, n_values=2),
    Flag("--diameter-voxels", "diameter_voxels", float, n_values=2),
    Flag("--anisotropy", "anisotropy", float, n_values=2),
    Flag("--photons", "photons", float, n_values=2),
    Flag("--label-level", "label_level", float, "0…1"),
)
_PAIRS: Final = (
    Flag(
        "--data",
        "data",
        _folder_and_share,
        "DIR[:SHARE]",
        repeated=True,
        role="data",
        show=_with_share,
    ),
    _HOLD_OUT,
    _OUT,
    _NAME,
    Flag("--start", "start", Path, "FILE", role="weights", show=_with_folder),
    Flag(
        "--option",
        "options",
        _option,
        "NAME=VALUE",
        repeated=True,
        show=lambda pair: f"{pair[0]}={json.dumps(pair[1])}",
    ),
    *_LEARNING,
    Flag("--workers", "workers", int, "N", recorded=False),
    Flag("--object-diameter", "object_diameter_voxels", float, "VOXELS"),
)
_NETWORK: Final = Flag(
    "--network", "network", choices=tuple(n for n in DEFAULT_OPTIONS if n != "WNet")
)
_LESSONS: Final = (
    Flag("--target", "target", choices=get_args(TargetKind)),
    Flag("--empty-share", "empty_share", float, "0…1"),
    Flag("--coarse-share", "coarse_share", float, "0…1"),
)
_WEIGHTS: Final = Flag(
    "--weights", "weights", metavar="FILE|NAME", role="weights", show=_with_folder
)
_FINETUNE: Final = (
    Flag("--data", "data", Path, "DIR", repeated=True, role="data"),
    Flag("--images", "images", Path, "DIR", role="data"),
    Flag("--labels", "labels", Path, "DIR", role="data"),
    _OUT,
    _NAME,
    _WEIGHTS,
    _NETWORK,
    Flag("--validation", "validation_share", float, "0…0.5"),
    _HOLD_OUT,
    *_LEARNING,
    _PATIENCE,
    _AS_IT_IS,
)
_ADAPT: Final = (
    Flag("VOLUME", "volumes", Path, role="data"),
    _OUT,
    _NAME,
    _WEIGHTS,
    Flag("--diameter", "diameter", metavar="12um|14px|auto|none"),
    *_LEARNING,
    _PATIENCE,
    _AS_IT_IS,
)


def _simulate(
    request: SimulationRequest, progress: ProgressSink | None, cancel: CancelToken | None
) -> Path:
    # Parsing a command line must not pay for the libraries of its command.
    from cellseg_app.training.simulated_folder import run_simulation

    return run_simulation(request, progress=progress, cancel=cancel)


def _train(
    request: TrainingRequest, progress: ProgressSink | None, cancel: CancelToken | None
) -> Path:
    from cellseg_app.training.session import run_training

    return run_training(with_default_options(request), progress=progress, cancel=cancel)


def _finetune(
    request: FinetuneRequest, progress: ProgressSink | None, cancel: CancelToken | None
) -> Path:
    from cellseg_app.training.finetune import run_finetuning

    return run_finetuning(request, progress=progress, cancel=cancel)


def _adapt(
    request: AdaptRequest, progress: ProgressSink | None, cancel: CancelToken | None
) -> Path:
    from cellseg_app.training.adapt import run_adaptation

    return run_adaptation(request, progress=progress, cancel=cancel)


KINDS: Final[Mapping[str, StepKind]] = {
    "simulate": StepKind(SimulationRequest, _SIMULATION, _simulate, {}),
    "supervised": StepKind(TrainingRequest, (_NETWORK, *_PAIRS, *_LESSONS), _train, {}),
    "wnet": StepKind(TrainingRequest, _PAIRS, _train, {"network": "WNet"}),
    "finetune": StepKind(FinetuneRequest, _FINETUNE, _finetune, {}),
    "adapt": StepKind(AdaptRequest, _ADAPT, _adapt, {}),
}


def add_step_flags(parser: argparse.ArgumentParser, kind: str) -> None:
    """Add the flags of one kind of step to a parser."""
    step = KINDS[kind]
    add_flags(parser, step.flags, step.request)
    parser.set_defaults(**step.fixed)


def request_of(arguments: argparse.Namespace, kind: str) -> BaseModel:
    """Return the request that parsed arguments stand for.

    Raises
    ------
    SettingsError
        A value is out of its bounds.
    """
    step = KINDS[kind]
    fixed = tuple(Flag(f"--{name}", name) for name in step.fixed)
    return request_from(arguments, (*step.flags, *fixed), step.request)


def parse_step(words: Sequence[str]) -> tuple[str, BaseModel]:
    """Return kind and request of a step as a model card keeps it.

    Raises
    ------
    SettingsError
        There is no such kind of step, or an argument is unknown or out of bounds.
    """
    kind = words[0] if words else ""
    if kind not in KINDS:
        raise SettingsError(f"There is no training step {kind!r}.", f"Known: {', '.join(KINDS)}.")
    parser = RefusingParser(prog=shlex.join(words), add_help=False, allow_abbrev=False)
    add_step_flags(parser, kind)
    return kind, request_of(parser.parse_args(list(words[1:])), kind)


def step_of(request: BaseModel) -> Words:
    """Return the words that `parse_step` turns into the same request, files by last name."""
    unsupervised = getattr(request, "network", None) == "WNet"
    fitting = (k for k, step in KINDS.items() if isinstance(request, step.request))
    kind = "wnet" if unsupervised and isinstance(request, TrainingRequest) else next(fitting)
    return (kind, *arguments_of(request, KINDS[kind].flags))
