"""What can be done now, as values. Qt-free."""

from __future__ import annotations

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
