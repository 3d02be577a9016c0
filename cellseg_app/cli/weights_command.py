"""`cellseg weights`: what there is, whether it is intact, and how more gets in."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cellseg_app.cli import exit_codes
from cellseg_app.cli.terminal import Display, display_for
from cellseg_app.core.progress import CancelToken
from cellseg_app.inference import catalog, installation


def add_weights_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `weights` and its subcommands."""
    parser = commands.add_parser("weights", help="list, check, import or download weights")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = _adder(actions)
    add("list", "all weights: bundled, your own, and published ones", _list)
    info = add("info", "the model card of weights", _info)
    info.add_argument("name", help="a name from the list, or a weights file")
    verify = add("verify", "compare weights files with the hashes in their cards", _verify)
    verify.add_argument("names", nargs="*", help="names from the list; all without")
    importer = add("import", "copy a weights file into your own folder, with a card", _import)
    importer.add_argument("file", type=Path)
    importer.add_argument("--model", help="the network it is for, where the file does not tell")
    importer.add_argument("--input-size", type=int, help="window it was trained with, in voxels")
    download = add("download", "fetch published CellSeg3D weights", _download)
    download.add_argument("name", help="SwinUNetR, SegResNet, WNet, TRAILMAP_MS or VNet")


def _adder(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> Any:  # noqa: ANN401
    def add(name: str, text: str, run: Any) -> argparse.ArgumentParser:  # noqa: ANN401
        parser = actions.add_parser(name, help=text)
        parser.add_argument("--json", action="store_true", help="JSON lines instead of text")
        parser.set_defaults(func=lambda arguments: _shown(run, arguments))
        return parser

    return add


def _shown(run: Any, arguments: argparse.Namespace) -> int:  # noqa: ANN401
    with display_for(as_json=arguments.json) as display:
        return int(run(arguments, display))


def _list(arguments: argparse.Namespace, display: Display) -> int:
    for entry in catalog.list_weights():
        fault = f"  ! {entry.problem}" if entry.problem else ""
        display.event(
            "result",
            f"{entry.name:<28} {entry.architecture:<12} {entry.origin:<10} {entry.title}{fault}",
            name=entry.name,
            architecture=entry.architecture,
            origin=entry.origin,
            title=entry.title,
            problem=entry.problem,
        )
    return 0


def _info(arguments: argparse.Namespace, display: Display) -> int:
    entry = catalog.weights_info(arguments.name)
    card = entry.card.model_dump(mode="json") if entry.card else {}
    lines = [f"{key}: {value}" for key, value in card.items() if value not in ("", None, {})]
    display.event("result", "\n".join([*lines, entry.problem]).strip(), card=card)
    return 0


def _verify(arguments: argparse.Namespace, display: Display) -> int:
    checks = catalog.verify_weights(arguments.names)
    for check in checks:
        text = f"{check.name}: {'intact' if check.ok else check.problem}"
        display.event("result" if check.ok else "error", text, name=check.name, ok=check.ok)
    return exit_codes.OK if all(check.ok for check in checks) else exit_codes.INPUT_AT_FAULT


def _import(arguments: argparse.Namespace, display: Display) -> int:
    entry = installation.import_weights(
        arguments.file, network=arguments.model, input_size=arguments.input_size
    )
    display.event("result", f"Imported as {entry.name} ({entry.architecture}).", name=entry.name)
    return 0


def _download(arguments: argparse.Namespace, display: Display) -> int:
    entry = installation.download_weights(
        arguments.name, progress=display.progress, cancel=CancelToken()
    )
    display.event("result", f"Downloaded as {entry.name}.", name=entry.name)
    return 0
