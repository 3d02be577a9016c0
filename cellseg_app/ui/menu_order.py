"""Which actions stand where in the menus and the toolbar, as data. Qt-free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SEPARATOR: Final = None
# Of the chosen cells; also in the table's own menu.
CELL_ACTIONS: Final = ("delete_cells", "merge_cells", "split_cell", "split_cell_into")
# Filled by the main window: "@recent" with files, "@panels" with the docks.
MENUS: Final[Mapping[str, tuple[str | None, ...]]] = {
    "&File": (
        "open",
        "open_folder",
        "open_address",
        "open_sample",
        "@recent",
        SEPARATOR,
        "open_record",
        "rerun_record",
        SEPARATOR,
        "quit",
    ),
    "&Run": (
        "preview",
        "use_visible",
        "estimate",
        "start",
        "cancel",
        SEPARATOR,
        "retry",
        "apply_here",
        "apply_all",
        SEPARATOR,
        "save_preset",
        "load_preset",
        "reset_form",
    ),
    "&Cells": (
        *CELL_ACTIONS,
        SEPARATOR,
        "undo",
        "redo",
        SEPARATOR,
        "save_corrections",
    ),
    "&Export": (
        "export_csv",
        "export_excel",
        "export_points",
        SEPARATOR,
        "export_labels",
        "export_probability",
        SEPARATOR,
        "export_methods",
        "export_record",
        SEPARATOR,
        "screenshot",
    ),
    "&View": (
        "compare",
        SEPARATOR,
        "@panels",
        SEPARATOR,
        "theme_system",
        "theme_light",
        "theme_dark",
        SEPARATOR,
        "reset_layout",
    ),
    "&Help": ("shortcuts", "report", "open_logs", SEPARATOR, "check_updates", "about"),
}
TOOLBAR: Final = (
    "open", "open_folder", "open_sample", SEPARATOR, "preview", "start", "cancel", SEPARATOR,
    "compare", "screenshot",
)  # fmt: skip
