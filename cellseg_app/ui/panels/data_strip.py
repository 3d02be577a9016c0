"""What was read: three thumbnails, axes and voxel size, to be checked and corrected."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QImage, QPixmap
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

from cellseg_app.core.volume import SpacingZYX
from cellseg_app.io.open import VolumeInfo
from cellseg_app.workers.files import Picture, Thumbnails

_PICTURE_EDGE = 58


class DataStrip(QWidget):
    """A strip above the viewer.

    Signals
    -------
    spacing_edited
        The voxel size that the user gave (Z, Y, X in µm), or None for the file's own.
    """

    spacing_edited = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("What was read")
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 4, 8, 4)
        row.setSpacing(10)
        self._pictures = {name: _picture_label(name) for name in ("XY", "XZ", "YZ")}
        for label in self._pictures.values():
            row.addWidget(label)
        words = QVBoxLayout()
        words.setSpacing(1)
        self.name = QElidingLabel()
        font = self.name.font()
        font.setBold(True)
        self.name.setFont(font)
        self.shape = QElidingLabel()
        self.notes = QElidingLabel()
        self.notes.setProperty("role", "hint")
        for label in (self.name, self.shape, self.notes):
            # A long name must not make the window wider.
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            words.addWidget(label)
        row.addLayout(words, 1)
        row.addLayout(self._build_size())
        self.hide()

    def show_info(
        self, info: VolumeInfo, thumbnails: Thumbnails | None, *, given: SpacingZYX | None
    ) -> None:
        """Show a volume; `given` is the voxel size that replaces the file's."""
        self.name.setText(info.path.name)
        self.name.setToolTip(str(info.path))
        axes = " × ".join(f"{a} {n:,}" for a, n in zip(info.axes, info.shape, strict=True))
        self.shape.setText(f"{axes}    {info.dtype}    {info.kind}")
        self.shape.setToolTip(self.shape.text())
        # describe() has judged the size given already; the file's own stands in the notes.
        self._show_spacing(info.spacing_um_zyx, is_given=given is not None)
        self._show_notes(info)
        self._show_pictures(thumbnails)
        self.show()

    def _build_size(self) -> QVBoxLayout:
        column, row = QVBoxLayout(), QHBoxLayout()
        column.setSpacing(2)
        row.setSpacing(4)
        self.spins: list[QDoubleSpinBox] = []
        row.addWidget(QLabel("Voxel size"))
        for axis in "ZYX":
            spin = _size_box(axis)
            spin.valueChanged.connect(self._on_q_size)
            letter = QLabel(axis)
            letter.setBuddy(spin)
            row.addWidget(letter)
            row.addWidget(spin)
            self.spins.append(spin)
        row.addWidget(QLabel("µm"))
        self.from_file = QToolButton()
        self.from_file.setText("From the file")
        self.from_file.setToolTip("Take the voxel size that each file states")
        self.from_file.clicked.connect(lambda: self.spacing_edited.emit(None))
        self.ratio = QLabel()
        below = QHBoxLayout()
        below.addWidget(self.ratio, 1)
        below.addWidget(self.from_file)
        column.addLayout(row)
        column.addLayout(below)
        return column

    def _show_spacing(self, spacing: SpacingZYX | None, *, is_given: bool) -> None:
        for spin, um in zip(self.spins, spacing or (0.0, 0.0, 0.0), strict=True):
            with QSignalBlocker(spin):
                spin.setValue(um)
        self.from_file.setVisible(is_given)
        if spacing is None:
            self._say_ratio("The file states none: please enter it.", role="error")
        else:
            lateral = (spacing[1] * spacing[2]) ** 0.5
            origin = "corrected" if is_given else "from the file"
            self._say_ratio(f"z : xy = {spacing[0] / lateral:.3g}, {origin}", role="hint")

    def _say_ratio(self, text: str, *, role: str) -> None:
        self.ratio.setText(text)
        self.ratio.setProperty("role", role)
        self.ratio.style().polish(self.ratio)

    def _show_notes(self, info: VolumeInfo) -> None:
        notes = [info.problem] if info.problem else list(info.notes)
        self.notes.setProperty("role", "error" if info.problem else "hint")
        self.notes.style().polish(self.notes)
        self.notes.setText(" ".join(notes))
        self.notes.setToolTip("\n".join(notes))
        self.notes.setVisible(bool(notes))

    def _show_pictures(self, thumbnails: Thumbnails | None) -> None:
        if thumbnails is None:
            for label in self._pictures.values():
                label.clear()
                label.hide()
            return
        parts = {"XY": thumbnails.xy, "XZ": thumbnails.xz, "YZ": thumbnails.yz}
        for name, picture in parts.items():
            label = self._pictures[name]
            label.setPixmap(_pixmap(picture, self.devicePixelRatioF()))
            label.show()

    def _on_q_size(self) -> None:
        values = tuple(spin.value() for spin in self.spins)
        # Zero stands for "unknown"; a size is complete only with all three.
        if all(value > 0 for value in values):
            self.spacing_edited.emit(values)


def _size_box(axis: str) -> QDoubleSpinBox:
    spin = QDoubleSpinBox()
    spin.setRange(0.0, 1000.0)
    spin.setDecimals(3)
    spin.setSingleStep(0.1)
    spin.setSpecialValueText("?")
    spin.setKeyboardTracking(False)
    spin.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
    spin.setFixedWidth(54)
    spin.setAccessibleName(f"Voxel size along {axis} in µm")
    spin.setToolTip(f"Voxel size along {axis} in µm; used for every volume of the list")
    return spin


def _picture_label(name: str) -> QLabel:
    label = QLabel()
    label.setFixedSize(_PICTURE_EDGE, _PICTURE_EDGE)
    label.setAlignment(Qt.AlignmentFlag.AlignCenter)
    label.setToolTip(f"Middle {name} slice")
    label.setAccessibleName(f"Middle {name} slice")
    label.hide()
    return label


def _pixmap(picture: Picture, ratio: float) -> QPixmap:
    height, width = picture.shape
    image = QImage(picture.tobytes(), width, height, width, QImage.Format.Format_Grayscale8).copy()
    edge = round(_PICTURE_EDGE * ratio)
    scaled = image.scaled(
        edge,
        edge,
        Qt.AspectRatioMode.KeepAspectRatio,
        Qt.TransformationMode.SmoothTransformation,
    )
    scaled.setDevicePixelRatio(ratio)
    return QPixmap.fromImage(scaled)
