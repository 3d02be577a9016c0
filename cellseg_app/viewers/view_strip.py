"""The strip under the panes: class, projection, mode, and the values under the mouse."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QSlider,
    QSpinBox,
    QToolButton,
    QWidget,
)

from cellseg_app.state.display import Mode, ViewState

_MODES: dict[Mode, tuple[str, str]] = {
    "ortho": ("Slices + 3D", "Show XY, YZ and XZ slices and the volume in 3D"),
    "grid": ("Side by side", "Show every result next to the image, all at the same place"),
}


class ClassSlider(QWidget):
    """Chooses the class shown of a probability map; hidden where there is only one."""

    class_changed = Signal(int)

    def __init__(self, state: ViewState, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state = state
        self._slider = QSlider(Qt.Orientation.Horizontal, self)
        self._slider.setPageStep(1)
        self._slider.setTickPosition(QSlider.TickPosition.TicksBelow)
        self._slider.setAccessibleName("Class")
        self._slider.setToolTip("Class of the probability map that is shown (arrow keys)")
        self._number = QLabel(self)
        self._number.setMinimumWidth(70)
        row = QHBoxLayout(self)
        row.setContentsMargins(6, 0, 6, 0)
        row.addWidget(QLabel("Class", self))
        row.addWidget(self._slider, 1)
        row.addWidget(self._number)
        self._slider.valueChanged.connect(self._on_moved)
        state.events.class_index.connect(self._on_state_changed)
        self.hide()

    def set_n_classes(self, n: int) -> None:
        """Offer that many classes."""
        with QSignalBlocker(self._slider):
            self._slider.setRange(0, max(0, n - 1))
            self._slider.setValue(self._state.class_index)
        self._write()
        self.setVisible(n > 1)

    def close_events(self) -> None:
        """Listen to the state no longer."""
        self._state.events.class_index.disconnect(self._on_state_changed)

    def _on_moved(self, value: int) -> None:
        self._state.class_index = value
        self._write()
        self.class_changed.emit(value)

    def _on_state_changed(self, value: int) -> None:
        with QSignalBlocker(self._slider):
            self._slider.setValue(value)
        self._write()

    def _write(self) -> None:
        self._number.setText(f"{self._slider.value() + 1} of {self._slider.maximum() + 1}")


class ViewStrip(QWidget):
    """Mode, fit, slab and readout in one line."""

    fit_asked = Signal()

    def __init__(self, state: ViewState, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state = state
        row = QHBoxLayout(self)
        row.setContentsMargins(6, 2, 6, 2)
        row.setSpacing(6)
        self._modes = self._mode_buttons(row)
        row.addWidget(self._fit_button())
        self._slab = self._slab_box(row)
        self._readout = QLabel(self)
        self._readout.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        # A long line may be cut off; it must never widen the window.
        self._readout.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._readout.setAccessibleName("Values under the mouse")
        row.addWidget(self._readout, 1)
        state.events.mode.connect(self._on_mode_changed)
        state.events.slab_planes.connect(self._on_slab_changed)
        self._on_mode_changed(state.mode)

    def set_readout(self, text: str) -> None:
        """Show what lies under the mouse."""
        self._readout.setText(text)
        self._readout.setToolTip(text)

    def close_events(self) -> None:
        """Listen to the state no longer."""
        self._state.events.mode.disconnect(self._on_mode_changed)
        self._state.events.slab_planes.disconnect(self._on_slab_changed)

    def _mode_buttons(self, row: QHBoxLayout) -> dict[Mode, QToolButton]:
        group, buttons = QButtonGroup(self), {}
        for mode, (title, tip) in _MODES.items():
            button = QToolButton(self)
            button.setText(title)
            button.setToolTip(tip)
            button.setAccessibleName(title)
            button.setCheckable(True)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            group.addButton(button)
            row.addWidget(button)
            buttons[mode] = button
        group.buttonToggled.connect(self._on_mode_toggled)
        return buttons

    def _fit_button(self) -> QToolButton:
        button = QToolButton(self)
        button.setText("Fit")
        button.setToolTip("Show the whole volume (Home)")
        button.setAccessibleName("Fit")
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.clicked.connect(self.fit_asked)
        return button

    def _slab_box(self, row: QHBoxLayout) -> QSpinBox:
        box = QSpinBox(self)
        box.setRange(1, 999)
        box.setValue(self._state.slab_planes)
        box.setSuffix(" planes")
        box.setSpecialValueText("off")
        box.setAccessibleName("Maximum projection")
        box.setToolTip("Show the maximum of this many planes instead of a single slice")
        box.setKeyboardTracking(False)
        box.valueChanged.connect(self._on_slab_edited)
        label = QLabel("Max projection", self)
        label.setBuddy(box)
        row.addWidget(label)
        row.addWidget(box)
        return box

    def _on_mode_toggled(self, button: QToolButton, checked: bool) -> None:
        for mode, own in self._modes.items():
            if own is button and checked:
                self._state.mode = mode

    def _on_slab_edited(self, value: int) -> None:
        self._state.slab_planes = value

    def _on_mode_changed(self, mode: Mode) -> None:
        self._modes[mode].setChecked(True)

    def _on_slab_changed(self, value: int) -> None:
        with QSignalBlocker(self._slab):
            self._slab.setValue(value)
