"""Controls of the 3D pane, in one line that fits a quarter of a small window."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from cellseg_app.state.display import SpaceLook, ViewState

_METHODS: Final = {"mip": "Maximum", "translucent": "Translucent", "iso": "Surface"}
_CLIPS: Final[dict[int | None, str]] = {None: "No cut", 0: "Cut Z", 1: "Cut Y", 2: "Cut X"}
_SLIDER_STEPS: Final = 200


class SpaceControls(QWidget):
    """Edits `ViewState.space`."""

    maximize_asked = Signal()
    fit_asked = Signal()
    picture_asked = Signal()

    def __init__(self, state: ViewState, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state = state
        self.method = self._combo("Rendering", "How intensities are drawn in 3D", _METHODS.values())
        self.orbit = self._button("Orbit", "Turn the volume freely (off: keep it upright)")
        self.orbit.setCheckable(True)
        self.clip = self._combo("Cut", "Cut the volume open by a plane", _CLIPS.values())
        self.badge = QLabel(self)
        self.badge.setToolTip(
            "The volume is too large for the graphics card or too slow to turn, so 3D shows it at "
            "lower resolution. Slices are always at full resolution."
        )
        self.iso, self._iso_row = self._slider("Level", "Intensity of the surface")
        self.clip_place, self._clip_row = self._slider("Cut at", "Where the plane cuts")
        self.flip = QCheckBox("other side", self)
        self.flip.setToolTip("Keep the part on the other side of the plane")
        self._clip_row.addWidget(self.flip)
        self._arrange()
        self._connect()
        self._show(state.space)

    def set_badge(self, text: str) -> None:
        """Tell the resolution."""
        self.badge.setText(text)
        self.badge.setVisible(bool(text))

    def set_available(self, available: bool) -> None:
        """Without OpenGL only the pane's size can be changed."""
        for widget in (self.method, self.orbit, self.clip, self._fit, self._picture):
            widget.setVisible(available)

    def close_events(self) -> None:
        """Listen to the state no longer."""
        self._state.events.space.disconnect(self._show)

    def _combo(self, name: str, tip: str, texts: object) -> QComboBox:
        combo = QComboBox(self)
        combo.addItems(list(texts))  # type: ignore[call-overload]
        combo.setAccessibleName(name)
        combo.setToolTip(f"{name}: {tip}")
        combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        combo.setMinimumContentsLength(8)
        return combo

    def _slider(self, name: str, tip: str) -> tuple[QSlider, QHBoxLayout]:
        slider = QSlider(Qt.Orientation.Horizontal, self)
        slider.setRange(0, _SLIDER_STEPS)
        slider.setAccessibleName(name)
        slider.setToolTip(tip)
        row = QHBoxLayout()
        row.setContentsMargins(6, 0, 6, 2)
        label = QLabel(name, self)
        label.setBuddy(slider)
        row.addWidget(label)
        row.addWidget(slider, 1)
        return slider, row

    def _button(self, text: str, tip: str) -> QToolButton:
        button = QToolButton(self)
        button.setText(text)
        button.setToolTip(tip)
        button.setAccessibleName(tip.partition(" (")[0])
        button.setAutoRaise(True)
        return button

    def _arrange(self) -> None:
        self._fit = self._button("Fit", "Show the whole volume in 3D")
        self._fit.clicked.connect(self.fit_asked)
        self._picture = self._button("Save", "Save a picture of the volume in 3D")
        self._picture.clicked.connect(self.picture_asked)
        maximize = self._button("⤢", "Fill the viewer with 3D, or show all panes again")
        maximize.clicked.connect(self.maximize_asked)
        title = QLabel("<b>3D</b>", self)
        # Two rows: in one, a quarter of a small window cuts the texts off.
        top = _row((title, self.badge), (maximize,))
        choices = _row((self.method, self.clip, self.orbit), (self._fit, self._picture))
        column = self._column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(top)
        column.addLayout(choices)
        column.addLayout(self._iso_row)
        column.addLayout(self._clip_row)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def _connect(self) -> None:
        self.method.currentIndexChanged.connect(self._on_edited)
        self.orbit.toggled.connect(self._on_edited)
        self.clip.currentIndexChanged.connect(self._on_edited)
        self.iso.valueChanged.connect(self._on_edited)
        self.clip_place.valueChanged.connect(self._on_edited)
        self.flip.toggled.connect(self._on_edited)
        self._state.events.space.connect(self._show)

    def _on_edited(self) -> None:
        self._state.set_space(
            method=list(_METHODS)[self.method.currentIndex()],
            camera="orbit" if self.orbit.isChecked() else "turntable",
            clip_axis=list(_CLIPS)[self.clip.currentIndex()],
            iso_level=self.iso.value() / _SLIDER_STEPS,
            clip_fraction=self.clip_place.value() / _SLIDER_STEPS,
            clip_flipped=self.flip.isChecked(),
        )

    def _show(self, space: SpaceLook) -> None:
        widgets = (self.method, self.orbit, self.clip, self.iso, self.clip_place, self.flip)
        blockers = [QSignalBlocker(widget) for widget in widgets]
        self.method.setCurrentIndex(list(_METHODS).index(space.method))
        self.orbit.setChecked(space.camera == "orbit")
        self.clip.setCurrentIndex(list(_CLIPS).index(space.clip_axis))
        self.iso.setValue(round(space.iso_level * _SLIDER_STEPS))
        self.clip_place.setValue(round(space.clip_fraction * _SLIDER_STEPS))
        self.flip.setChecked(space.clip_flipped)
        for blocker in blockers:
            blocker.unblock()
        _set_row_visible(self._iso_row, space.method == "iso")
        _set_row_visible(self._clip_row, space.clip_axis is not None)
        # Qt forgets to, while another page hides these controls.
        self._column.invalidate()
        self.updateGeometry()


def _row(left: tuple[QWidget, ...], right: tuple[QWidget, ...]) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setContentsMargins(6, 2, 6, 2)
    row.setSpacing(4)
    for widget in left:
        row.addWidget(widget)
    row.addStretch(1)
    for widget in right:
        row.addWidget(widget)
    return row


def _set_row_visible(row: QHBoxLayout, visible: bool) -> None:
    for n in range(row.count()):
        item = row.itemAt(n)
        widget = None if item is None else item.widget()
        if widget is not None:
            widget.setVisible(visible)
