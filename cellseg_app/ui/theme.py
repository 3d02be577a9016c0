"""Light and dark: palettes, one small style sheet, and the colours that plots take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyqtgraph
from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication

from cellseg_app.state.settings import Theme


@dataclass(frozen=True, slots=True)
class Colors:
    """The colours of one theme, as #rrggbb."""

    window: str
    base: str
    raised: str
    text: str
    faint: str
    line: str
    accent: str
    on_accent: str
    error: str
    good: str
    warning: str


LIGHT: Final = Colors(
    window="#f3f5f7",
    base="#ffffff",
    raised="#e6eaee",
    text="#1b2329",
    faint="#5b6871",
    line="#c9d1d8",
    accent="#0b6e99",
    on_accent="#ffffff",
    error="#b3261e",
    good="#16703f",
    warning="#8a5a00",
)
DARK: Final = Colors(
    window="#1b2024",
    base="#272e34",
    raised="#30383f",
    text="#e4e9ed",
    faint="#a3b0b9",
    line="#46515a",
    accent="#4fb3d9",
    on_accent="#0d1417",
    error="#ff8a80",
    good="#6fd19b",
    warning="#f0b95a",
)


class Appearance(QObject):
    """The application's theme; follows the system unless the user chose one."""

    changed = Signal()

    def __init__(self, app: QApplication, theme: Theme) -> None:
        super().__init__(app)
        self._app = app
        self._theme = theme
        app.setStyle("Fusion")
        app.styleHints().colorSchemeChanged.connect(self._on_system_changed)
        self._apply()

    @property
    def theme(self) -> Theme:
        """What the user chose."""
        return self._theme

    @property
    def is_dark(self) -> bool:
        """Whether the dark colours are in use."""
        if self._theme == "system":
            return self._app.styleHints().colorScheme() == Qt.ColorScheme.Dark
        return self._theme == "dark"

    @property
    def colors(self) -> Colors:
        """The colours in use."""
        return DARK if self.is_dark else LIGHT

    def choose(self, theme: Theme) -> None:
        """Take another theme."""
        self._theme = theme
        self._apply()

    def _on_system_changed(self) -> None:
        if self._theme == "system":
            self._apply()

    def _apply(self) -> None:
        colors = self.colors
        self._app.setPalette(_palette(colors))
        self._app.setStyleSheet(_style_sheet(colors))
        pyqtgraph.setConfigOptions(background=colors.base, foreground=colors.text)
        self.changed.emit()


def _palette(c: Colors) -> QPalette:
    role, group = QPalette.ColorRole, QPalette.ColorGroup
    palette = QPalette()
    pairs = {
        role.Window: c.window,
        role.WindowText: c.text,
        role.Base: c.base,
        role.AlternateBase: c.window,
        role.Text: c.text,
        role.PlaceholderText: c.faint,
        role.Button: c.raised,
        role.ButtonText: c.text,
        role.BrightText: c.error,
        role.Highlight: c.accent,
        role.HighlightedText: c.on_accent,
        role.ToolTipBase: c.raised,
        role.ToolTipText: c.text,
        role.Link: c.accent,
        role.Light: c.raised,
        role.Midlight: c.raised,
        role.Mid: c.line,
        role.Dark: c.line,
        role.Shadow: c.line,
        role.Accent: c.accent,
    }
    for key, color in pairs.items():
        palette.setColor(key, QColor(color))
    for key in (role.WindowText, role.Text, role.ButtonText):
        faded = QColor(c.faint)
        faded.setAlpha(150)
        palette.setColor(group.Disabled, key, faded)
    return palette


def _style_sheet(c: Colors) -> str:
    """Return what a palette cannot say; roles are set as the property `role` of a widget."""
    return f"""
    QLabel[role="hint"] {{ color: {c.faint}; }}
    QLabel[role="error"] {{ color: {c.error}; }}
    QLabel[role="title"] {{ font-size: 15pt; font-weight: 600; }}
    QLabel[role="count"] {{ font-size: 13pt; font-weight: 600; }}
    QToolButton:checked {{
        background: {c.accent}; color: {c.on_accent};
        border: 1px solid {c.accent}; border-radius: 3px; padding: 3px 4px;
    }}
    QToolButton[role="menu"]::menu-indicator {{ image: none; }}
    QToolButton[role="section"] {{
        font-weight: 600; text-align: left; border: none; padding: 5px 2px;
        border-bottom: 1px solid {c.line}; border-radius: 0;
    }}
    QToolButton[role="section"]:checked {{
        background: transparent; color: {c.text}; border: none; padding: 5px 2px;
        border-bottom: 1px solid {c.line}; border-radius: 0;
    }}
    QToolButton[role="section"]:hover {{ background: {c.raised}; }}
    QToolButton[role="section"]:focus {{ border-bottom: 2px solid {c.accent}; }}
    QPushButton[role="primary"] {{
        background: {c.accent}; color: {c.on_accent}; font-weight: 600;
        border: 1px solid {c.accent}; border-radius: 4px; padding: 6px 14px;
    }}
    QPushButton[role="primary"]:disabled {{
        background: {c.raised}; color: {c.faint}; border-color: {c.line};
    }}
    QPushButton[role="primary"]:focus {{ border: 2px solid {c.text}; padding: 5px 13px; }}
    QPushButton[role="danger"] {{
        background: {c.error}; color: {c.base}; font-weight: 600;
        border: 1px solid {c.error}; border-radius: 4px; padding: 6px 14px;
    }}
    QFrame[role="banner"] {{
        background: {c.raised}; border: 1px solid {c.line}; border-radius: 4px;
    }}
    QCheckBox::indicator:unchecked, QListWidget::indicator:unchecked {{
        border: 1px solid {c.faint}; border-radius: 2px; background: {c.base};
    }}
    QCheckBox::indicator:unchecked:disabled {{ border-color: {c.line}; }}
    QDialogButtonBox {{ dialogbuttonbox-buttons-have-icons: 0; }}
    QDockWidget {{ font-weight: 600; }}
    QDockWidget::title {{ background: {c.raised}; padding: 5px 8px; }}
    QMainWindow::separator {{ background: {c.line}; width: 3px; height: 3px; }}
    QToolTip {{ color: {c.text}; background: {c.raised}; border: 1px solid {c.line}; }}
    """
