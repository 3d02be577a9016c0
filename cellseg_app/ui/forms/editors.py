"""One editor per kind of field: each shows a value, says when the user changed it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from PySide6.QtCore import QObject, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QSizePolicy,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from cellseg_app.ui.forms.field_specs import FieldSpec

_SET: Final = "Set…"
_SLIDER_STEPS: Final = 100


class Editor(QWidget):
    """Base of all editors; `edited` is sent only for changes by the user."""

    edited = Signal(object)

    def __init__(self, spec: FieldSpec) -> None:
        super().__init__()
        self.spec = spec
        self.setObjectName(spec.name)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(2)
        self._row = QHBoxLayout()
        self._row.setSpacing(4)
        self._column.addLayout(self._row)

    def show_value(self, value: object) -> None:
        """Show a value without sending `edited`."""
        raise NotImplementedError

    def set_bounds(self, minimum: float, maximum: float) -> None:
        """Narrow the bounds, where the volume at hand does."""

    def _add(self, widget: QWidget, *, stretch: int = 0, name: str = "") -> None:
        widget.setAccessibleName(name or self.spec.title)
        widget.setAccessibleDescription(self.spec.help)
        self._row.addWidget(widget, stretch)
        if self.focusProxy() is None:
            self.setFocusProxy(widget)


class ComboBox(QComboBox):
    """A combo box that scrolling over the form does not change."""

    def __init__(self) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(5)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to the form unless the box has the focus."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class _Spin(QDoubleSpinBox):
    def __init__(self, spec: FieldSpec) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setDecimals(0 if spec.is_whole else (2 if spec.maximum <= 1 else 3))
        self.setRange(spec.minimum, spec.maximum)
        self.setSingleStep(spec.step)
        self.setKeyboardTracking(False)
        self.setSpecialValueText(spec.word_for_least)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(56)
        if spec.unit:
            self.setSuffix(f" {spec.unit}")

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()

    def textFromValue(self, value: float) -> str:
        return (
            f"{value:.{self.decimals()}f}".rstrip("0").rstrip(".")
            if self.decimals()
            else (f"{value:.0f}")
        )


class FlagEditor(Editor):
    """Yes or no."""

    def __init__(self, spec: FieldSpec) -> None:
        super().__init__(spec)
        self.box = QCheckBox()
        self._add(self.box, stretch=1)
        self.box.toggled.connect(self.edited.emit)

    def show_value(self, value: object) -> None:
        """Show a value without sending `edited`."""
        with QSignalBlocker(self.box):
            self.box.setChecked(bool(value))


class ChoiceEditor(Editor):
    """One of some words."""

    def __init__(self, spec: FieldSpec) -> None:
        super().__init__(spec)
        self.box = ComboBox()
        for value, title in spec.choices:
            self.box.addItem(title, value)
        self._add(self.box, stretch=1)
        self.box.activated.connect(self._on_q_activated)

    def show_value(self, value: object) -> None:
        """Show a value without sending `edited`."""
        self.box.setCurrentIndex([v for v, _ in self.spec.choices].index(value))

    def _on_q_activated(self, index: int) -> None:
        self.edited.emit(self.spec.choices[index][0])


class NumberEditor(Editor):
    """A number, or one of some words instead; with a slider where the range is short."""

    def __init__(self, spec: FieldSpec) -> None:
        super().__init__(spec)
        self._words = [value for value, _ in spec.choices]
        self.box: ComboBox | None = None
        self.slider: QSlider | None = None
        self.spin = _Spin(spec)
        if self._words:
            self.box = ComboBox()
            for _, title in spec.choices:
                self.box.addItem(title)
            self.box.addItem(_SET)
            self.box.activated.connect(self._on_q_word)
            self._add(self.box, stretch=3)
        if spec.name.endswith("threshold.threshold"):
            self.slider = _slider(self._on_q_slider)
            self.slider.setAccessibleName(f"{spec.title} slider")
            self.slider.setAccessibleDescription(spec.help)
            self._column.addWidget(self.slider)
        self._add(self.spin, stretch=3)
        self.spin.valueChanged.connect(self._on_q_number)

    def show_value(self, value: object) -> None:
        """Show a value without sending `edited`."""
        is_word = value in self._words
        if self.box is not None:
            self.box.setCurrentIndex(self._words.index(value) if is_word else len(self._words))
        if not is_word and isinstance(value, (int, float)):
            self._show_number(float(value))
        self._show_parts(is_word=is_word)

    def set_bounds(self, minimum: float, maximum: float) -> None:
        """Narrow the bounds, where the volume at hand does."""
        with QSignalBlocker(self.spin):
            self.spin.setRange(minimum, maximum)

    def suggest(self, value: float | None) -> None:
        """Remember what a word stands for; it is where setting a number begins."""
        if value is not None and self.box is not None and not self.spin.isVisibleTo(self):
            self._show_number(value)

    def _show_parts(self, *, is_word: bool) -> None:
        self.spin.setVisible(not is_word)
        if self.slider is not None:
            self.slider.setVisible(not is_word)

    def _show_number(self, value: float) -> None:
        with QSignalBlocker(self.spin):
            self.spin.setValue(value)
        if self.slider is not None:
            with QSignalBlocker(self.slider):
                self.slider.setValue(round(value * _SLIDER_STEPS))

    def _on_q_word(self, index: int) -> None:
        is_word = index < len(self._words)
        self._show_parts(is_word=is_word)
        if is_word:
            self.edited.emit(self._words[index])
        else:
            self._on_q_number(self.spin.value())

    def _on_q_slider(self, value: int) -> None:
        self._show_number(value / _SLIDER_STEPS)
        self.edited.emit(value / _SLIDER_STEPS)

    def _on_q_number(self, value: float) -> None:
        self._show_number(value)
        self.edited.emit(int(value) if self.spec.is_whole else value)


def _slider(on_change: Callable[[int], None]) -> QSlider:
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setRange(0, _SLIDER_STEPS)
    slider.setMinimumWidth(60)
    slider.valueChanged.connect(on_change)
    return slider


class TextEditor(Editor):
    """A line of text."""

    def __init__(self, spec: FieldSpec) -> None:
        super().__init__(spec)
        self.line = QLineEdit()
        self._add(self.line, stretch=1)
        self.line.editingFinished.connect(lambda: self.edited.emit(self.line.text()))

    def show_value(self, value: object) -> None:
        """Show a value without sending `edited`."""
        self.line.setText(str(value or ""))


class TripleEditor(Editor):
    """Three lengths Z, Y, X, or those of the file."""

    def __init__(self, spec: FieldSpec) -> None:
        super().__init__(spec)
        self.box = ComboBox()
        self.box.addItem(spec.choices[0][1])
        self.box.addItem(_SET)
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


class FolderEditor(Editor):
    """A folder, typed or chosen."""

    def __init__(self, spec: FieldSpec) -> None:
        super().__init__(spec)
        self.line = QLineEdit()
        self.line.setPlaceholderText("beside the volume")
        self._add(self.line, stretch=1)
        button = QToolButton()
        button.setText("…")
        button.setToolTip("Choose a folder")
        self._add(button, name=f"Choose {spec.title.lower()}")
        self.line.editingFinished.connect(lambda: self.edited.emit(self.line.text().strip()))
        button.clicked.connect(self._on_q_choose)

    def show_value(self, value: object) -> None:
        """Show a value without sending `edited`."""
        self.line.setText(str(value or ""))
        self.line.setToolTip(str(value or ""))

    def _on_q_choose(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, self.spec.title, self.line.text())
        if chosen:
            self.line.setText(chosen)
            self.edited.emit(chosen)


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


WEIGHTS_FILTER: Final = "Weights (*.safetensors *.pth *.pt *.ckpt *.onnx *.json);;All files (*)"


def make_editor(spec: FieldSpec, parent: QObject | None = None) -> Editor:
    """Return the editor of a field."""
    if spec.kind == "weights":
        return ListEditor(spec, none_title="Bundled", browse_filter=WEIGHTS_FILTER)
    if spec.kind == "device":
        return ListEditor(spec, none_title="Automatic")
    editors: dict[str, type[Editor]] = {
        "flag": FlagEditor,
        "choice": ChoiceEditor,
        "number": NumberEditor,
        "text": TextEditor,
        "triple": TripleEditor,
        "folder": FolderEditor,
    }
    return editors[spec.kind](spec)
