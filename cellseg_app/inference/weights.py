"""Loading a network: architecture and weights checked against each other, strictly."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import torch
from torch import nn

from cellseg_app.core.errors import SettingsError, WeightsError
from cellseg_app.inference.cards import (
    CARD_SUFFIX,
    ModelCard,
    card_path_for,
    looks_like_card,
    read_card,
)
from cellseg_app.inference.compatible import compatible_card
from cellseg_app.inference.fingerprint import sha256_of
from cellseg_app.inference.graph_networks import OnnxNetwork, probe_classes
from cellseg_app.inference.nets import architecture_name, build_network
from cellseg_app.inference.recognize import recognize, recognize_architecture
from cellseg_app.inference.weights_formats import State, WeightsFile, read_weights

_LISTED: Final = 10
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedNetwork:
    """A network ready to run.

    Attributes
    ----------
    module
        In eval mode, float32, on the CPU, frozen; (N, 1, Z, Y, X) in, (N, classes, Z, Y, X) out.
    card
        How to use it.
    sha256
        Hash of the weights file, for the run record.
    path
        The weights file.
    cpu_only
        Whether `module` runs on the CPU whatever device is chosen (ONNX files).
    notes
        What the user should know about how the file was read.
    """

    module: nn.Module
    card: ModelCard
    sha256: str
    path: Path
    cpu_only: bool = False
    notes: tuple[str, ...] = ()


def load_network(
    card_or_path: Path, *, network: str | None = None, input_size: int | None = None
) -> LoadedNetwork:
    """Return the network of a card or of a weights file.

    A weights file with a card beside it is used as the card says; one without gets a
    CellSeg3D-compatible card.

    Parameters
    ----------
    card_or_path
        A card (.json) or a weights file.
    network
        The architecture the user chose; a file for another one is refused.
    input_size
        Window extent that weights without a card were trained with (voxels).

    Raises
    ------
    WeightsError
        The file is damaged, is for another network, does not fit key by key, or is not the
        file its card was written for.
    SettingsError
        `network` is unknown or `input_size` cannot be.
    """
    wanted = architecture_name(network) if network else None
    card_path = find_card(card_or_path)
    if card_path is None:
        return _load_without_card(card_or_path, wanted, input_size)
    loaded = _load_by_card(read_card(card_path), card_path, wanted)
    return replace(loaded, card=_with_input_size(loaded.card, input_size))


def find_card(card_or_path: Path) -> Path | None:
    """Return the card of a card or weights file, or None where a weights file has none.

    A JSON file of the same name that is no card, such as a training log, is left alone.
    """
    if card_or_path.suffix == CARD_SUFFIX:
        return card_or_path
    beside = card_path_for(card_or_path)
    if not looks_like_card(beside):
        return None
    return beside if read_card(beside).weights_file == card_or_path.name else None


def _load_by_card(card: ModelCard, card_path: Path, wanted: str | None) -> LoadedNetwork:
    path = card_path.with_name(card.weights_file)
    if not path.is_file():
        raise WeightsError(
            f"The weights file of {card.name} is missing.",
            f"Put it beside its card {card_path.name}, or import the weights again.",
            path=path,
        )
    sha256 = sha256_of(path)
    if sha256 != card.weights_sha256:
        raise WeightsError(
            f"The weights file of {card.name} is not the one its card was written for "
            f"(SHA-256 {sha256[:12]}… instead of {card.weights_sha256[:12]}…).",
            "It was damaged or replaced; install, download or import it again.",
            path=path,
        )
    file = read_weights(path)
    _check_choice(card.architecture, wanted, path)
    module, notes = _module_of(file, card.architecture, card.options)
    return _loaded(file, module, card, sha256=sha256, notes=notes)


def _load_without_card(path: Path, wanted: str | None, input_size: int | None) -> LoadedNetwork:
    file = read_weights(path)
    card = card_for(file, network=wanted, input_size=input_size)
    module, notes = _module_of(file, card.architecture, card.options)
    note = "No model card lies beside these weights: they are used as the CellSeg3D plugin does."
    return _loaded(file, module, card, sha256=card.weights_sha256, notes=(note, *notes))


def card_for(
    file: WeightsFile, *, network: str | None = None, input_size: int | None = None
) -> ModelCard:
    """Return a CellSeg3D-compatible card for a file, from what can be recognized in it.

    Raises
    ------
    WeightsError
        The file is for another network than `network`, or for none of the five.
    SettingsError
        `input_size` contradicts the file.
    """
    wanted = architecture_name(network) if network else None
    if file.network is not None:
        return _card_of_graph(file, file.network, wanted, input_size)
    architecture, options = recognize({key: tuple(t.shape) for key, t in file.state.items()})
    _check_choice(architecture, wanted, file.path)
    trained = options.get("input_size")
    if input_size is None and isinstance(trained, int):
        input_size = trained
    elif architecture == "SegResNet" and options.get("vae", True):
        _check_input_size(input_size, trained if isinstance(trained, int) else 64, file.path)
    return compatible_card(architecture, file.path, input_size, options=options)


def _card_of_graph(
    file: WeightsFile, graph: nn.Module, wanted: str | None, input_size: int | None
) -> ModelCard:
    recognized = recognize_architecture(file.state)
    if recognized:
        _check_choice(recognized, wanted, file.path)
    window = graph.window if isinstance(graph, OnnxNetwork) else None
    declared = graph.classes if isinstance(graph, OnnxNetwork) else None
    return compatible_card(
        recognized or wanted or "custom",
        file.path,
        input_size,
        file_kind=file.kind,
        classes=declared or probe_classes(graph, file.path, window=window or input_size),
        window=window,
    )


def _module_of(
    file: WeightsFile, architecture: str, options: Mapping[str, object]
) -> tuple[nn.Module, tuple[str, ...]]:
    if file.network is not None:
        return file.network.eval(), file.notes
    recognized = recognize_architecture(file.state)
    if recognized:
        _check_choice(recognized, architecture, file.path)
    module = build_network(architecture, options)
    state, ignored = _without_decoder(file.state, module)
    _check_fit(state, module.state_dict(), architecture, file.path)
    module.load_state_dict(state, strict=True)
    notes = file.notes
    if ignored:
        notes += (f"{ignored} weights of the WNet decoder were left out; only training needs it.",)
    return module.eval(), notes


def _without_decoder(state: State, module: nn.Module) -> tuple[State, int]:
    if not hasattr(module, "encoder") or hasattr(module, "decoder"):
        return state, 0
    kept = {key: value for key, value in state.items() if not key.startswith("decoder.")}
    return kept, len(state) - len(kept)


def _check_fit(
    state: State, expected: Mapping[str, torch.Tensor], architecture: str, path: Path
) -> None:
    reshaped = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(expected[key].shape)}"
        for key in expected
        if key in state and state[key].shape != expected[key].shape
    ]
    other_kind = [
        key
        for key in expected
        if key in state and state[key].is_floating_point() != expected[key].is_floating_point()
    ]
    faults = [
        _listing([key for key in expected if key not in state], "missing"),
        _listing([key for key in state if key not in expected], "unexpected"),
        _listing(reshaped, "of another shape"),
        _listing(other_kind, "of another number type"),
    ]
    if any(faults):
        raise WeightsError(
            f"These weights do not fit {architecture}: {'; '.join(f for f in faults if f)}.",
            "Use the file the network was saved to, unchanged, and its own card.",
            path=path,
        )


def _listing(names: list[str], what: str) -> str:
    if not names:
        return ""
    more = ", …" if len(names) > _LISTED else ""
    return f"{len(names)} {what} ({', '.join(names[:_LISTED])}{more})"


def _check_choice(found: str, wanted: str | None, path: Path) -> None:
    if wanted and found not in (wanted, "custom"):
        raise WeightsError(
            f"These weights are for {found}, not for {wanted}.", f"Choose {found}.", path=path
        )


def _check_input_size(chosen: int | None, trained: int, path: Path) -> None:
    # The file only tells the extent up to the next multiple of 16.
    if chosen and chosen // 16 != trained // 16:
        raise SettingsError(
            f"These SegResNet weights were trained with windows of {trained} voxels, not {chosen}.",
            f"Leave the input size away or give {trained}.",
            path=path,
        )


def _with_input_size(card: ModelCard, input_size: int | None) -> ModelCard:
    if input_size is None or input_size == card.window_default:
        return card
    if card.window_fixed or input_size % card.divisor or input_size < card.minimum:
        raise SettingsError(
            f"{card.name} cannot run with an input size of {input_size} voxels.",
            f"Leave the input size away; its card says {card.window_default}.",
        )
    return card.model_copy(update={"window_default": input_size})


def _loaded(
    file: WeightsFile, module: nn.Module, card: ModelCard, *, sha256: str, notes: tuple[str, ...]
) -> LoadedNetwork:
    for note in notes:
        _log.info("%s: %s", file.path.name, note)
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    return LoadedNetwork(
        module=module,
        card=card,
        sha256=sha256,
        path=file.path,
        cpu_only=isinstance(module, OnnxNetwork),
        notes=notes,
    )
