"""Editors of voxel sizes, folders, and of lists known only at run time."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QToolButton,
)

from cellseg_app.ui.forms.editor_base import SET_WORD, ComboBox, Editor
from cellseg_app.ui.forms.field_specs import FieldSpec


class TripleEditor(Editor):
    """Three lengths Z, Y, X, or those of the file."""

    def __init__(self, spec: FieldSpec) -> None:
        super().__init__(spec)
        self.box = ComboBox()
        self.box.addItem(spec.choices[0][1])
        self.box.addItem(SET_WORD)
        self.box.activated.connect(self._on_q_word)
        self._add(self.box, stretch=1)
        numbers = QHBoxLayout()
        numbers.setSpacing(3)
        self._column.addLayout(numbers)
        self.spins: list[QDoubleSpinBox] = []
        for axis in "ZYX":
            spin = QDoubleSpinBox()
            spin.setDecimals(3)
            spin.setRange(0.001, 1000)
            spin.setSingleStep(0.1)
            spin.setKeyboardTracking(False)
            spin.setToolTip(f"{axis} in {spec.unit}")
            spin.setMinimumWidth(40)
            spin.setValue(1.0)
            spin.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
            spin.setAccessibleName(f"{spec.title} {axis}")
            numbers.addWidget(spin)
            spin.valueChanged.connect(self._on_q_number)
            self.spins.append(spin)

    def show_value(self, value: object) -> None:
        """Show a value without sending `edited`."""
        self.box.setCurrentIndex(0 if value is None else 1)
        if isinstance(value, tuple):
            self._fill(value)
        for spin in self.spins:
            spin.setVisible(value is not None)

    def suggest(self, value: tuple[float, float, float] | None) -> None:
        """Fill in the file's size, where setting another one begins."""
        if value is not None and self.box.currentIndex() == 0:
            self._fill(value)

    def _fill(self, value: tuple[float, ...]) -> None:
        for spin, number in zip(self.spins, value, strict=True):
            with QSignalBlocker(spin):
                spin.setValue(number)

    def _on_q_word(self, index: int) -> None:
        for spin in self.spins:
            spin.setVisible(index == 1)
        if index == 0:
            self.edited.emit(None)
        else:
            self._on_q_number()

    def _on_q_number(self) -> None:
        self.edited.emit(tuple(spin.value() for spin in self.spins))


class LineEditor(Editor):
    """A line of text with a button that helps to fill it in."""

    placeholder, button_text, tip = "", "…", ""

    def __init__(self, spec: FieldSpec) -> None:
        super().__init__(spec)
        self.line = QLineEdit()
        self.line.setPlaceholderText(self.placeholder)
        self._add(self.line, stretch=1)
        self.button = QToolButton()
        self.button.setText(self.button_text)
        self.button.setToolTip(self.tip)
        self._add(self.button, name=f"{self.tip}: {spec.title.lower()}")
        self.line.editingFinished.connect(self._on_q_edited)
        self.button.clicked.connect(self._on_q_button)

    def show_value(self, value: object) -> None:
        """Show a value without sending `edited`."""
        self.line.setText(str(value or ""))
        self.line.setToolTip(str(value or ""))

    def _take(self, text: str) -> None:
        if text:
            self.line.setText(text)
            self.edited.emit(text)

    def _on_q_edited(self) -> None:
        self.edited.emit(self.line.text().strip())

    def _on_q_button(self) -> None:
        raise NotImplementedError


class FolderEditor(LineEditor):
    """A folder, typed or chosen."""

    placeholder, tip = "beside the volume", "Choose a folder"

    def _on_q_button(self) -> None:
        self._take(QFileDialog.getExistingDirectory(self, self.spec.title, self.line.text()))


class FileEditor(LineEditor):
    """A file, chosen, or typed, as must be the name of an OME-Zarr folder."""

    placeholder, tip = "none", "Choose a file"

    def _on_q_button(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(
            self, self.spec.title, self.line.text(), "Images (*.tif *.tiff);;All files (*)"
        )
        self._take(chosen)


class BoxEditor(LineEditor):
    """A box of voxels, typed or taken from what is in view.

    Signals
    -------
    visible_asked
        The user wants the box that is in view.
    """

    visible_asked = Signal()
    placeholder, button_text, tip = "whole volume", "View", "Take the part in view"

    def _on_q_button(self) -> None:
        self.visible_asked.emit()


class ListEditor(Editor):
    """A word out of a list that is known only at run time, or a file: weights and devices."""

    def __init__(self, spec: FieldSpec, *, none_title: str, browse_filter: str = "") -> None:
        super().__init__(spec)
        self._none_title = none_title
        self._entries: list[tuple[object, str, bool]] = []
        self._value: object = None
        self._filter = browse_filter
        self.box = ComboBox()
        self.box.activated.connect(self._on_q_activated)
        self._add(self.box, stretch=1)
        if browse_filter:
            button = QToolButton()
            button.setText("…")
            button.setToolTip("Choose a weights file of your own")
            button.clicked.connect(self._on_q_browse)
            self._add(button, name=f"Choose {spec.title.lower()} file")

    def set_entries(self, entries: list[tuple[object, str, bool]]) -> None:
        """Offer values with their titles, and whether they can be chosen."""
        self._entries = entries
        self.show_value(self._value)

    def show_value(self, value: object) -> None:
        """Show a value without sending `edited`."""
        self._value = value
        shown = list(self._entries)
        if value not in [entry[0] for entry in shown]:
            title = self._none_title if value is None else _file_title(value)
            shown.insert(0, (value, title, True))
        self.box.clear()
        for entry, title, is_enabled in shown:
            self.box.addItem(title, entry)
            row = self.box.count() - 1
            self.box.setItemData(row, title, Qt.ItemDataRole.ToolTipRole)
            if not is_enabled:
                _disable_row(self.box, row)
        self.box.setCurrentIndex([entry[0] for entry in shown].index(value))
        self.box.setToolTip(self.box.currentText())

    def _on_q_activated(self, index: int) -> None:
        self.edited.emit(self.box.itemData(index))

    def _on_q_browse(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self, self.spec.title, "", self._filter)
        if chosen:
            self.edited.emit(chosen)


def _file_title(value: object) -> str:
    text = str(value)
    return Path(text).name if ("/" in text or "\\" in text) else text


def _disable_row(box: QComboBox, row: int) -> None:
    item = getattr(box.model(), "item", None)
    if item is not None:
        item(row).setEnabled(False)
