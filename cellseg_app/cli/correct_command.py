"""`cellseg correct`: cells of a finished result deleted, merged and split."""

from __future__ import annotations

import argparse
from pathlib import Path

from cellseg_app.cli.terminal import display_for
from cellseg_app.core.interrupt import cancel_on_interrupt


def add_correct_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `correct`."""
    correct = commands.add_parser(
        "correct",
        help="delete, merge and split cells of a finished result",
        description="Applies a list of corrections to the labels of a result and writes labels, "
        "table and record of the corrected cells beside it, with _corrected in their names; only "
        "corrected cells are measured anew. EDITS.json is a list such as "
        '[{"kind": "delete", "labels": [3, 8]}, {"kind": "merge", "labels": [4, 5]}, '
        '{"kind": "split", "label": 6, "seeds_zyx": [[4, 20, 31], [4, 28, 33]], '
        '"new_labels": [120]}], or the record of a corrected result, whose corrections are made '
        "again. A merged cell keeps the smallest id; of a split one the part of the first seed (a "
        "voxel, Z Y X) keeps it.",
    )
    correct.add_argument("record", type=Path, metavar="RECORD.json", help="record of a run")
    correct.add_argument(
        "--edits", type=Path, required=True, metavar="EDITS.json", help="what to correct"
    )
    correct.add_argument("--json", action="store_true", help="JSON lines instead of text")
    correct.set_defaults(func=_correct)


def _correct(arguments: argparse.Namespace) -> int:
    from cellseg_app.pipeline.correctable import open_correctable
    from cellseg_app.pipeline.corrections import read_edits, save_corrections
    from cellseg_app.pipeline.reporting import Reporting

    with display_for(as_json=arguments.json) as display, cancel_on_interrupt() as cancel:
        report = Reporting(
            display.progress, cancel, lambda sentence: display.event("note", sentence)
        )
        opened = open_correctable(arguments.record, report)
        done = opened.begin(read_edits(arguments.edits, opened))
        result = save_corrections(opened, done, report)
        display.event(
            "result",
            f"{arguments.record.name}: {result.n_cells} cells, {result.files.record}",
            n_cells=result.n_cells,
            n_edits=len(done.edits),
            record=str(result.files.record),
        )
    return 0
