"""What can be done now, as values. Qt-free."""

from __future__ import annotations

from dataclasses import dataclass

from cellseg_app.core.edits import MOST_CELLS
from cellseg_app.state.session import Session


def possible(
    session: Session, *, is_running: bool, is_tuned: bool, is_preview: bool
) -> dict[str, bool]:
    """Return for each action of a run whether it can be done.

    Parameters
    ----------
    session
        The list of volumes.
    is_running
        Whether the engine is at work for the user.
    is_tuned
        Whether the cells shown are not those of a file any more.
    is_preview
        Whether a preview is looked at.
    """
    item, items = session.current_item, session.items
    can_run = item is not None and item.runnable and not is_running
    any_result = any(i.record is not None for i in items)
    can_apply = is_tuned and any_result and not is_preview and not is_running
    return {
        "preview": can_run,
        "estimate": can_run,
        "use_visible": item is not None and item.runnable,
        "start": any(i.runnable for i in items) and not is_running,
        "cancel": is_running,
        "retry": any(i.state in ("failed", "cancelled") for i in items) and not is_running,
        "apply_here": can_apply and item is not None and item.record is not None,
        "apply_all": can_apply,
        "compare": any_result,
    }


@dataclass(frozen=True, slots=True)
class CorrectionState:
    """What decides whether cells can be corrected.

    Attributes
    ----------
    has_labels
        Whether a result with cells is shown.
    is_preview, is_tuned, is_compared
        Whether a preview, cells of no file yet, or results side by side are looked at.
    is_saving
        Whether corrections are being written.
    n_chosen
        Number of chosen cells.
    n_edits, n_undone
        How much can be undone, and done again.
    """

    has_labels: bool = False
    is_preview: bool = False
    is_tuned: bool = False
    is_compared: bool = False
    is_saving: bool = False
    n_chosen: int = 0
    n_edits: int = 0
    n_undone: int = 0


def why_not_corrected(state: CorrectionState) -> dict[str, str]:
    """Return for each action on cells why it cannot be done now; "" where it can."""
    general = _why_nothing(state)
    n = state.n_chosen
    one = "choose one cell, by a click in the slices or in the table."
    too_many = f"at most {MOST_CELLS:,} cells are corrected at once." if n > MOST_CELLS else ""
    several = "choose two cells or more, with Ctrl and a click."
    split = "" if n == 1 else one
    own = {
        "delete_cells": too_many if n else one,
        "merge_cells": too_many if n > 1 else several,
        "split_cell": split,
        "split_cell_into": split,
        "undo": "" if state.n_edits else "nothing was corrected since the last time of saving.",
        "redo": "" if state.n_undone else "nothing was taken back.",
        "save_corrections": "" if state.n_edits else "nothing was corrected.",
    }
    return {key: general or reason for key, reason in own.items()}


def why_not_told(
    *, has_result: bool, is_preview: bool, is_tuned: bool, is_corrected: bool
) -> dict[str, str]:
    """Return for the exports that tell of a run why they cannot be made now; "" where they can.

    They must speak of the cells that the table and the viewer show.

    Parameters
    ----------
    has_result
        Whether there is a result of a run.
    is_preview, is_tuned
        Whether a preview, or cells of no file yet, are looked at.
    is_corrected
        Whether cells were corrected and not saved yet.
    """
    reason = ""
    if is_preview:
        reason = "a preview has no record; run the volume."
    elif not has_result:
        reason = "there is no result; run a volume, or open one."
    elif is_tuned:
        reason = "these cells are not saved yet; Apply here saves them, with their record."
    unsaved = "your corrections are not saved yet; Save corrections writes their record."
    return {
        "export_methods": reason,
        "export_record": reason or (unsaved if is_corrected else ""),
    }


def _why_nothing(state: CorrectionState) -> str:
    if state.is_saving:
        return "the corrections are being saved."
    if state.is_preview:
        return "a preview is not saved, so it cannot be corrected; run the volume."
    if not state.has_labels:
        return "there are no cells; run a volume, or open a result."
    if state.is_tuned:
        return "these cells are not saved yet; Apply here saves them."
    if state.is_compared:
        return "results are compared; leave the comparison first."
    return ""
