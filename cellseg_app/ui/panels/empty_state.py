"""A panel's content, or what to do as long as there is none."""

from __future__ import annotations

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QLabel, QPushButton, QStackedWidget, QVBoxLayout, QWidget


class EmptyState(QWidget):
    """A title, a sentence that says what to do, and buttons that do it."""

    def __init__(self, title: str, sentence: str, actions: tuple[QAction, ...] = ()) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.addStretch(1)
        self.title = QLabel(title)
        self.title.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.title.setWordWrap(True)
        font = self.title.font()
        font.setBold(True)
        self.title.setFont(font)
        self.sentence = QLabel(sentence)
        self.sentence.setProperty("role", "hint")
        self.sentence.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.sentence.setWordWrap(True)
        column.addWidget(self.title)
        column.addWidget(self.sentence)
        for action in actions:
            button = _ActionButton(action)
            column.addWidget(button, alignment=Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(2)


class _ActionButton(QPushButton):
    """Does what an action does, and has its icon, which another theme draws in another colour."""

    def __init__(self, action: QAction) -> None:
        super().__init__(action.icon(), action.text())
        self._action = action
        self.setToolTip(action.toolTip())
        self.clicked.connect(action.trigger)
        action.changed.connect(self._on_action_changed)

    @Slot()
    def _on_action_changed(self) -> None:
        self.setIcon(self._action.icon())


class Panel(QStackedWidget):
    """Shows its empty state until `set_filled`."""

    def __init__(self, empty: EmptyState, content: QWidget) -> None:
        super().__init__()
        self.empty = empty
        self.content = content
        self.addWidget(empty)
        self.addWidget(content)

    def set_filled(self, is_filled: bool) -> None:
        """Show the content, or what to do."""
        self.setCurrentWidget(self.content if is_filled else self.empty)
