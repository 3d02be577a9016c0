"""The log of corrections: what it takes, what it refuses, and what it says."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from cellseg_app.core.edits import EDIT_LOG, DeleteCells, MergeCells, SplitCell, edits_sentence

LOG = (
    DeleteCells(labels=(3, 8)),
    MergeCells(labels=(5, 4, 9)),
    SplitCell(label=6, seeds_zyx=((1, 2, 3), (4, 5, 6)), new_labels=(10,)),
)


def test_a_log_survives_json() -> None:
    assert EDIT_LOG.validate_json(EDIT_LOG.dump_json(LOG)) == LOG
    assert LOG[1].kept == 4


@pytest.mark.parametrize(
    "edit",
    [
        {"kind": "paint", "labels": [1]},
        {"kind": "delete", "labels": []},
        {"kind": "delete", "labels": [0]},
        {"kind": "delete", "labels": [2, 2]},
        {"kind": "delete", "labels": [2], "reason": "dust"},
        {"kind": "merge", "labels": [2]},
        {"kind": "split", "label": 1, "seeds_zyx": [[0, 0, 0]], "new_labels": []},
        {"kind": "split", "label": 1, "seeds_zyx": [[0, 0, 0], [0, 0, 0]], "new_labels": [2]},
        {"kind": "split", "label": 1, "seeds_zyx": [[0, 0, 0], [0, 0, 1]], "new_labels": [1]},
        {"kind": "split", "label": 1, "seeds_zyx": [[0, 0, 0], [0, 0, 1]], "new_labels": [2, 3]},
        {"kind": "split", "label": 1, "seeds_zyx": [[0, 0, -1], [0, 0, 1]], "new_labels": [2]},
    ],
)
def test_what_makes_no_sense_is_no_edit(edit: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EDIT_LOG.validate_python([edit])


def test_it_says_in_words_what_was_done() -> None:
    assert edits_sentence(LOG) == (
        "6 cells were corrected by hand: 2 deleted, 3 merged into 1, 1 split into 2."
    )
    assert edits_sentence(LOG[:1]) == "2 cells were corrected by hand: 2 deleted."
