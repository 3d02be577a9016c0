"""One editor per kind of field: each shows a value, says when the user changed it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QLineEdit,
    QSizePolicy,
    QSlider,
)

from cellseg_app.ui.forms.editor_base import SET_WORD, ComboBox, Editor
from cellseg_app.ui.forms.field_specs import FieldSpec
from cellseg_app.ui.forms.special_editors import (
    BoxEditor,
    FileEditor,
    FolderEditor,
    ListEditor,
    TripleEditor,
)

_SLIDER_STEPS: Final = 100


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
            self.box.addItem(SET_WORD)
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


WEIGHTS_FILTER: Final = "Weights (*.safetensors *.pth *.pt *.ckpt *.onnx *.json);;All files (*)"


def make_editor(spec: FieldSpec) -> Editor:
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
        "file": FileEditor,
        "box": BoxEditor,
    }
    return editors[spec.kind](spec)
