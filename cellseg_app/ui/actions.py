"""What the user can do, as data. Qt-free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ActionInfo:
    """One thing the user can do.

    Attributes
    ----------
    is_on_at_first
        Whether it can be done before anything is open.
    is_of_cells
        Whether its key counts only where cells are looked at: letters are typed elsewhere.
    """

    key: str
    text: str
    tip: str
    shortcut: str = ""
    icon: str = ""
    is_on_at_first: bool = True
    is_checkable: bool = False
    is_of_cells: bool = False


ACTIONS: Final = (
    ActionInfo("open", "Open files…", "Open TIFF files", "Ctrl+O", "open"),
    ActionInfo(
        "open_folder",
        "Open folder…",
        "Open a folder of volumes, of 2D slices, or an OME-Zarr",
        "Ctrl+Shift+O",
        "folder",
    ),
    ActionInfo(
        "open_address",
        "Open address…",
        "Open an OME-Zarr on a server (https, s3); only what is looked at is fetched",
        "Ctrl+Shift+A",
    ),
    ActionInfo(
        "open_sample", "Open sample", "Open the volume that comes with CellSeg", "", "sample"
    ),
    ActionInfo(
        "open_record", "Open result…", "Look at an earlier run, by its record (.json)", "Ctrl+R"
    ),
    ActionInfo(
        "rerun_record",
        "Re-run from record…",
        "Take volume and settings from the record of an earlier run",
    ),
    ActionInfo("quit", "Quit", "Close CellSeg", "Ctrl+Q"),
    ActionInfo(
        "preview",
        "Preview",
        "Find the cells in the visible part only; a result in seconds",
        "Ctrl+P",
        "preview",
        is_on_at_first=False,
    ),
    ActionInfo(
        "estimate",
        "Estimate",
        "Say what a run of this volume would need: time, memory, disk",
        "Ctrl+E",
        is_on_at_first=False,
    ),
    ActionInfo(
        "use_visible",
        "Search only the part in view",
        "Restrict runs to the box that is in view; the field Box under Region takes it back",
        "Ctrl+B",
        is_on_at_first=False,
    ),
    ActionInfo(
        "start",
        "Start",
        "Find the cells of every volume in the list",
        "Ctrl+Return",
        "start",
        is_on_at_first=False,
    ),
    ActionInfo(
        "cancel",
        "Cancel",
        "Stop within one window; Start goes on where it stopped",
        "Ctrl+.",
        "cancel",
        is_on_at_first=False,
    ),
    ActionInfo(
        "retry",
        "Run failed ones again",
        "Run the volumes that failed",
        "",
        "retry",
        is_on_at_first=False,
    ),
    ActionInfo(
        "segment_class",
        "Segment this class",
        "Tell the cells of the class shown apart",
        is_on_at_first=False,
    ),
    ActionInfo(
        "apply_here",
        "Apply here",
        "Save the cells of this volume with these settings; no network runs",
        "Ctrl+S",
        "apply",
        is_on_at_first=False,
    ),
    ActionInfo(
        "apply_all",
        "Apply to all",
        "Save the cells of every volume in the list with these settings; no network runs",
        "Ctrl+Shift+S",
        is_on_at_first=False,
    ),
    ActionInfo(
        "delete_cells",
        "Delete cells",
        "Make the chosen cells background",
        "Del",
        is_on_at_first=False,
        is_of_cells=True,
    ),
    ActionInfo(
        "merge_cells",
        "Merge cells",
        "Make the chosen cells one, with the smallest of their numbers",
        "M",
        is_on_at_first=False,
        is_of_cells=True,
    ),
    ActionInfo(
        "split_cell",
        "Split cell in two",
        "Divide the chosen cell at its narrowest place",
        "S",
        is_on_at_first=False,
        is_of_cells=True,
    ),
    ActionInfo(
        "split_cell_into",
        "Split cell into…",
        "Divide the chosen cell into a number of parts, at its narrowest places",
        "Shift+S",
        is_on_at_first=False,
        is_of_cells=True,
    ),
    ActionInfo("undo", "Undo", "Take the last correction back", "Ctrl+Z", is_on_at_first=False),
    ActionInfo(
        "redo",
        "Redo",
        "Do the correction again that was taken back",
        "Ctrl+Shift+Z",
        is_on_at_first=False,
    ),
    ActionInfo(
        "save_corrections",
        "Save corrections",
        "Save labels, table and record of the corrected cells beside the result",
        is_on_at_first=False,
    ),
    ActionInfo("save_preset", "Save preset…", "Save these settings under a name", "", "save"),
    ActionInfo("load_preset", "Load preset file…", "Load settings from a JSON file"),
    ActionInfo("reset_form", "Reset all settings", "Set every field to its default", "", "reset"),
    ActionInfo(
        "export_csv",
        "Export CSV…",
        "Save the cells shown in the table as CSV",
        is_on_at_first=False,
    ),
    ActionInfo(
        "export_excel",
        "Export Excel…",
        "Save the cells shown in the table as an Excel sheet",
        is_on_at_first=False,
    ),
    ActionInfo(
        "export_points",
        "Export points…",
        "Save the positions of the cells shown in the table, for napari, cellfinder, brainreg or "
        "brainrender",
        is_on_at_first=False,
    ),
    ActionInfo(
        "export_labels",
        "Export labels…",
        "Save the labels of the cells shown in the table, as TIFF or OME-Zarr",
        is_on_at_first=False,
    ),
    ActionInfo(
        "export_probability",
        "Export probability…",
        "Save the probability map, as TIFF or OME-Zarr",
        is_on_at_first=False,
    ),
    ActionInfo(
        "export_methods",
        "Export methods paragraph…",
        "Save a paragraph for the methods section of a paper, with references",
        is_on_at_first=False,
    ),
    ActionInfo(
        "export_record",
        "Export run record…",
        "Save a copy of the run record",
        is_on_at_first=False,
    ),
    ActionInfo(
        "screenshot",
        "Save screenshot…",
        "Save the viewer as a picture",
        "Ctrl+Shift+P",
        "screenshot",
    ),
    ActionInfo(
        "compare",
        "Compare results",
        "Show the results of the list side by side, slices linked",
        "Ctrl+G",
        "grid",
        is_on_at_first=False,
    ),
    ActionInfo(
        "theme_system", "Follow the system", "Light or dark as the system", "", is_checkable=True
    ),
    ActionInfo("theme_light", "Light", "Light colours", "", is_checkable=True),
    ActionInfo("theme_dark", "Dark", "Dark colours", "", is_checkable=True),
    ActionInfo("reset_layout", "Reset the layout", "Put every panel back to its place"),
    ActionInfo("shortcuts", "Keyboard shortcuts", "List every key", "F1"),
    ActionInfo("open_logs", "Show log folder", "Open the folder of CellSeg's logs"),
    ActionInfo(
        "check_updates",
        "Check for updates…",
        "Ask whether there is a newer CellSeg; the only time that CellSeg asks the internet",
    ),
    ActionInfo("report", "Report a problem…", "Put log, settings and system into one file to send"),
    ActionInfo("about", "About CellSeg", "Version, networks, licences"),
)
