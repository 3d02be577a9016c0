"""About the program, and the list of its keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from cellseg_app import __version__
from cellseg_app.ui.icons import app_icon

_VIEWER_KEYS: Final = (
    ("Mouse wheel, Page Up, Page Down", "Next or previous slice"),
    ("Ctrl + wheel", "Zoom"),
    ("Drag", "Move the picture"),
    ("Click", "Choose the cell"),
    ("Ctrl + click", "Choose one more cell, or one less"),
    ("Home", "Show the whole volume"),
    ("Escape", "Back from a maximised pane"),
)


class AboutDialog(QDialog):
    """Version, purpose, licence."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("About CellSeg")
        picture = QLabel()
        picture.setPixmap(app_icon().pixmap(96, 96))
        picture.setAlignment(Qt.AlignmentFlag.AlignTop)
        words = QLabel(
            f"<h2>CellSeg {__version__}</h2>"
            "<p>Finds every cell in 3D microscope volumes: five networks, no terminal, no network "
            "connection, no graphics card needed.</p>"
            "<p>Networks: SegResNet, SwinUNetR, WNet, TRAILMAP_MS, VNet. Compatible with the "
            "weights of CellSeg3D (Achard et al., eLife, doi:10.7554/eLife.99848).</p>"
            "<p>BSD 3-Clause licence. Built with Qt, PySide6, PyTorch, MONAI, pyqtgraph and vispy; "
            "their licences come with the program.</p>"
        )
        words.setWordWrap(True)
        words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        words.setMinimumWidth(380)
        row = QHBoxLayout()
        row.addWidget(picture)
        row.addWidget(words, 1)
        column = QVBoxLayout(self)
        column.addLayout(row)
        column.addWidget(_close_button(self))


class ShortcutsDialog(QDialog):
    """Every key, read from the actions."""

    def __init__(self, actions: Mapping[str, QAction], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keyboard shortcuts")
        self.resize(460, 520)
        content = QWidget()
        form = QFormLayout(content)
        for action in actions.values():
            if not action.shortcut().isEmpty():
                keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
                form.addRow(keys, QLabel(action.whatsThis()))
        for keys, what in _VIEWER_KEYS:
            form.addRow(keys, QLabel(what))
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(content)
        column = QVBoxLayout(self)
        column.addWidget(area)
        column.addWidget(_close_button(self))


def _close_button(dialog: QDialog) -> QDialogButtonBox:
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
    buttons.rejected.connect(dialog.reject)
    return buttons
