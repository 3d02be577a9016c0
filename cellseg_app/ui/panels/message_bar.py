"""Sentences for the user above the viewer: failures with their remedy, offers, news."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QToolButton, QVBoxLayout

from cellseg_app.core.errors import UserError

_MAX_MESSAGES: Final = 4


@dataclass(frozen=True, slots=True)
class Offer:
    """A button of a message."""

    title: str
    do: Callable[[], object]


class Message(QFrame):
    """One sentence with its buttons."""

    def __init__(
        self, text: str, *, kind: Literal["error", "news"], offers: tuple[Offer, ...] = ()
    ) -> None:
        super().__init__()
        self.setProperty("role", "banner")
        self.label = QLabel(text)
        self.label.setWordWrap(True)
        self.label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.label.setAccessibleName("Error" if kind == "error" else "Message")
        if kind == "error":
            self.label.setProperty("role", "error")
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 5, 6, 5)
        row.addWidget(self.label, 1)
        self.buttons: list[QPushButton] = []
        for offer in offers:
            button = QPushButton(offer.title)
            button.setToolTip(offer.title)
            button.clicked.connect(offer.do)
            button.clicked.connect(self.close_message)
            row.addWidget(button)
            self.buttons.append(button)
        close = QToolButton()
        close.setText("✕")
        close.setAutoRaise(True)
        close.setToolTip("Close this message")
        close.setAccessibleName("Close this message")
        close.clicked.connect(self.close_message)
        row.addWidget(close)

    def close_message(self) -> None:
        """Take the message away."""
        # It stays its parent's until the event loop deletes it: Python would delete it at once,
        # together with the button whose press is still being handled.
        self.hide()
        self.deleteLater()


class MessageBar(QFrame):
    """The latest messages, newest at the bottom."""

    def __init__(self) -> None:
        super().__init__()
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(6, 0, 6, 0)
        self._column.setSpacing(3)

    def tell(self, text: str, *offers: Offer) -> Message:
        """Show news, with buttons."""
        return self._add(Message(text, kind="news", offers=offers))

    def warn(self, error: UserError, *offers: Offer) -> Message:
        """Show an expected failure and its remedy."""
        return self._add(Message(str(error), kind="error", offers=offers))

    def texts(self) -> list[str]:
        """The sentences that are shown."""
        return [message.label.text() for message in self.messages()]

    def messages(self) -> list[Message]:
        """The messages that are shown."""
        own = self.findChildren(Message, options=Qt.FindChildOption.FindDirectChildrenOnly)
        return [message for message in own if not message.isHidden()]

    def clear(self) -> None:
        """Take all messages away."""
        for message in self.messages():
            message.close_message()

    def _add(self, message: Message) -> Message:
        shown = self.messages()
        for old in shown:
            if old.label.text() == message.label.text():
                old.close_message()
        for old in shown[: max(0, len(shown) + 1 - _MAX_MESSAGES)]:
            old.close_message()
        self._column.addWidget(message)
        return message
