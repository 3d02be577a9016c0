"""What all editors of fields have in common."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QVBoxLayout, QWidget

from cellseg_app.ui.forms.field_specs import FieldSpec

SET_WORD: Final = "Set…"


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
