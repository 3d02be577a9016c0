"""What was read: three thumbnails, axes and voxel size, to be checked and corrected."""

from __future__ import annotations

from typing import Final, Literal

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

# Who said how large a voxel is: the file, the user for this volume, or the form for all.
SizeOrigin = Literal["file", "volume", "form"]
_ORIGINS: Final[dict[SizeOrigin, str]] = {
    "file": "from the file",
    "volume": "corrected",
    "form": "as set under Data",
}


class DataStrip(QWidget):
    """A strip above the viewer.

    Signals
    -------
    spacing_edited
        The voxel size that the user gave this volume (Z, Y, X in µm), or None for the file's own.
    spread_asked
        The voxel size that every volume of the list shall have.
    """

    spacing_edited = Signal(object)
    spread_asked = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("What was read")
        self._has_others = False
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
        self.kind = QLabel()
        self.kind.setProperty("role", "hint")
        # As high as the name, so that both stand on one line.
        self.kind.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.shape = QElidingLabel()
        self.notes = QElidingLabel()
        self.notes.setProperty("role", "hint")
        title = QHBoxLayout()
        title.setSpacing(8)
        # The kind follows the name, and what room is left the kind.
        title.addWidget(self.name, 1000)
        title.addWidget(self.kind)
        title.addStretch(1)
        words.addLayout(title)
        for label in (self.name, self.shape, self.notes):
            # A long name must not make the window wider.
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        for label in (self.shape, self.notes):
            words.addWidget(label)
        row.addLayout(words, 1)
        row.addLayout(self._build_size())
        self.hide()

    def show_info(
        self, info: VolumeInfo, thumbnails: Thumbnails | None, *, origin: SizeOrigin
    ) -> None:
        """Show a volume, and who said its voxel size."""
        self.name.setMaximumWidth(self.name.fontMetrics().horizontalAdvance(info.path.name) + 4)
        self.name.setText(info.path.name)
        self.name.setToolTip(str(info.path))
        axes = " × ".join(f"{a} {n:,}" for a, n in zip(info.axes, info.shape, strict=True))
        self.kind.setText(info.kind)
        self.shape.setText(f"{axes}    {info.dtype}")
        self.shape.setToolTip(self.shape.text())
        # describe() has judged the size given already; the file's own stands in the notes.
        self._show_spacing(info.spacing_um_zyx, origin)
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
        self.from_file.setToolTip("Take the voxel size that the file states")
        self.from_file.clicked.connect(lambda: self.spacing_edited.emit(None))
        self.spread = QToolButton()
        self.spread.setText("Use for all")
        self.spread.setToolTip("Give every volume of the list this voxel size")
        self.spread.clicked.connect(self._on_q_spread)
        self.ratio = QLabel()
        below = QHBoxLayout()
        below.setSpacing(4)
        below.addWidget(self.ratio, 1)
        below.addWidget(self.from_file)
        below.addWidget(self.spread)
        column.addLayout(row)
        column.addLayout(below)
        return column

    def offer_spread(self, has_others: bool) -> None:
        """Offer the voxel size to the other volumes of the list, if there are any."""
        self._has_others = has_others
        self.spread.setVisible(has_others and self._size() is not None)

    def _show_spacing(self, spacing: SpacingZYX | None, origin: SizeOrigin) -> None:
        for spin, um in zip(self.spins, spacing or (0.0, 0.0, 0.0), strict=True):
            with QSignalBlocker(spin):
                spin.setValue(um)
        self.from_file.setVisible(origin != "file")
        self.offer_spread(self._has_others)
        if spacing is None:
            self._say_ratio("Please enter it.", role="error")
        else:
            lateral = (spacing[1] * spacing[2]) ** 0.5
            self._say_ratio(f"z : xy = {spacing[0] / lateral:.3g}, {_ORIGINS[origin]}", role="hint")

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
        size = self._size()
        self.spread.setVisible(self._has_others and size is not None)
        if size is not None:
            self.spacing_edited.emit(size)

    def _on_q_spread(self) -> None:
        self.spread_asked.emit(self._size())

    def _size(self) -> SpacingZYX | None:
        z, y, x = (spin.value() for spin in self.spins)
        # Zero stands for "unknown"; a size is complete only with all three.
        return (z, y, x) if min(z, y, x) > 0 else None


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
    spin.setToolTip(f"Voxel size along {axis} in µm; a correction holds for this volume only")
    return spin


def _picture_label(name: str) -> QLabel:
    label = QLabel()
    # As wide as its picture: the words beside it need the room.
    label.setFixedHeight(_PICTURE_EDGE)
    label.setAlignment(Qt.AlignmentFlag.AlignCenter)
    label.setToolTip(f"Middle {name} slice")
    label.setAccessibleName(f"Middle {name} slice")
    label.hide()
    return label


def _pixmap(picture: Picture, ratio: float) -> QPixmap:
    height, width = picture.shape
    # A QImage only points to its pixels: they must outlive it until it is copied.
    pixels = picture.tobytes()
    image = QImage(pixels, width, height, width, QImage.Format.Format_Grayscale8).copy()
    edge = round(_PICTURE_EDGE * ratio)
    scaled = image.scaled(
        edge,
        edge,
        Qt.AspectRatioMode.KeepAspectRatio,
        Qt.TransformationMode.SmoothTransformation,
    )
    scaled.setDevicePixelRatio(ratio)
    return QPixmap.fromImage(scaled)
