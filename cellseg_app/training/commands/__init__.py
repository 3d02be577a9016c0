"""`cellseg train`: simulate volumes, train networks, fine-tune them, repeat a training."""

from __future__ import annotations

import argparse
from typing import Final

from cellseg_app.core.interrupt import cancel_on_interrupt
from cellseg_app.training.commands.card_commands import add_bundle, add_reproduce
from cellseg_app.training.commands.display import bars
from cellseg_app.training.steps import KINDS, add_step_flags, request_of

_SHORT: Final = {
    "finetune": "teach a network with your own images and labels",
    "adapt": "let WNet learn from your own volumes, without labels",
    "simulate": "write simulated volumes with labels",
    "supervised": "train a network on volumes with labels",
    "wnet": "train WNet; the labels are only used to judge it",
}
_ABOUT: Final = """To teach a network your cells:
1. Correct the labels of one to five volumes (Fiji, napari: one number per cell).
2. Put NAME_image.tif and NAME_labels.tif side by side into one folder.
3. cellseg train finetune --data FOLDER -o mine
4. Look at mine/mine_curve.svg: the Dice of volumes not learned from should rise.
5. cellseg run brain.tif --weights mine/mine.safetensors -o results
"""


def add_train_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `train` and its own commands; each sets `func`."""
    train = commands.add_parser(
        "train",
        help="fine-tune networks, train them, simulate volumes",
        epilog=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = train.add_subparsers(dest="kind", required=True, metavar="WHAT")
    for kind, text in _SHORT.items():
        parser = kinds.add_parser(
            kind,
            help=text,
            epilog=_ABOUT if kind == "finetune" else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        add_step_flags(parser, kind)
        parser.set_defaults(func=_run_step)
    add_reproduce(kinds.add_parser("reproduce", help="train again as a model card says"))
    add_bundle(kinds.add_parser("bundle", help="copy a finished training with a complete card"))


def _run_step(arguments: argparse.Namespace) -> int:
    request = request_of(arguments, arguments.kind)
    with bars() as sink, cancel_on_interrupt() as cancel:
        result = KINDS[arguments.kind].run(request, sink, cancel)
    print(result)  # noqa: T201
    return 0
