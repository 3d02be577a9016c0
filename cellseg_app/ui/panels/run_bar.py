"""Under the form: presets, the count of cells while tuning, Preview and Start."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

_NO_PRESET = "Preset…"


class RunBar(QWidget):
    """What is pressed, and what it would cost.

    Signals
    -------
    preset_chosen, preset_removed
        Name of a preset.
    """

    preset_chosen = Signal(str)
    preset_removed = Signal(str)

    def __init__(self, actions: dict[str, QAction]) -> None:
        super().__init__()
        self._actions = actions
        self.estimate = QLabel()
        self.estimate.setWordWrap(True)
        self.estimate.setProperty("role", "hint")
        self.estimate.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 8)
        column.setSpacing(5)
        column.addWidget(self._build_tuning())
        column.addWidget(self.estimate)
        column.addLayout(self._build_presets())
        column.addLayout(self._build_buttons())

    def set_running(self, is_running: bool) -> None:
        """Turn Start into Cancel, and back."""
        self.start.setVisible(not is_running)
        self.cancel.setVisible(is_running)

    def set_presets(self, names: list[str]) -> None:
        """List the presets."""
        with QSignalBlocker(self.presets):
            self.presets.clear()
            self.presets.addItem(_NO_PRESET)
            self.presets.addItems(names)

    def say_estimate(self, sentence: str) -> None:
        """Show what a run would need."""
        self.estimate.setText(sentence)
        self.estimate.setVisible(bool(sentence))

    def show_count(
        self, count: str, state: str, *, can_apply: bool, can_save: bool = False
    ) -> None:
        """Show how many cells there are, where that number comes from, and what saves them."""
        self.tuning.setVisible(bool(count))
        self.count.setText(count)
        self.count_state.setText(state)
        for button in self.apply_buttons:
            button.setVisible(can_apply)
        self.save_corrections.setVisible(can_save)

    def offer_class(self, index: int | None) -> None:
        """Offer to tell the cells of another class apart; None for no offer."""
        self.use_class.setVisible(index is not None)
        if index is not None:
            self.use_class.setText(f"Segment class {index + 1}")

    def _build_tuning(self) -> QWidget:
        self.tuning = QWidget()
        self.count = QLabel()
        self.count.setProperty("role", "count")
        self.count.setAccessibleName("Number of cells")
        # A long sentence must not make the panel wider.
        self.count.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.count_state = QLabel()
        self.count_state.setProperty("role", "hint")
        self.count_state.setWordWrap(True)
        self.use_class = _button(self._actions["segment_class"])
        self.use_class.hide()
        self.apply_buttons = [
            _button(self._actions["apply_here"]),
            _button(self._actions["apply_all"]),
        ]
        self.save_corrections = _button(self._actions["save_corrections"])
        self.save_corrections.hide()
        grid = QGridLayout(self.tuning)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(3)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(1, 1)
        grid.addWidget(self.count, 0, 0, 1, 2)
        grid.addWidget(self.count_state, 1, 0, 1, 2)
        for place, button in enumerate(self.apply_buttons):
            grid.addWidget(button, 2, place)
        grid.addWidget(self.save_corrections, 2, 0, 1, 2)
        grid.addWidget(self.use_class, 3, 0, 1, 2)
        self.tuning.hide()
        return self.tuning

    def _build_presets(self) -> QHBoxLayout:
        row = QHBoxLayout()
        self.presets = QComboBox()
        self.presets.setAccessibleName("Presets")
        self.presets.setToolTip("Load settings that were saved under a name")
        self.presets.addItem(_NO_PRESET)
        self.presets.activated.connect(self._on_q_preset)
        save = QToolButton()
        save.setDefaultAction(self._actions["save_preset"])
        remove = QToolButton()
        remove.setText("Delete")
        remove.setToolTip("Delete the preset chosen at the left")
        remove.clicked.connect(self._on_q_remove)
        row.addWidget(self.presets, 1)
        row.addWidget(save)
        row.addWidget(remove)
        return row

    def _build_buttons(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.addWidget(_button(self._actions["estimate"]))
        row.addWidget(_button(self._actions["preview"]))
        self.start = _button(self._actions["start"])
        self.start.setProperty("role", "primary")
        self.cancel = _button(self._actions["cancel"])
        self.cancel.setProperty("role", "danger")
        self.cancel.hide()
        row.addWidget(self.start, 1)
        row.addWidget(self.cancel, 1)
        return row

    def _on_q_preset(self, index: int) -> None:
        if index > 0:
            self.preset_chosen.emit(self.presets.itemText(index))

    def _on_q_remove(self) -> None:
        if self.presets.currentIndex() > 0:
            self.preset_removed.emit(self.presets.currentText())


def _button(action: QAction) -> QPushButton:
    button = QPushButton(action.text().rstrip("…"))
    button.setToolTip(action.toolTip())
    button.setAccessibleName(action.text())
    button.setEnabled(action.isEnabled())
    button.clicked.connect(action.trigger)
    action.changed.connect(lambda: button.setEnabled(action.isEnabled()))
    return button
